"""Rules of assumption 2 inside the network, on scripted measurements."""

import pytest

from experiments.claims.section_2 import layers
from experiments.claims.section_2 import pivot as pivot_claims
from tests.helpers.scripted_measurements import (
    SEEDS,
    evidence_of,
    outcomes,
)
from tiny_gpt.claims.claim import decide_all
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    NOT_NEEDED,
    OPEN,
    SUPPORTED,
    UNDECIDED,
)
from tiny_gpt.report.schema import UNITS
from tiny_gpt.report.typeset import format_effect

CLAIMS = (*pivot_claims.CLAIMS, *layers.CLAIMS)
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
        ("A->C", "scrambled_a_to_c", "all", "lens_found"): 0.9,
        ("A->C", "no_route_to_c", "all", "lens_found"): 0.9,
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
        ("A->C", "alone", place, "cka"): 0.7,
    }
    for mapping in ("A->B|A->C", "B->C|A->C", "D->E|A->C"):
        found[mapping, "trained", place, "cosine"] = 0.3
    return found


B, L = "assumption_2_pivot", "assumption_2_layers"
WIDE = [0.1, 0.3, 0.5, 0.7, 0.9]
SOME = [0.0, 0.0, 0.3, 0.3, 0.6]
# Claim -> what is measured -> observation and explanation.
CASES = [
    (B, pivot(use=0.8, seen=0.9), CONFIRMED, SUPPORTED),
    # It is used, and the lens fails to see it: two different things.
    (B, pivot(use=0.8), NOT_CONFIRMED, SUPPORTED),
    (B, pivot(use=0.8, scrambled=0.3, no_route=0.6), NOT_CONFIRMED, SUPPORTED),
    # It is there and leads to nothing.
    (B, pivot(seen=0.9), CONFIRMED, CONTRADICTED),
    (B, pivot(), NOT_CONFIRMED, CONTRADICTED),
    (B, pivot(use=-0.2, seen=-0.2), NOT_CONFIRMED, CONTRADICTED),
    # As much as without a route: both conditions must say so.
    (B, pivot(0.8, 0.8, 0.9, seen=0.9), CONFIRMED, NOT_NEEDED),
    (B, pivot(use=0.8, no_route=0.8, seen=0.9), CONFIRMED, OPEN),
    (B, pivot(use=0.8, scrambled=0.9, seen=0.9), CONFIRMED, OPEN),
    (B, pivot(use=0.95, no_route=WIDE, seen=0.9), CONFIRMED, SUPPORTED),
    (B, pivot(use=0.55, no_route=WIDE, seen=0.9), CONFIRMED, OPEN),
    (B, pivot(use=SOME, seen=0.9), CONFIRMED, OPEN),
    (B, pivot(seen=[-0.1, 0.0, 0.1, 0.1, 0.2]), UNDECIDED, CONTRADICTED),
    # Nothing follows from a mapping that was not learned ...
    (B, pivot(use=0.8, seen=0.9, accuracy=0.4), UNDECIDED, OPEN),
    (B, pivot(accuracy=0.4), UNDECIDED, OPEN),
    # ... nor from instruments that are blind.
    (B, pivot(in_a_to_b=0.6), UNDECIDED, CONTRADICTED),
    (B, pivot(in_b_to_c=0.3), NOT_CONFIRMED, OPEN),
    (B, pivot(0.8, 0.8, 0.8, seen=0.9, in_b_to_c=0.3), CONFIRMED, OPEN),
    (L, alignment(0.9), CONFIRMED, SUPPORTED),
    (L, alignment(0.9, fresh=0.9), CONFIRMED, NOT_NEEDED),
    (L, alignment(0.9, unrelated=0.9), CONFIRMED, NOT_NEEDED),
    (L, alignment(0.4), CONFIRMED, NOT_NEEDED),
    (L, alignment(0.01, fresh=0.0), NOT_CONFIRMED, NOT_NEEDED),
    (L, alignment(0.9, fresh=[0.7, 0.8, 0.9, 0.9, 0.9]), CONFIRMED, OPEN),
    (L, alignment([0.0, 0.0, 0.1, 0.1, 0.1]), UNDECIDED, NOT_NEEDED),
]


def decide(name, values, seeds=SEEDS, spread=1e-3):
    claim = BY_NAME[name]
    return claim.decide(evidence_of(values, claim, spread, seeds))


@pytest.mark.parametrize(
    ("name", "values", "observation", "explanation"), CASES
)
def test_the_rules_decide(name, values, observation, explanation):
    decision = decide(name, values)
    assert decision.observation == observation, decision.because
    assert decision.explanation == explanation, decision.because
    assert decision.num_seeds == len(SEEDS)
    assert decision.figure["kind"] == "strip"
    assert {e["unit"] for e in decision.effects} <= set(UNITS)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_outcome_is_reached(name):
    cases = [case for case in CASES if case[0] == name]
    claim = BY_NAME[name]
    assert {o for _, _, o, _ in cases} == outcomes(claim.observation)
    assert {e for _, _, _, e in cases} == outcomes(claim.explanation)


@pytest.mark.parametrize(
    ("name", "values"), [(B, pivot(use=0.8)), (L, alignment(0.9))]
)
def test_one_seed_is_never_a_verdict(name, values):
    decision = decide(name, values, (3,))
    assert decision.observation == UNDECIDED
    assert decision.explanation == OPEN


def test_missing_measurements_leave_a_claim_open():
    entries = decide_all(
        CLAIMS, evidence_of({}, BY_NAME[B], 1e-3), "make theory"
    )
    assert {e["observation"] for e in entries} == {UNDECIDED}
    assert {e["explanation"] for e in entries} == {OPEN}
    assert all("missing" in e["because"] for e in entries)


def test_a_lens_that_always_finds_the_word_decides():
    # Both instruments are at their ends in every seed: no spread at all.
    decision = decide(B, pivot(seen=1.0, in_a_to_b=1.0), spread=0.0)
    assert decision.observation == CONFIRMED
    decision = decide(B, pivot(seen=0.0, in_a_to_b=1.0), spread=0.0)
    assert decision.observation == NOT_CONFIRMED


def test_a_lens_far_below_wrong_mappings_counts_as_minus_one():
    decision = decide(B, pivot(seen=-3.0), spread=0.0)
    effects = {e["name"]: e["value"] for e in decision.effects}
    assert effects["B seen in A->C, real"] == -1.0
    assert decision.observation == NOT_CONFIRMED


def test_numbers_are_said_in_words():
    decision = decide(B, pivot(use=0.8, seen=0.4))
    # The seeds add 0 to 19 times 0.001, 0.0095 on average.
    assert "use of B in A->C: +81.0" in decision.because
    (seen,) = (
        e for e in decision.effects if e["name"] == "B seen in A->C, real"
    )
    assert format_effect(seen) == "41.0 % (40.4 to 41.5)"
    values = {
        e["name"]: e["value"]
        for e in decision.effects
        if e["name"].startswith("use")
    }
    assert values == pytest.approx(
        {
            "use of B in A->C": 0.8095,
            "use of B - scrambled": 0.8,
            "use of B - no route": 0.8,
            "use of B in B->C": 0.9095,
        }
    )
