"""Tests for tiny_gpt/analysis/changes.py."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from tiny_gpt.analysis.changes import (
    Change,
    ChangeDetector,
    find_changes,
    normal_from_t,
)

NAN = math.nan
EPOCHS = np.arange(1.0, 101.0)
# Two quiet noises about 0: all slopes of [1, -1, -1, 1] are -2, -1, 0, 0, 1
# and 2, with median 0; its median is 0 too, and all its errors are 1.
NOISE = [1.0, -1.0, -1.0, 1.0]


def close(value, rel=1e-12):
    return pytest.approx(value, rel=rel)


def random_curves(num_curves, length=60):
    """Curves with a drop or two, of any noise."""
    rng = np.random.default_rng(5)
    for _ in range(num_curves):
        places = rng.integers(5, length, 2)
        sizes = rng.uniform(0.1, 1.0, 2)
        steps = (np.arange(length) >= places[:, None]) * sizes[:, None]
        sd = 10.0 ** rng.uniform(-3, -1)
        noise = rng.normal(0.0, sd, length)
        yield 3.0 - 0.01 * np.arange(length) - steps.sum(axis=0) + noise


def test_the_sum_by_hand():
    # The line through NOISE is flat at 0: 3 degrees of freedom are left. The
    # upper quartile of its errors is 1, that of normal ones 1.15035 scales,
    # so the scale is 1 / 1.15035 = 0.8693. A value of -1.5 is -1.5 / 0.8693 /
    # sqrt(1 + 1/4) = -1.5433 standard errors. Student's t with 3 degrees is
    # carried to z = 25/27 sqrt(3 ln(1 + 1.5433^2 / 3)) = 1.2260.
    t = 1.5 * stats.norm.ppf(0.875) / math.sqrt(1.25)
    z = 25 / 27 * math.sqrt(3 * math.log(1 + t**2 / 3))
    assert z == pytest.approx(1.2260, abs=5e-5)
    # With k = 0.5, S is 0.7260, 1.4520, 2.1780, while the line stands still.
    # h = 2.17 is reached by the third value, h = 2.19 by the fourth; no gain
    # is cut off, being below h / 2.
    values = [*NOISE, -1.5, -1.5, -1.5, -1.5]
    by_third = Change(4.0, 5.0, 7.0, 1.5, 0.0, -1.5)
    assert find_changes(values, None, "fall", 1.0, 2.17, 0.5) == [by_third]
    (by_fourth,) = find_changes(values, None, "fall", 1.0, 2.19, 0.5)
    assert by_fourth.time == 8.0
    # A value at the line takes k from S, which delays it by one value more:
    # 0.7260, 0.2260, 0.9520, 1.6780, 2.4041.
    values = [*NOISE, -1.5, 0.0, -1.5, -1.5, -1.5]
    (later,) = find_changes(values, None, "fall", 1.0, 2.19, 0.5)
    assert (later.start, later.time) == (4.0, 9.0)


def test_the_sum_about_a_trend_by_hand():
    # NOISE about a line that falls by 2: 2 degrees of freedom are left, and
    # the scale is the same. Two and a half epochs beyond the middle, where
    # the times have the sum of squares 5, the error has the variance 1 + 1/4
    # + 2.5^2 / 5 = 2.5; then 3.7 and 5.3. Values 4 below the line are t =
    # 2.9102, 2.3922 and 1.9987, z = 1.6280, 1.4707 and 1.3258 with the factor
    # 17/19, and S is 1.1280, 2.0987, 2.9245. The line at epoch 4 is -3.
    line = [3.0 - 2.0 * i for i in range(8)]
    noise = [*NOISE, -4.0, -4.0, -4.0, -4.0]
    values = [a + b for a, b in zip(line, noise, strict=True)]
    (by_third,) = find_changes(values, None, "fall", 1.0, 2.92, 0.5)
    (by_fourth,) = find_changes(values, None, "fall", 1.0, 2.93, 0.5)
    assert (by_third.time, by_fourth.time) == (7.0, 8.0)
    assert (by_third.start, by_third.before) == (4.0, close(-3.0))


def test_the_scale_by_hand():
    # The slopes of these have the median 1, against a fall: flat, at their
    # median 0. The line goes through one of them; the other errors are 1, 1,
    # 2, 4 with upper quartile 2.5. Values of -6 are t = 6 * 1.15035 / 2.5 /
    # sqrt(1.2) = 2.5203, and z = 33/35 sqrt(4 ln(1 + 2.5203^2 / 4)) = 1.8388
    # with 4 degrees of freedom: S is 1.3388, 2.6776, 4.0165.
    values = [-2.0, 1.0, 0.0, -1.0, 4.0, -6.0, -6.0, -6.0, -6.0]
    (by_third,) = find_changes(values, None, "fall", 1.0, 4.01, 0.5)
    (by_fourth,) = find_changes(values, None, "fall", 1.0, 4.02, 0.5)
    assert (by_third.time, by_fourth.time) == (8.0, 9.0)
    assert by_third.before == 0.0


def test_the_start_is_the_last_point_at_which_the_sum_was_zero():
    # As above, but after -1.5 two values at the line: 0.7260, 0.2260, 0.
    # Epoch 7 is then the start. The line now goes through 7 values, of which
    # it takes the one at -1.5 for an outlier.
    values = [*NOISE, -1.5, 0.0, 0.0, -3.0, -3.0, -3.0]
    (change,) = find_changes(values, None, "fall", 1.0, 2.0, 0.5)
    assert change.start == 7.0
    assert change.end == 8.0


def test_the_trend_is_part_of_the_forecast():
    # On the line 5 - t, exactly, the forecast of epoch 9 is -4 and that of
    # epoch 10 is -5: values there are no fall, and a unit below them is. The
    # level at the start is the line's own.
    values = [5.0 - t for t in range(1, 9)]
    assert find_changes([*values, -4.0, -5.0, -6.0]) == []
    (change,) = find_changes([*values, -5.0, -6.0, -6.0, -6.0, -6.0])
    assert change == Change(8.0, 10.0, 10.0, 3.0, -3.0, -6.0)


def test_a_staircase_is_found_exactly():
    # Falls of 1 and 0.5 within one epoch, after epochs 8 and 16; two values
    # have to show it, since one counts for half the threshold.
    values = [2.0] * 8 + [1.0] * 8 + [0.5] * 8
    assert find_changes(values) == [
        Change(8.0, 9.0, 10.0, 1.0, 2.0, 1.0),
        Change(16.0, 17.0, 18.0, 0.5, 1.0, 0.5),
    ]


def test_the_lowest_level_counts_though_the_curve_comes_back():
    values = [2.0] * 8 + [1.0, 0.4, 0.4] + [1.0] * 5
    assert find_changes(values) == [
        Change(8.0, 10.0, 10.0, close(1.6), 2.0, 0.4)
    ]


@pytest.mark.parametrize("width", range(1, 11))
def test_a_gradual_fall_is_one_change(width):
    # By 1 in `width` equal steps after epoch 8, found at the second, since
    # one step is more than h / 2 = 3 beyond k = 1: its scale is 0.05 / 4, so
    # with 7 degrees of freedom 1/8 is 10 / sqrt(1 + 1/8) = 9.428 and z = 4.16.
    # From 9 steps on z is below 4 (1/9: 3.96), and it takes a third. The fall
    # is complete where a tenth is left: one step before the end for 10.
    fall = [2.0 - i / width for i in range(1, width + 1)]
    (change,) = find_changes([2.0] * 8 + fall + [1.0] * 8)
    assert change.start == 8.0
    assert change.time == (10.0 if width < 9 else 11.0)
    assert change.end == 8.0 + min(width, 9)
    assert (change.before, change.after) == (2.0, 1.0)


def test_an_accuracy_that_leaves_zero():
    values = [0.0] * 6 + [0.5, 1.0, 1.0, 1.0]
    (change,) = find_changes(values, direction="rise")
    assert change == Change(6.0, 8.0, 8.0, 1.0, 0.0, 1.0)
    assert find_changes(values, direction="fall") == []


@pytest.mark.parametrize(
    "curve",
    [
        np.full(100, 0.1),
        5.0 - 0.3 * EPOCHS,
        5.0 - 0.001 * EPOCHS,
        3.0 * np.exp(-EPOCHS / 3.0),
        3.0 * np.exp(-EPOCHS / 50.0),
        3.0 / EPOCHS,
        3.0 / np.sqrt(EPOCHS),
    ],
)
def test_no_change_in_a_smooth_decay(curve):
    assert find_changes(curve) == []
    # It can fail: half a unit more from epoch 51 on is found in each.
    drop = 0.5 * (EPOCHS > 50)
    assert [c.start for c in find_changes(curve - drop)] == [50.0]


def test_a_rise_is_taken_as_flat():
    # The level before is the median of the last 16 of 101, 102, ..., 151:
    # 143.5. Neither a fall to it is a change, nor one to a level that was
    # known before; one to 20 is.
    rise = list(100.0 + EPOCHS[:51])
    assert find_changes([*rise, 143.5, 143.5, 143.5]) == []
    assert find_changes([*rise, 110.0, 110.0, 110.0]) == []
    (change,) = find_changes([*rise, 20.0, 20.0, 20.0])
    assert change == Change(51.0, 52.0, 53.0, 123.5, 143.5, 20.0)


@pytest.mark.parametrize("num_values", range(6))
def test_a_short_curve_has_no_change(num_values):
    # A line needs 4 values, and a change 2 more.
    assert find_changes([3.0, 3.0, 3.0, 3.0, 1.0][:num_values]) == []


@pytest.mark.parametrize("width", [1, 2, 10, 30])
def test_the_way_back_from_a_spike_is_no_fall(width):
    spike = [2.0] * 20 + [9.0] * width + [2.0] * 20
    assert find_changes(spike) == []
    # Nor is the spike downwards that lasts for one value.
    assert find_changes([2.0] * 20 + [0.0] + [2.0] * 20) == []
    # What goes on below the level before the spike is.
    assert len(find_changes([*spike, *[1.0] * 5])) == 1


def test_a_level_once_reached_is_known():
    # The second fall, to 1.2, does not pass the 1 of before.
    values = [2.0] * 8 + [1.0] * 4 + [2.0] * 20 + [1.2] * 8
    assert [c.start for c in find_changes(values)] == [8.0]
    # A few values at the beginning are no level: one takes half a window.
    values = [1.0] * 4 + [3.0] * 20 + [1.5] * 8
    assert [c.start for c in find_changes(values)] == [24.0]


def test_an_outlier_is_no_change_whatever_came_before():
    # Values just below the line bring the sum to its threshold, and one value
    # alone is far below; two are a change.
    low = [2.0] * 16 + [1.97] * 7
    assert find_changes([*low, 1.8, *[2.0] * 10]) == []
    assert len(find_changes([*low, 1.8, 1.8, *[2.0] * 10])) == 1


def test_no_change_below_the_smallest_size():
    # By 0.25 from 1 to 0.75: the running median has to move by more.
    values = [1.0] * 8 + [0.75] * 8
    assert find_changes(values, min_size=0.25) == []
    assert len(find_changes(values, min_size=0.24)) == 1


@pytest.mark.parametrize("curve", list(random_curves(8)))
def test_a_change_is_never_taken_back_only_extended(curve):
    detector, before = ChangeDetector(), []
    for num, value in enumerate(curve, start=1):
        found = detector.update(value, num)
        changes = list(detector.changes)
        assert changes == find_changes(curve[:num])
        assert (changes[-1] if found else None) == found
        assert bool(found) == (changes != before)
        for old, new in zip(before, changes, strict=False):
            assert (old.start, old.time) == (new.start, new.time)
            assert old.before == new.before
            assert old.end <= new.end
            assert old.size <= new.size
        for change in changes:
            assert change.start < change.end <= num
            assert change.start < change.time <= num
            assert change.size > 0.05
            assert change.size == close(change.before - change.after)
        # Only the last one may still go on.
        assert changes[: len(before) - 1] == before[:-1]
        before = changes
    assert before  # it can fail


@pytest.mark.parametrize("curve", list(random_curves(8)))
def test_unit_and_direction_do_not_matter(curve):
    changes = find_changes(curve)
    scaled = find_changes(100.0 + 4.0 * curve, min_size=0.2)
    mirrored = find_changes(-curve, direction="rise")
    for change, wide, rise in zip(changes, scaled, mirrored, strict=True):
        for other in (wide, rise):
            assert other.start == change.start
            assert other.end == change.end
            assert other.time == change.time
        assert wide.size == close(4.0 * change.size, rel=1e-9)
        assert rise.size == change.size
        assert (rise.before, rise.after) == (-change.before, -change.after)


@pytest.mark.parametrize("missing", [NAN, math.inf, -math.inf])
def test_epochs_without_a_value_are_skipped(missing):
    # Evaluated every third epoch: the same changes, in other epochs.
    values = [2.0, 2.1, 2.0, 1.9, 2.0, 1.0, 1.1, 1.0, 1.0, 1.0]
    gaps = np.full(30, missing)
    gaps[2::3] = values
    times = np.arange(3, 31, 3)
    changes = find_changes(gaps)
    assert changes == find_changes(values, times)
    assert [(c.start, c.end) for c in changes] == [(15.0, 18.0)]


def test_a_line_goes_through_unequal_times():
    # On 20 - t at times 1, 2, 4, 8, 9, 12 nothing falls; one unit lower does.
    times = [1, 2, 4, 8, 9, 12, 13, 14]
    values = [20.0 - t for t in times]
    assert find_changes(values, times) == []
    values[-2:] = [values[-2] - 1.0, values[-1] - 1.0]
    assert [c.start for c in find_changes(values, times)] == [12.0]


def test_a_detector_starts_anew():
    first = [9.0] * 8 + [5.0] * 3
    second = [2.0] * 8 + [1.0] * 3
    detector = ChangeDetector()
    for curve in (first, second):
        detector.reset()
        assert detector.changes == []
        for epoch, value in enumerate(curve, start=1):
            detector.update(value, epoch)
        assert detector.changes == find_changes(curve)
    assert detector.changes == [Change(8, 9, 10, 1.0, 2.0, 1.0)]


@pytest.mark.parametrize("sd", [0.01, 1.0])
def test_white_noise_gives_few_false_alarms(sd):
    # At most 1 in 1000 epochs: of 4800 epochs, 4.8 + 4 sqrt(4.8) = 13.6.
    rng = np.random.default_rng(7)
    curves = rng.normal(2.0, sd, (12, 400))
    num_alarms = sum(len(find_changes(curve)) for curve in curves)
    assert num_alarms <= 13


@pytest.mark.parametrize("freedom", [2, 3, 5, 14])
def test_student_is_carried_to_the_normal(freedom):
    for z in (0.5, 1.0, 2.0, 3.0, 4.0):
        t = stats.t.isf(stats.norm.sf(z), freedom)
        allowed = 0.21 if freedom == 2 else 0.12
        assert -0.01 <= z - normal_from_t(t, freedom) <= allowed
        assert normal_from_t(-t, freedom) == -normal_from_t(t, freedom)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("direction", "down"),
        ("min_size", 0.0),
        ("min_size", NAN),
        ("threshold", -1.0),
        ("threshold", math.inf),
        ("drift", 0.0),
        ("window", 3),
    ],
)
def test_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Received: {name}="):
        find_changes([], **{name: value})


def test_times_must_increase_one_for_each_value():
    with pytest.raises(ValueError, match="time=2 after 2"):
        find_changes([1.0, 1.0], [2, 2])
    with pytest.raises(ValueError, match="time=nan"):
        find_changes([1.0], [NAN])
    with pytest.raises(ValueError, match="1 times, 2 values"):
        find_changes([1.0, 1.0], [1])


def test_a_change_cannot_be_altered():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Change(1, 2, 2, 1.0, 0.0, 1.0).size = 2.0
