"""Tests for tiny_gpt/report/entries.py."""

import pytest

from tiny_gpt.report.entries import FAILS, HOLDS, OPEN, answer_of, decisive

OBSERVATION = (
    "confirmed if [A->B is known] > 50 % and [effect] > 5 points; not "
    "confirmed if [A->B is known] > 50 % and [effect] < 5 points; otherwise "
    "undecided"
)
EXPLANATION = (
    "supported if [effect] > 5 points and [real - scrambled] > 5 points and "
    "[real - no route] > 5 points; contradicted if [real - scrambled] < −5 "
    "points, or if [real - no route] < −5 points; not needed if −5 points < "
    "[real - scrambled] < 5 points; otherwise undecided"
)
EFFECTS = ("A->B is known", "effect", "real - scrambled", "real - no route")


def claim(observation, explanation, rules=()):
    return {
        "observation": observation,
        "explanation": explanation,
        "rules": {
            "observation": OBSERVATION,
            "explanation": EXPLANATION,
            **dict(rules),
        },
        "effects": [{"name": name} for name in (*EFFECTS, "shown")],
    }


def names(*arguments):
    return [effect["name"] for effect in decisive(claim(*arguments))]


@pytest.mark.parametrize(
    ("observation", "explanation", "expected"),
    [
        ("confirmed", "not needed", ["effect", "real - scrambled"]),
        # The effect is told once, though two parts compare it.
        ("confirmed", "supported", list(EFFECTS[1:])),
        ("not confirmed", "contradicted", ["effect", *EFFECTS[2:]]),
        # Nothing is concluded: what the first outcome would need.
        ("undecided", "undecided", list(EFFECTS[1:])),
    ],
)
def test_what_made_the_outcome(observation, explanation, expected):
    assert names(observation, explanation) == expected


def test_what_all_outcomes_need_is_shown_where_nothing_else_is():
    rule = "confirmed if [A->B is known] > 50 %; otherwise undecided"
    for text in (rule, f"{rule}; not confirmed if [A->B is known] > 50 %"):
        found = names("confirmed", "not needed", {"observation": text})
        assert found[0] == EFFECTS[0]


def test_a_name_may_hold_the_words_of_a_rule():
    observation = "confirmed if [a and b; or if not < c] > 1; otherwise x"
    found = claim("confirmed", None)
    found["rules"] = {"observation": observation}
    found["effects"] = [{"name": "a and b; or if not < c"}]
    assert decisive(found) == found["effects"]


def test_a_claim_whose_runs_are_missing_has_none():
    found = claim("undecided", "undecided")
    found["effects"] = []
    assert decisive(found) == []


@pytest.mark.parametrize(
    ("observation", "explanation", "expected"),
    [
        ("confirmed", None, (HOLDS, "observation")),
        ("confirmed", "supported", (HOLDS, "observation")),
        ("confirmed", "not needed", (FAILS, "explanation")),
        ("confirmed", "undecided", (OPEN, "explanation")),
        ("confirmed", "untested", (OPEN, "explanation")),
        ("confirmed", "contradicted", (FAILS, "explanation")),
        ("undecided", "contradicted", (FAILS, "explanation")),
        ("not confirmed", "contradicted", (FAILS, "observation")),
        ("not confirmed", None, (FAILS, "observation")),
        ("undecided", "supported", (OPEN, "observation")),
    ],
)
def test_an_answer_has_the_part_that_gives_it(
    observation, explanation, expected
):
    found = {"because": "", **claim(observation, explanation)}
    assert answer_of(found) == expected
    found["because"] = "Runs are missing: all."
    assert answer_of(found) == (OPEN, "observation")


def test_the_effects_of_one_part_can_be_asked_for():
    found = claim("confirmed", "contradicted")
    of_part = [e["name"] for e in decisive(found, ["explanation"])]
    assert of_part == list(EFFECTS[2:])
