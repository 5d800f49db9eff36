"""Rules of `experiments.claims.section_2.pivot` on scripted measurements."""

import pytest

from experiments.claims.section_2.pivot import CLAIMS
from tests.helpers.scripted_measurements import SEEDS, evidence_of
from tiny_gpt.claims.claim import decide_all
from tiny_gpt.claims.evidence import (
    EXPLAINED,
    REFUTED,
    REPRODUCED,
    UNDECIDED,
)
from tiny_gpt.report.schema import UNITS

BY_NAME = {claim.name: claim for claim in CLAIMS}


def pivot(
    use=0.0,
    scrambled=0.0,
    no_route=0.0,
    seen=0.0,
    accuracy=0.9,
    in_a_to_b=0.99,
    in_b_to_c=0.9,
):
    return {
        ("A->C", "sparse_a_to_c", "all", "use"): use,
        ("A->C", "scrambled_a_to_c", "all", "use"): scrambled,
        ("A->C", "no_route_to_c", "all", "use"): no_route,
        ("A->C", "sparse_a_to_c", "all", "lens_found"): seen,
        ("A->C", "sparse_a_to_c", "all", "accuracy"): accuracy,
        ("A->B", "sparse_a_to_c", "all", "lens_found"): in_a_to_b,
        ("B->C", "sparse_a_to_c", "all", "use_inside"): in_b_to_c,
    }


def alignment(shared, shuffled=0.0, fresh=0.5, unrelated=0.5):
    place = "inside.answer"
    found = {
        ("A->B|A->C", "trained", place, "cka"): shared,
        ("A->B|A->C", "trained", place, "cka_shuffled"): shuffled,
        ("A->B|A->C", "fresh", place, "cka"): fresh,
        ("D->E|A->C", "trained", place, "cka"): unrelated,
    }
    for mapping in ("A->B|A->C", "B->C|A->C", "D->E|A->C"):
        found[mapping, "trained", place, "cosine"] = 0.3
    return found


B, L = "assumption_2_pivot", "assumption_2_layers"
CASES = [
    (B, pivot(use=0.8, seen=0.9), REPRODUCED),
    (B, pivot(use=0.8), REPRODUCED),  # the lens may fail to see
    (B, pivot(use=0.8, scrambled=0.3, no_route=0.6), REPRODUCED),
    (B, pivot(use=0.8, no_route=0.8), EXPLAINED),
    (B, pivot(use=0.8, scrambled=0.9), EXPLAINED),
    (B, pivot(seen=0.9), EXPLAINED),  # it is there and leads to nothing
    (B, pivot(), REFUTED),
    (B, pivot(use=-0.2, seen=-0.2), REFUTED),
    (B, pivot(seen=[0.0, 0.1, 0.0, 0.6, 0.9]), UNDECIDED),
    (B, pivot(use=[0.0, 0.0, 0.3, 0.3, 0.6]), UNDECIDED),
    (B, pivot(use=0.8, no_route=[0.1, 0.3, 0.5, 0.7, 0.9]), UNDECIDED),
    # Nothing follows from a mapping that was not learned ...
    (B, pivot(use=0.8, accuracy=0.4), UNDECIDED),
    (B, pivot(accuracy=0.4), UNDECIDED),
    # ... nor from instruments that are blind.
    (B, pivot(in_a_to_b=0.6), UNDECIDED),
    (B, pivot(in_b_to_c=0.3), UNDECIDED),
    (B, pivot(seen=0.9, in_b_to_c=0.3), UNDECIDED),
    (L, alignment(0.9), REPRODUCED),
    (L, alignment(0.9, fresh=0.9), EXPLAINED),
    (L, alignment(0.9, unrelated=0.9), EXPLAINED),
    (L, alignment(0.4), EXPLAINED),
    (L, alignment(0.01), REFUTED),
    (L, alignment(0.9, fresh=[0.2, 0.4, 0.6, 0.9, 1.0]), UNDECIDED),
    (L, alignment([0.0, 0.0, 0.1, 0.3, 0.5]), UNDECIDED),
]


def decide(name, values, seeds=SEEDS):
    claim = BY_NAME[name]
    return claim.decide(evidence_of(values, claim, 1e-3, seeds))


@pytest.mark.parametrize(("name", "values", "verdict"), CASES)
def test_the_rule_decides(name, values, verdict):
    decision = decide(name, values)
    assert decision.verdict == verdict, decision.because
    assert decision.num_seeds == len(SEEDS)
    assert decision.figure["kind"] == "strip"
    assert {e["unit"] for e in decision.effects} <= set(UNITS)


def test_every_claim_comes_out_every_way():
    decided = {(name, verdict) for name, _, verdict in CASES}
    verdicts = REPRODUCED, EXPLAINED, REFUTED, UNDECIDED
    assert decided == {(n, v) for n in BY_NAME for v in verdicts}


@pytest.mark.parametrize(
    ("name", "values"), [(B, pivot(use=0.8)), (L, alignment(0.9))]
)
def test_one_seed_is_never_a_verdict(name, values):
    decision = decide(name, values, (3,))
    assert decision.verdict == UNDECIDED


def test_missing_measurements_leave_a_claim_open():
    entries = decide_all(
        CLAIMS, evidence_of({}, BY_NAME[B], 1e-3), "make theory"
    )
    assert {e["verdict"] for e in entries} == {UNDECIDED}
    assert all("missing" in e["because"] for e in entries)


def test_numbers_are_said_in_words():
    decision = decide(B, pivot(use=0.8, seen=0.4))
    assert "+80.2 (" in decision.because
    assert "40.2 % (" in decision.because
    values = [e["value"] for e in decision.effects]
    # Each seed s adds s / 1000, and differences are paired.
    assert values == pytest.approx([0.802, 0.8, 0.8, 0.402, 0.992, 0.902])
