"""Tests for tiny_gpt/claims/rule.py."""

import math

import pytest

from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    NOT_NEEDED,
    SUPPORTED,
    UNDECIDED,
    above,
    below,
    case,
    either,
    explained,
    observed,
    within,
)

RULE = observed(
    case(CONFIRMED, above("x", 0.5), within("y", -1.0, 1.0)),
    either(NOT_CONFIRMED, (below("x", 0.5),), (above("y", 1.0),)),
)


@pytest.mark.parametrize(
    ("x", "y", "outcome"),
    [
        ((0.6, 0.7), (-0.5, 0.5), CONFIRMED),
        ((0.5, 0.7), (-0.5, 0.5), UNDECIDED),  # it starts at the limit
        ((0.6, 0.7), (-0.5, 1.0), UNDECIDED),  # no equivalence
        ((0.1, 0.4), (-0.5, 0.5), NOT_CONFIRMED),
        ((0.6, 0.7), (1.5, 2.0), NOT_CONFIRMED),
        ((math.nan, math.nan), (-0.5, 0.5), UNDECIDED),  # one seed
    ],
)
def test_the_whole_interval_decides(x, y, outcome):
    intervals = {"x": Interval(sum(x) / 2, *x), "y": Interval(sum(y) / 2, *y)}
    assert RULE.decide(intervals) == outcome


def test_the_first_case_that_holds_is_concluded():
    rule = explained(
        case(SUPPORTED, above("x", 0.5)), case(NOT_NEEDED, above("x", 0.0))
    )
    assert rule.decide({"x": Interval(0.7, 0.6, 0.8)}) == SUPPORTED
    assert rule.decide({"x": Interval(0.4, 0.3, 0.5)}) == NOT_NEEDED
    assert rule.decide({"x": Interval(0.0, -0.1, 0.1)}) == UNDECIDED


def test_a_rule_in_words_has_every_digit():
    assert RULE.measures == {"x", "y"}
    assert RULE.describe({"x": "fraction", "y": "count"}) == (
        "confirmed if [x] > 50 % and −1 < [y] < 1; not confirmed if "
        "[x] < 50 %, or if [y] > 1; otherwise undecided"
    )
    close = observed(case(CONFIRMED, within("x", 0.07735, 0.07745)))
    assert close.describe({"x": "probability"}).startswith(
        "confirmed if 0.07735 < [x] < 0.07745;"
    )
    assert (
        observed(case(CONFIRMED, above("x", -0.05)))
        .describe({"x": "difference"})
        .startswith("confirmed if [x] > −5 points;")
    )
