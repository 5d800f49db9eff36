"""Tests for tiny_gpt/claims/measure.py."""

import math

import pytest

from tiny_gpt.claims.measure import (
    Measure,
    constant,
    difference,
    share,
    subtract,
)

ALL = dict.fromkeys(range(20), 0.9)


def read(values):
    return lambda evidence: values


def test_a_share_has_the_exact_interval():
    measure = share("seeds above 50 %", read(ALL), above=0.5)
    # All of 20: the lowest p has p^20 = (1 - 0.998) / 2 = 0.001.
    found = measure.interval(ALL, 0.998)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.001 ** (1 / 20))
    # None of 20 below 50 %: the same from the other side.
    other = share("seeds below 50 %", read(ALL), below=0.5)
    assert other.interval(ALL, 0.998).high == pytest.approx(1 - found.low)


def test_a_success_is_above_or_below_and_not_at_the_threshold():
    values = {0: 0.4, 1: 0.5, 2: 0.6}
    high = share("x", read(values), above=0.5)
    low = share("y", read(values), below=0.5)
    assert high.interval(values, 0.9).value == pytest.approx(1 / 3)
    assert low.interval(values, 0.9).value == pytest.approx(1 / 3)


def test_equal_means_have_an_interval_with_bounds_and_none_without():
    bounded = Measure(name="x", values=read(ALL), bounds=(0.0, 1.0))
    found = bounded.interval(ALL, 0.998)
    # A share q of other seeds stays unseen: (1 - q)^20 = 0.001. The mean is
    # then at most 0.9 + q 0.1, and at least 0.9 - q 0.9.
    q = 1 - 0.001 ** (1 / 20)
    assert found.low == pytest.approx(0.9 - 0.9 * q)
    assert found.high == pytest.approx(0.9 + 0.1 * q)
    free = Measure(name="x", values=read(ALL))
    assert math.isnan(free.interval(ALL, 0.998).low)


def test_a_ratio_is_a_geometric_mean():
    # ln 2, ln 4, ln 8: the geometric mean is 4.
    values = {n: math.log(2 ** (n + 1)) for n in range(3)}
    measure = Measure(name="x", values=read(values), unit="ratio", kind="ratio")
    found = measure.interval(values, 0.95)
    assert found.value == pytest.approx(4.0)
    assert found.low * found.high == pytest.approx(16.0)


def test_a_median_may_be_infinite():
    values = dict(enumerate([1.0] * 4 + [math.inf] * 16))
    measure = Measure(
        name="x", values=read(values), unit="ratio", kind="median"
    )
    found = measure.interval(values, 0.99)  # the 4th and the 17th of 20
    assert (found.low, found.value, found.high) == (1.0, math.inf, math.inf)


def test_a_constant_has_no_width():
    measure = constant("x", lambda evidence: 0.07, "probability")
    found = measure.interval(measure.values(None), 0.95)
    assert (found.low, found.value, found.high) == (0.07, 0.07, 0.07)


def test_a_difference_is_paired_and_stays_in_its_range():
    first, second = {0: 1.0, 1: 1.0}, {1: 0.25, 0: 0.5}
    measure = difference("x", read(first), read(second))
    values = measure.values(None)
    assert values == {0: 0.5, 1: 0.75}
    assert measure.interval(values, 0.999).high == 1.0
    with pytest.raises(ValueError, match=r"unpaired=\[1, 2\]"):
        subtract({0: 0.5, 1: 0.5}, {0: 0.4, 2: 0.4})


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"kind": "mode"}, "kind='mode'"),
        ({"unit": "cm"}, "unit='cm'"),
        ({"kind": "share"}, "`above` or `below`"),
        ({"kind": "share", "above": 0.5, "below": 0.4}, "above=0.5, below=0.4"),
        ({"above": 0.5}, "A share, and nothing else"),
    ],
)
def test_a_wrong_measure_is_refused(fields, rule):
    with pytest.raises(ValueError, match=rule):
        Measure(name="x", values=read(ALL), **fields)
