"""Tests for tiny_gpt/analysis/mirages.py."""

import pytest

from tiny_gpt.analysis.changes import Change
from tiny_gpt.analysis.mirages import mark_mirages


def change_at(start, end, time=None, rises=True):
    before, after = (0.0, 1.0) if rises else (1.0, 0.0)
    return Change(start, end, time or end, 1.0, before, after)


def test_a_jump_without_its_continuous_partner_is_suspect():
    changes = {
        "exact_match": [change_at(10, 12), change_at(30, 31)],
        "answer_loss": [change_at(14, 20, rises=False)],
        "loss": [],
    }
    events = mark_mirages(changes, {"exact_match": "answer_loss"}, 2.0)
    # 12 and 14 are 2 apart; 20 and 30 are 10 apart.
    listed = [
        (e.metric, e.change.start, e.direction, e.together, e.is_suspect)
        for e in events
    ]
    assert listed == [
        ("exact_match", 10, "rise", ("answer_loss",), False),
        ("answer_loss", 14, "fall", ("exact_match",), None),
        ("exact_match", 30, "rise", (), True),
    ]
    closer = mark_mirages(changes, {"exact_match": "answer_loss"}, 1.9)
    assert [e.is_suspect for e in closer] == [True, None, True]


def test_changes_that_overlap_happen_together_whichever_comes_first():
    one, other = change_at(1, 9), change_at(4, 5)
    for changes in ({"a": [one], "b": [other]}, {"a": [other], "b": [one]}):
        events = mark_mirages(changes, tolerance=0.0)
        assert sorted(e.together for e in events) == [("a",), ("b",)]
        assert [e.is_suspect for e in events] == [None, None]


def test_partners_must_be_known():
    with pytest.raises(ValueError, match=r"missing=\['loss'\]"):
        mark_mirages({"exact_match": []}, {"exact_match": "loss"})
    with pytest.raises(ValueError, match="tolerance=-1"):
        mark_mirages({}, tolerance=-1)
