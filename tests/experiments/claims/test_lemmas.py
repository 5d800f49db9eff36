"""Rules of lemmas 1 and 2 on scripted measurements."""

import pytest

from experiments.claims.section_2 import lemma_1, lemma_2
from experiments.measurements.perturbation import EPSILONS, SCALES
from tests.helpers.scripted_measurements import SEEDS, evidence_of
from tiny_gpt.claims.claim import decide_all
from tiny_gpt.claims.evidence import (
    EXPLAINED,
    NOT_TESTED,
    REFUTED,
    REPRODUCED,
    UNDECIDED,
)
from tiny_gpt.report.schema import UNITS

CLAIMS = (*lemma_1.CLAIMS, *lemma_2.CLAIMS)
BY_NAME = {claim.name: claim for claim in CLAIMS}
WIDE = [0.02, 0.05, 0.1, 0.2, 0.4]
HALF = [0.4, 0.5, 0.6, 0.7, 0.8]


def perturbed(
    slope=1.0, trained_slope=1.0, update=0.01, output=0.01, breaks=(0.3, 0.3)
):
    found = {}
    for kind in ("random", "trained"):
        tier = f"{kind}_1"
        own = slope if kind == "random" else trained_slope
        found["all", tier, "uniform", "layer_slope"] = own
        found["all", tier, "uniform", "update_change"] = 0.01
        found["all", tier, "uniform", "output_change"] = 0.01
    found["all", "trained_1", "uniform", "update_change"] = update
    found["all", "trained_1", "uniform", "output_change"] = output
    for depth in (1, 2, 4):
        for x in EPSILONS:
            key = "all", f"trained_{depth}", "uniform", f"departure_{x:.2g}"
            found[key] = x
        found["all", f"trained_{depth}", "uniform", "breaks_at"] = 0.2
    tiers = [*((f"softmax_{s:g}", 0.2) for s in SCALES)]
    tiers += zip(("gpt_0", "gpt_1"), breaks, strict=True)
    for tier, value in tiers:
        found["all", tier, "per_pair", "breaks_at"] = value
        found["all", tier, "uniform", "update_change_at_1"] = 1e-16
        found["all", tier, "all", "spread"] = 1.0
        for x in EPSILONS:
            found["all", tier, "per_pair", f"departure_{x:.2g}"] = x
    return found


def shifted(
    residual=0.02,
    shuffled=0.5,
    accuracy=0.98,
    sparse=0.98,
    exact=0.99,
    mean=0.9,
    none=0.0,
    moved=0.05,
):
    found = {}
    for label in ("A->B", "B->C", "A->C"):
        key = label, "lsa", "2_demonstrations", "accuracy_teacher_forced"
        found[key] = sparse if label == "A->C" else accuracy
    for prompt, value in (("matched", residual), ("shuffled", shuffled)):
        found["A->C", "lsa", prompt, "residual"] = value
        for name in (
            "residual_over_f",
            "residual_over_f_answers",
            "output_difference",
        ):
            found["A->C", "lsa", prompt, name] = 2.0
    values = {
        "none": none,
        "exact": exact,
        "other_word": 0.0,
        "mean": mean,
        "shuffled": moved,
        "solved": 0.1,
    }
    for tier in ("lsa", "gpt"):
        for name, value in values.items():
            found["A->C", tier, "0_demonstrations", f"greedy_{name}"] = value
    return found


