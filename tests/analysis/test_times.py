"""Tests for tiny_gpt/analysis/times.py."""

import math

import pytest

from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.analysis.times import median_time, time_to_threshold

INF, NAN = math.inf, math.nan


def ends(interval):
    return interval.low, interval.high


def close(value):
    return pytest.approx(value, rel=1e-12)


def test_the_first_time_counts_and_equality_reaches():
    curve = [0.1, 0.4, 0.5, 0.2, 0.9]
    assert time_to_threshold([1, 2, 4, 8, 16], curve, 0.5) == 4.0


def test_a_curve_that_never_arrives_has_infinite_time():
    assert time_to_threshold([1, 2, 3], [0.1, 0.4, 0.49], 0.5) == INF


def test_kaplan_meier_by_hand():
    # P(time > t) is 4/5 after 1, 3/5 after 3, 2/5 after 4: at most 1/2 at 4.
    assert median_time([3.0, 1.0, INF, 4.0, INF], 9).value == 4.0
    # 3/4 after 1 and exactly 1/2 after 3.
    assert median_time([1.0, INF, 3.0, INF], 9).value == 3.0
    # 2/3 after 5, and nobody else arrives.
    assert median_time([INF, 5.0, INF], 9).value == INF
    # One arrives at the end: 1/2.
    assert median_time([9.0, INF], 9).value == 9.0


@pytest.mark.parametrize("num_seeds", range(2, 41, 2))
def test_half_the_seeds_are_enough_whatever_the_rounding(num_seeds):
    half = num_seeds // 2
    times = [*range(1, half + 1), *[INF] * half]
    assert median_time(times, 99).value == half


def test_the_interval_runs_between_ordered_times():
    # Of 9 seeds, fewer than 2 are before the median with probability 10/512
    # = 0.020 <= 0.025, and fewer than 3 with 46/512: second to eighth.
    times = [8.0, 3.0, 1.0, 2.0, 5.0, 4.0, 6.0, 7.0, 9.0]
    assert median_time(times, 9) == Interval(5.0, 2.0, 8.0)


def test_censored_seeds_leave_the_interval_open():
    # Of 6 seeds at 0.95: first to last, 1 - 2/2^6 = 0.969.
    times = [1.0, 2.0, 3.0, 4.0, 5.0, INF]
    assert median_time(times, 9) == Interval(3.0, 1.0, INF)
    assert median_time([INF] * 6, 9) == Interval(INF, 9.0, INF)


@pytest.mark.parametrize(("level", "fewest"), [(0.95, 6), (0.997, 10)])
def test_too_few_seeds_have_no_interval_of_time(level, fewest):
    # 1 - 2/2^n: 0.938, 0.969 for 5, 6 seeds; 0.9961, 0.9980 for 9, 10.
    too_few = median_time(range(1, fewest), 99, level)
    assert all(math.isnan(end) for end in ends(too_few))
    assert median_time(range(fewest), 99, level).low == 0.0


@pytest.mark.parametrize(
    ("times", "values"),
    [
        ([1, 2], [0.1]),
        ([2, 1], [0.1, 0.2]),
        ([1, 1], [0.1, 0.2]),
        ([], []),
        ([1, 2], [0.1, NAN]),
        ([1, INF], [0.1, 0.2]),
    ],
)
def test_a_curve_needs_increasing_times_and_a_value_at_each(times, values):
    with pytest.raises(ValueError, match=r"Received: (times|values)="):
        time_to_threshold(times, values, 0.5)


def test_a_threshold_is_a_number():
    with pytest.raises(ValueError, match="threshold="):
        time_to_threshold([1.0], [0.5], NAN)


@pytest.mark.parametrize(
    ("times", "last_time"),
    [([], 9), ([1, NAN], 9), ([1, -INF], 9), ([10], 9), ([1, INF], NAN)],
)
def test_a_time_is_at_most_the_last_or_infinite(times, last_time):
    with pytest.raises(ValueError, match="Received: times="):
        median_time(times, last_time)
