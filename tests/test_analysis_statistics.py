"""Tests for tiny_gpt/analysis/statistics.py."""

import math
import re

import numpy as np
import pytest
from scipy import stats

from tiny_gpt.analysis.statistics import (
    Interval,
    bimodality_coefficient,
    corrected_level,
    is_bimodal,
    median_time,
    paired_difference,
    t_interval,
    time_to_threshold,
    wilson_interval,
)

INF, NAN = math.inf, math.nan
ACCURACIES = [0.15, 0.9, 0.42, 0.88, 0.2]


def close(value):
    return pytest.approx(value, rel=1e-12)


def ends(interval):
    return interval.low, interval.high


# The mean


def test_two_seeds_have_the_quantile_of_cauchy():
    # With one degree of freedom t = tan(pi level / 2), 1 at level 1/2. Of 4
    # and 6, s = sqrt 2 and the standard error is 1: 5 -+ 1.
    interval = t_interval([6.0, 4.0], level=0.5)
    assert interval.value == 5.0
    assert ends(interval) == close((4.0, 6.0))


def test_three_seeds_follow_students_closed_form():
    # With two degrees of freedom t = L sqrt(2 / (1 - L^2)) at level L. Of 0,
    # 0 and 3 the mean is 1, s = sqrt 3 and the standard error 1.
    t = 0.95 * math.sqrt(2 / (1 - 0.95**2))
    interval = t_interval([0.0, 0.0, 3.0], level=0.95)
    assert interval.value == 1.0
    assert ends(interval) == close((1.0 - t, 1.0 + t))


def test_the_interval_is_cut_off_at_the_bounds():
    interval = t_interval([0.0, 1.0, 1.0], bounds=(0.0, 1.0))
    assert ends(interval) == (0.0, 1.0)
    assert t_interval([0.0, 1.0, 1.0]).high > 1.0


def test_adding_a_constant_moves_value_and_ends():
    before, after = (
        t_interval(ACCURACIES),
        t_interval([v + 3 for v in ACCURACIES]),
    )
    assert after.value == close(before.value + 3)
    assert ends(after) == close((before.low + 3, before.high + 3))


def test_the_order_of_seeds_does_not_matter():
    shuffled = np.random.default_rng(0).permutation(ACCURACIES)
    assert list(shuffled) != ACCURACIES
    assert t_interval(shuffled) == t_interval(ACCURACIES)


def test_a_higher_level_is_a_wider_interval_around_the_mean():
    narrow, wide = t_interval(ACCURACIES, 0.95), t_interval(ACCURACIES, 0.997)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, -2.5])
def test_equal_seeds_give_an_interval_without_width(value):
    # The mean of ten times 0.1 by summation is 0.1 less one bit.
    assert t_interval([value] * 10) == Interval(value, value, value)


def test_rounding_is_no_spread():
    interval = t_interval([0.1 + 0.2, 0.3])
    assert interval.low == interval.high


def test_one_seed_has_no_interval():
    interval = t_interval([0.7])
    assert interval.value == 0.7
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


# A share of seeds


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 7), (20, 20)])
@pytest.mark.parametrize("level", [0.95, 0.997])
def test_wilson_is_the_formula(k, n, level):
    # (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).
    z, p = stats.norm.ppf((1 + level) / 2), k / n
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (
        (p + z**2 / (2 * n) + sign * half) / (1 + z**2 / n) for sign in (-1, 1)
    )
    interval = wilson_interval(k, n, level)
    assert interval.value == p
    assert interval.low == pytest.approx(low, rel=1e-12, abs=1e-15)
    assert interval.high == close(high)
    assert 0 <= interval.low <= p <= interval.high <= 1


def test_failures_mirror_successes():
    some, rest = wilson_interval(2, 9), wilson_interval(7, 9)
    assert ends(some) == close((1 - rest.high, 1 - rest.low))


# Two groups of seeds


