"""Tests for tiny_gpt/analysis/statistics.py."""

import math
import re

import numpy as np
import pytest
from scipy import stats

from tiny_gpt.analysis.statistics import (
    bimodality_coefficient,
    bootstrap_interval,
    corrected_level,
    exact_binomial_interval,
    is_bimodal,
    median_interval,
    paired_difference,
    t_interval,
    wilson_interval,
)
from tiny_gpt.analysis.times import median_time

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


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_equal_seeds_leave_open_that_others_differ(value):
    # A share q of other seeds is missed by 10 draws with probability
    # (1 - q)^10 = 0.025, so that q = 0.308. They may have 0 or 1. (The mean
    # of ten times 0.1 by summation is 0.1 less one bit.)
    q = 1 - 0.025 ** (1 / 10)
    found = t_interval([value] * 10, 0.95, (0, 1))
    assert found.value == value
    assert ends(found) == close((value - q * value, value + q * (1 - value)))


def test_equal_seeds_without_bounds_prove_nothing():
    found = t_interval([-2.5] * 10)
    assert found.value == -2.5
    assert np.isnan(ends(found)).all()
    assert np.isnan(ends(t_interval([0.5] * 3, bounds=(0, math.inf)))).all()


def test_rounding_is_no_spread():
    found = t_interval([0.1 + 0.2, 0.3], bounds=(0, 1))
    q = 1 - math.sqrt(0.025)  # two seeds
    assert ends(found) == close((0.3 - 0.3 * q, 0.3 + 0.7 * q))


def test_one_seed_has_no_interval():
    interval = t_interval([0.7])
    assert interval.value == 0.7
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


# A share of seeds


def test_two_seeds_resample_to_three_means():
    # Of (0, 0), (0, 1), (1, 0) and (1, 1): 0, 1/2, 1/2 and 1. The middle 40 %
    # of the means are 1/2, the middle 95 % go from 0 to 1.
    narrow = bootstrap_interval([0.0, 1.0], "mean", 0.4)
    assert (narrow.value, *ends(narrow)) == (0.5, 0.5, 0.5)
    assert ends(bootstrap_interval([0.0, 1.0], "mean")) == (0.0, 1.0)


def test_the_resampled_median_of_three_by_hand():
    # 1 is the median if drawn 2 or 3 times: 3 (1/9)(2/3) + 1/27 = 7/27 = 0.26
    # of the time, so it is outside the middle 40 % and inside the middle 60 %.
    values = [0.0, 1.0, 0.0]
    assert ends(bootstrap_interval(values, "median", 0.4)) == (0.0, 0.0)
    wide = bootstrap_interval(values, "median", 0.6)
    assert (wide.value, *ends(wide)) == (0.0, 0.0, 1.0)


def test_a_bootstrap_repeats_whatever_the_order_of_seeds():
    one = bootstrap_interval(ACCURACIES)
    assert one.value == 0.42
    assert one == bootstrap_interval(ACCURACIES[::-1])
    assert one.low in ACCURACIES  # of five values, a median is one of them
    assert one.high in ACCURACIES


def test_a_bootstrap_needs_two_different_seeds():
    assert ends(bootstrap_interval([0.3, 0.3, 0.3])) == (0.3, 0.3)
    one = bootstrap_interval([0.3])
    assert one.value == 0.3
    assert np.isnan(ends(one)).all()


def test_an_unknown_statistic_is_refused():
    with pytest.raises(ValueError, match="Received: statistic='mode'"):
        bootstrap_interval([0.1, 0.2], "mode")


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


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 7), (18, 20), (20, 20)])
@pytest.mark.parametrize("level", [0.95, 0.998])
def test_the_exact_interval_ends_where_the_tails_do(k, n, level):
    # Clopper and Pearson: P(X >= k | low) = P(X <= k | high) = (1 - level) / 2.
    found, tail = exact_binomial_interval(k, n, level), (1 - level) / 2
    assert found.value == k / n
    if k > 0:
        assert stats.binom.sf(k - 1, n, found.low) == pytest.approx(tail)
    if k < n:
        assert stats.binom.cdf(k, n, found.high) == pytest.approx(tail)
    assert found.low == 0.0 or k > 0
    assert found.high == 1.0 or k < n


def test_twenty_of_twenty():
    # p^20 = 0.001 at p = 0.708.
    found = exact_binomial_interval(20, 20, 0.998)
    assert found.low == close(0.001 ** (1 / 20))
    assert found.low > 0.7


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


# Two conditions


# Several tests


# Errors


@pytest.mark.parametrize("values", [[], [0.5, NAN], [INF, 1.0], [[1.0, 2.0]]])
@pytest.mark.parametrize(
    "function",
    [t_interval, bootstrap_interval, bimodality_coefficient, is_bimodal],
)
def test_values_must_be_finite_numbers(function, values):
    rule = f"`values` must be one or more finite numbers. Received: {values=}"
    with pytest.raises(ValueError, match=re.escape(rule)):
        function(values)


def test_the_ends_of_a_median_are_two_of_the_ordered_values():
    values = np.random.default_rng(0).permutation(20) + 1.0
    found = median_interval(values, 0.95)
    # P(5 of 20 heads or fewer) = 0.0207, 6 or fewer 0.0577: the 6th and 15th.
    assert (found.low, found.value, found.high) == (6.0, 10.5, 15.0)
    # At 99.7 %: P(3 or fewer) = 0.0013, so the 4th and 17th.
    found = median_interval(values, 0.997)
    assert (found.low, found.high) == (4.0, 17.0)
    assert math.isnan(median_interval([1.0, 2.0, 3.0]).low)


def test_infinite_values_are_the_largest_and_unknown_ones_widen():
    values = [1.0, 2.0, 3.0, 4.0, 5.0, math.inf, math.inf, math.inf, math.inf]
    found = median_interval(values)  # of nine, the 2nd and 8th
    assert (found.low, found.value, found.high) == (2.0, 5.0, math.inf)
    assert median_interval([*[math.inf] * 5, *values]).value == math.inf
    unknown = median_interval([NAN, *values[1:5], 6.0, 7.0, 8.0, 9.0])
    # NaN is the smallest for the lower end, the largest for the upper one.
    assert (unknown.low, unknown.high) == (2.0, 9.0)
    assert math.isnan(unknown.value)  # 5 or 6
    with pytest.raises(ValueError, match="one or more numbers"):
        median_interval([])


def test_the_interval_of_a_median_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(1)
    draws = rng.exponential(size=(2000, 20))
    covered = [
        found.low <= math.log(2) <= found.high
        for found in (median_interval(draw, 0.9) for draw in draws)
    ]
    # Between its exact 0.959 and the binomial spread of 2000 draws.
    assert np.mean(covered) == pytest.approx(0.959, abs=0.015)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, NAN])
@pytest.mark.parametrize(
    "call",
    [
        lambda level: t_interval([1.0, 2.0], level),
        lambda level: t_interval([1.0], level),
        lambda level: bootstrap_interval([1.0, 2.0], level=level),
        lambda level: wilson_interval(1, 2, level),
        lambda level: exact_binomial_interval(1, 2, level),
        lambda level: median_time([1.0, 2.0], 9, level),
        lambda level: median_interval([1.0, 2.0], level),
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
    with pytest.raises(ValueError, match=f"num_successes={k}, num_trials={n}"):
        exact_binomial_interval(k, n)
