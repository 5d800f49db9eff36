"""The rule of `experiments.claims.section_2.prompts`, each way."""

import pytest

from experiments.claims.section_2.prompts import CLAIMS, PROMPTS
from experiments.measurements.prompts import METRICS
from tests.helpers.scripted_measurements import (
    SEEDS,
    evidence_of,
    outcomes,
)
from tiny_gpt.claims.claim import decide_all
from tiny_gpt.claims.rule import CONFIRMED, NOT_CONFIRMED, UNDECIDED
from tiny_gpt.report.schema import UNITS

(CLAIM,) = CLAIMS
WIDE = [0.7, 0.8, 0.9, 0.9, 0.9]  # 6 points below 0.9 on average


def asked(**by_label):
    """Accuracies of 90 % after every prompt but these."""
    prompts = {
        "one": "1_demonstrations",
        "right_last": "A->B_then_A->C",
        "other_last": "A->C_then_A->B",
        "near": "2_demonstrations_from_position_1",
        "far": "2_demonstrations_from_position_2",
        "unmarked": "2_demonstrations_without_end_marks",
        "exchanged": "2_demonstrations_with_marks_exchanged",
        "none": "0_demonstrations",
    }
    changed = {prompts[label]: value for label, value in by_label.items()}
    return {
        ("A->C", "unseen_sentences", prompt, metric): changed.get(prompt, 0.9)
        for prompt in PROMPTS.values()
        for metric in METRICS
    }


CASES = [
    (asked(one=0.8), CONFIRMED),
    (asked(one=0.97), CONFIRMED),  # fewer are better: that is influence, too
    (asked(other_last=0.3), CONFIRMED),
    (asked(right_last=0.3), CONFIRMED),
    (asked(far=0.8), CONFIRMED),
    (asked(unmarked=0.0), CONFIRMED),
    (asked(one=WIDE, unmarked=0.0), CONFIRMED),
    (asked(), NOT_CONFIRMED),
    (asked(one=0.88, other_last=0.92, unmarked=0.87), NOT_CONFIRMED),
    # Shown, and decide nothing.
    (asked(none=0.0, exchanged=0.0, near=0.0), NOT_CONFIRMED),
    (asked(one=WIDE), UNDECIDED),
    (asked(unmarked=WIDE), UNDECIDED),
]


def decide(values, seeds=SEEDS):
    return CLAIM.decide(evidence_of(values, CLAIM, 1e-4, seeds))


@pytest.mark.parametrize(("values", "observation"), CASES)
def test_the_rule_decides(values, observation):
    decision = decide(values)
    assert decision.observation == observation, decision.because
    assert decision.explanation is None
    assert decision.num_seeds == len(SEEDS)
    assert decision.figure["kind"] == "strip"
    assert {e["unit"] for e in decision.effects} <= set(UNITS)


def test_every_outcome_is_reached():
    assert {o for _, o in CASES} == outcomes(CLAIM.observation)


def test_one_seed_is_never_a_verdict():
    assert decide(asked(one=0.1), (3,)).observation == UNDECIDED


def test_missing_measurements_leave_it_open():
    (entry,) = decide_all(CLAIMS, evidence_of({}, CLAIM, 1e-4), "make theory")
    assert entry["observation"] == UNDECIDED
    assert "missing" in entry["because"]


def test_differences_are_named_after_what_is_subtracted():
    values = asked(
        one=0.8, right_last=0.7, other_last=0.1, far=0.85, unmarked=0.2
    )
    found = {
        measure["name"]: measure["value"]
        for measure in decide(values).effects
        if measure["unit"] == "difference"
    }
    assert found == pytest.approx(
        {
            "number: 2 - 1 demonstrations": 0.1,
            "order: A->C last - A->B last": 0.6,
            "position: from 2 - from 0": -0.05,
            "format: as trained - no end marks": 0.7,
        }
    )
