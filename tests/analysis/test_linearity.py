"""Tests for tiny_gpt/analysis/linearity.py."""

import numpy as np
import pytest

from tiny_gpt.analysis import linearity


def test_derivative_without_rounding():
    # 2 x + x^3 has the derivative 2 at 0, and exp(3 x) has 3.
    def output(x):
        return np.array([2 * x + x**3, np.exp(3 * x)])

    np.testing.assert_array_equal(linearity.first_order_change(output), [2, 3])


def test_departure_of_a_square():
    # x + x^2 departs from x by x^2 / x = x.
    one = np.ones(3)
    assert linearity.departure(one * 0.11, one, 0.1) == pytest.approx(0.1)
    assert linearity.departure(one * 0.2, one, 0.2) == 0


def test_slope_is_the_power():
    epsilons = np.array([1e-4, 1e-2, 1.0])
    slope = linearity.log_log_slope(epsilons, list(3 * epsilons**2))
    assert slope == pytest.approx(2)


def test_breaking_epsilon():
    # x + x^2: 10 % at 0.1; a place that is on the grid, and one that is not.
    def found(threshold):
        return linearity.breaking_epsilon(lambda x: x, threshold)

    assert found(0.1) == pytest.approx(0.1, rel=1e-6)
    assert found(0.123) == pytest.approx(0.123, rel=1e-6)


def test_breaking_epsilon_outside_is_an_end():
    ends = (1e-2, 10.0)
    assert linearity.breaking_epsilon(lambda x: 0.0, 0.1, ends) == 10.0
    assert linearity.breaking_epsilon(lambda x: 1.0, 0.1, ends) == 1e-2


def test_the_first_break_counts():
    # Beyond 1 it falls below the threshold again.
    def departure_at(x):
        return x if x < 1 else 0.0

    found = linearity.breaking_epsilon(departure_at, 0.3)
    assert found == pytest.approx(0.3, rel=1e-6)


def test_nothing_departs_from_no_slope():
    with pytest.raises(ValueError, match="must not be 0"):
        linearity.departure(np.ones(2), np.zeros(2), 0.1)