def test_two_and_two_points_by_hand():
    # Skewness 0. Excess kurtosis 1 - 3 = -2, corrected 3/2 (5 * -2 + 6) =
    # -6. 3 * 3^2 / (2 * 1) = 27/2. 1 / (27/2 - 6) = 2/15.
    assert bimodality_coefficient([0.0, 0.0, 1.0, 1.0]) == close(2 / 15)


def test_one_against_three_by_hand():
    # Skewness 2/sqrt 3, corrected times sqrt(12)/2: 2. Excess kurtosis 7/3 -
    # 3 = -2/3, corrected 3/2 (5 * -2/3 + 6) = 4. (4 + 1) / (4 + 27/2) = 2/7.
    assert bimodality_coefficient([1.0, 0.0, 0.0, 0.0]) == close(2 / 7)


def test_five_and_five_points_are_the_fewest_equal_groups_found():
    # n = 10: kurtosis 9/56 (11 * -2 + 6) = -144/56, and 3 * 9^2/56 = 243/56,
    # so 56/99, just above 5/9 = 55/99. n = 8: 1 / (4.9 - 2.8) = 10/21.
    assert bimodality_coefficient([0.0, 1.0] * 5) == close(56 / 99)
    assert is_bimodal([0.0, 1.0] * 5)
    assert bimodality_coefficient([0.0, 1.0] * 4) == close(10 / 21)
    assert not is_bimodal([0.0, 1.0] * 4)


def test_one_outlier_counts_as_a_group_from_six_seeds():
    assert not is_bimodal([1.0] + [0.0] * 4)
    assert is_bimodal([1.0] + [0.0] * 5)


def test_the_coefficient_has_no_unit():
    scaled = [100 * v - 7 for v in ACCURACIES]
    expected = bimodality_coefficient(ACCURACIES)
    assert bimodality_coefficient(scaled) == close(expected)


def test_an_even_spread_is_one_group():
    assert not is_bimodal(np.linspace(0, 1, 20))


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0, 1.0], [0.3] * 12])
def test_few_or_equal_seeds_are_one_group(values):
    assert is_bimodal(values) is False
    with pytest.raises(ValueError, match=re.escape(f"values={values}")):
        bimodality_coefficient(values)


# Times


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


# Two conditions


@pytest.mark.parametrize("num_seeds", [2, 5, 12, 13])
def test_one_sign_throughout_has_the_smallest_p_value(num_seeds):
    # Only "all kept" and "all flipped" are as far out: 2 of 2^n.
    first = {seed: 1.0 + seed for seed in range(num_seeds)}
    second = {seed: 0.5 * seed for seed in range(num_seeds)}
    _, p_value = paired_difference(first, second)
    assert p_value == close(2 / 2**num_seeds)


def test_sign_flips_by_hand():
    # -1 + 2 + 4 = 5. The 8 sums are -+1, -+3, -+5, -+7; two reach 5, and two
    # mirror them.
    first = {0: -1.0, 1: 2.0, 2: 4.0}
    interval, p_value = paired_difference(first, dict.fromkeys(first, 0.0))
    assert p_value == 4 / 8
    assert interval == t_interval([-1.0, 2.0, 4.0])


def test_values_are_paired_by_seed_in_any_order():
    first = {0: 0.9, 1: 0.2, 2: 0.7}
    second = {2: 0.6, 0: 0.8, 1: 0.1}
    interval, _ = paired_difference(first, second)
    assert interval.low == close(0.1)
    assert interval.high == close(0.1)
    backwards = dict(reversed(first.items()))
    assert paired_difference(backwards, second)[0] == interval


def test_exchanging_the_conditions_changes_the_sign_only():
    first = dict(enumerate(ACCURACIES))
    second = dict(enumerate([0.1, 0.5, 0.5, 0.3, 0.3]))
    (forth, p_forth), (back, p_back) = (
        paired_difference(first, second),
        paired_difference(second, first),
    )
    assert (forth.value, *ends(forth)) == close(
        (-back.value, -back.high, -back.low)
    )
    assert p_forth == p_back