ONE, SOFT, EQ, DELTA = "lemma_1", "lemma_1_softmax", "lemma_2", "lemma_2_delta"
CASES = [
    (ONE, perturbed(), REPRODUCED),
    (ONE, perturbed(update=0.5), EXPLAINED),
    (ONE, perturbed(output=0.5), EXPLAINED),
    (ONE, perturbed(slope=2.0), REFUTED),
    (ONE, perturbed(trained_slope=0.9), REFUTED),
    (ONE, perturbed(update=WIDE), UNDECIDED),
    (ONE, perturbed(slope=[0.98, 1.0, 1.0, 1.0, 1.02]), UNDECIDED),
    (SOFT, perturbed(), REPRODUCED),
    (SOFT, perturbed(breaks=(0.05, 0.3)), REFUTED),
    (SOFT, perturbed(breaks=(0.3, 0.05)), REFUTED),
    (SOFT, perturbed(breaks=(0.3, WIDE)), UNDECIDED),
    (EQ, shifted(), REPRODUCED),
    (EQ, shifted(shuffled=0.03), EXPLAINED),
    (EQ, shifted(residual=0.03, shuffled=0.02), EXPLAINED),
    (EQ, shifted(residual=0.3), REFUTED),
    (EQ, shifted(residual=0.3, shuffled=0.9), REFUTED),
    (EQ, shifted(residual=WIDE), UNDECIDED),
    (EQ, shifted(shuffled=[0.02, 0.03, 0.07, 0.1, 0.15]), UNDECIDED),
    # The lemma is about a model that knows all three mappings.
    (EQ, shifted(accuracy=0.5), NOT_TESTED),
    (EQ, shifted(sparse=0.5), NOT_TESTED),
    (EQ, shifted(residual=0.3, sparse=0.5), NOT_TESTED),
    (EQ, shifted(sparse=[0.8, 0.85, 0.9, 0.95, 0.99]), UNDECIDED),
    (DELTA, shifted(), REPRODUCED),
    (DELTA, shifted(none=0.9), EXPLAINED),
    (DELTA, shifted(moved=0.9), EXPLAINED),
    (DELTA, shifted(mean=0.3), REFUTED),
    (DELTA, shifted(mean=0.02), REFUTED),
    (DELTA, shifted(mean=HALF, none=HALF), REFUTED),
    (DELTA, shifted(mean=HALF), UNDECIDED),
    # Nothing follows from a GPT that does not translate B->C.
    (DELTA, shifted(exact=0.5), UNDECIDED),
    (DELTA, shifted(exact=0.5, mean=0.3), UNDECIDED),
]


def decide(name, values, seeds=SEEDS):
    claim = BY_NAME[name]
    return claim.decide(evidence_of(values, claim, 1e-4, seeds))


@pytest.mark.parametrize(("name", "values", "verdict"), CASES)
def test_the_rule_decides(name, values, verdict):
    decision = decide(name, values)
    assert decision.verdict == verdict, decision.because
    assert decision.num_seeds == len(SEEDS)
    assert decision.figure["kind"] in ("curve", "strip")
    assert {e["unit"] for e in decision.effects} <= set(UNITS)


def test_every_claim_comes_out_every_way():
    decided = {(name, verdict) for name, _, verdict in CASES}
    verdicts = REPRODUCED, EXPLAINED, REFUTED, UNDECIDED
    expected = {(n, v) for n in BY_NAME for v in verdicts}
    # Softmax is linear far enough, or it is not.
    assert decided == expected - {(SOFT, EXPLAINED)} | {(EQ, NOT_TESTED)}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (ONE, perturbed()),
        (SOFT, perturbed()),
        (EQ, shifted()),
        (DELTA, shifted()),
    ],
)
def test_one_seed_is_never_a_verdict(name, values):
    decision = decide(name, values, (3,))
    assert decision.verdict == UNDECIDED


def test_missing_measurements_leave_a_claim_open():
    entries = decide_all(
        CLAIMS, evidence_of({}, BY_NAME[ONE], 1e-4), "make theory"
    )
    assert {e["verdict"] for e in entries} == {UNDECIDED}
    assert all("missing" in e["because"] for e in entries)


def test_numbers_are_said_in_words():
    decision = decide(EQ, shifted())
    # Each seed s adds s / 10000; differences are paired.
    assert "A->C 98.0 % (98.0 to 98.1) right" in decision.because
    values = [e["value"] for e in decision.effects]
    assert values == pytest.approx([0.0202, 0.48, *[0.9802] * 3, 2.0002])
    decision = decide(SOFT, perturbed())
    assert "0.2 at a spread of 8" in decision.because
