"""Tests for pairs and corrections in tiny_gpt/analysis/statistics.py."""

import math
import re

import pytest

from tiny_gpt.analysis.statistics import (
    corrected_level,
    paired_difference,
    t_interval,
)

INF, NAN = math.inf, math.nan
ACCURACIES = [0.15, 0.9, 0.42, 0.88, 0.2]


def close(value):
    return pytest.approx(value, rel=1e-12)


def ends(interval):
    return interval.low, interval.high


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
    second = {2: 0.6, 0: 0.9, 1: 0.0}
    # Differences 0.0, 0.2, 0.1: mean 0.1, spread 0.1, t = 4.3027 at 95 %.
    interval, _ = paired_difference(first, second)
    assert interval.value == close(0.1)
    assert interval.high == pytest.approx(0.1 + 4.302653 * 0.1 / 3**0.5)
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
    # Equal differences, and no bounds: other seeds may differ by anything.
    assert interval.value == 0.0
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
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


def test_bonferroni_shares_the_error_out():
    assert corrected_level(0.95, 1) == close(0.95)
    assert corrected_level(0.95, 5) == close(0.99)


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