def test_no_difference_is_no_evidence():
    same = dict(enumerate(ACCURACIES))
    interval, p_value = paired_difference(same, same)
    assert interval == Interval(0.0, 0.0, 0.0)
    assert p_value == 1.0


def test_one_seed_is_never_a_verdict():
    interval, p_value = paired_difference({7: 1.0}, {7: 0.0})
    assert interval.value == 1.0
    assert math.isnan(interval.low)
    assert p_value == 1.0


def test_random_flips_repeat_and_agree_with_all_flips():
    # 16 differences of 1, k of them negative: the sum has P(X <= k) + P(X >=
    # 16 - k), X binomial with n = 16. k = 5: 2 * 6885 / 65536 = 0.2101. From
    # 9,999 flips, 4 standard errors are 8 sqrt(0.105 * 0.895 / 9999) = 0.025.
    first = {seed: -1.0 if seed < 5 else 1.0 for seed in range(16)}
    zero = dict.fromkeys(first, 0.0)
    _, p_value = paired_difference(first, zero)
    assert p_value == pytest.approx(2 * 6885 / 65536, abs=0.025)
    assert paired_difference(first, zero)[1] == p_value
    backwards = dict(reversed(first.items()))
    assert paired_difference(backwards, zero)[1] == p_value


# Several tests


def test_bonferroni_shares_the_error_out():
    assert corrected_level(0.95, 1) == close(0.95)
    assert corrected_level(0.95, 5) == close(0.99)


# Errors


@pytest.mark.parametrize("values", [[], [0.5, NAN], [INF, 1.0], [[1.0, 2.0]]])
@pytest.mark.parametrize(
    "function", [t_interval, bimodality_coefficient, is_bimodal]
)
def test_values_must_be_finite_numbers(function, values):
    rule = f"`values` must be one or more finite numbers. Received: {values=}"
    with pytest.raises(ValueError, match=re.escape(rule)):
        function(values)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, NAN])
@pytest.mark.parametrize(
    "call",
    [
        lambda level: t_interval([1.0, 2.0], level),
        lambda level: t_interval([1.0], level),
        lambda level: wilson_interval(1, 2, level),
        lambda level: median_time([1.0, 2.0], 9, level),
        lambda level: paired_difference({0: 1.0}, {0: 0.0}, level),
        lambda level: corrected_level(level, 2),
    ],
)
def test_a_level_lies_between_zero_and_one(call, level):
    with pytest.raises(ValueError, match=f"Received: level={level}"):
        call(level)


@pytest.mark.parametrize("values", [[0.5, 1.01], [-0.1, 0.5], [2.0]])
def test_a_value_out_of_bounds_is_refused(values):
    with pytest.raises(ValueError, match=re.escape(f"{values=}, bounds=(0, 1")):
        t_interval(values, bounds=(0, 1))


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_more_successes_than_trials_are_refused(k, n):
    with pytest.raises(ValueError, match=f"num_successes={k}, num_trials={n}"):
        wilson_interval(k, n)


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


def test_seeds_of_one_condition_only_are_named():
    first, second = {1: 0.0, 2: 0.0, 5: 1.0}, {1: 0.0, 2: 1.0, 9: 0.0}
    with pytest.raises(ValueError, match=re.escape("unpaired=[5, 9]")):
        paired_difference(first, second)


def test_a_difference_needs_seeds_and_numbers():
    with pytest.raises(ValueError, match="finite"):
        paired_difference({}, {})
    with pytest.raises(ValueError, match="finite"):
        paired_difference({0: NAN}, {0: 1.0})


@pytest.mark.parametrize("num_tests", [0, -3])
def test_a_correction_needs_a_test(num_tests):
    with pytest.raises(ValueError, match=f"num_tests={num_tests}"):
        corrected_level(0.95, num_tests)
