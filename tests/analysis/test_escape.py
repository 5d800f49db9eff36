"""Tests for tiny_gpt/analysis/escape.py."""

import math

import pytest

from tiny_gpt.analysis.escape import escape_time, share_lost

TIMES = [100, 200, 300, 400]


def test_escape_by_hand():
    # From 2 to 0.4 half of the way is 1.2, three quarters 0.8, all 0.4.
    losses = [2.1, 1.3, 1.2, 0.8]
    assert escape_time(TIMES, losses, 2.0, 0.4) == 300.0
    assert escape_time(TIMES, losses, 2.0, 0.4, share=0.75) == 400.0
    assert escape_time(TIMES, losses, 2.0, 0.4, share=1.0) == math.inf


def test_the_first_escape_counts():
    assert escape_time(TIMES, [2.0, 1.0, 1.9, 1.0], 2.0, 0.4) == 200.0


def test_what_is_lost_again_by_hand():
    # From 2 down to 0.5, and up to 0.8: 0.3 of 1.5.
    assert share_lost([1.9, 0.5, 0.8], 2.0) == pytest.approx(0.2)
    assert share_lost([1.9, 0.8, 0.5], 2.0) == 0.0
    assert share_lost([1.0, 2.0], 2.0) == 1.0
    assert share_lost([1.0, 3.0], 2.0) == 2.0
    assert math.isnan(share_lost([2.1, 2.2], 2.0))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"share": 0.0}, "`share`"),
        ({"floor": 2.0}, "`floor` must lie below"),
        ({"times": [1, 1, 2, 3]}, "`times` must increase"),
        ({"losses": [1.0, math.nan, 1.0, 1.0]}, "`losses`"),
    ],
)
def test_what_has_no_escape_is_refused(changes, rule):
    given = {
        "times": TIMES,
        "losses": [1.0] * 4,
        "plateau": 2.0,
        "floor": 0.4,
        **changes,
    }
    with pytest.raises(ValueError, match=rule):
        escape_time(**given)
