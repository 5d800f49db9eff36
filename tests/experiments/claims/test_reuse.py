"""Rules of assumption 2 and proposition 4: each so, and otherwise."""

import math

import pandas as pd
import pytest

from experiments import theory
from experiments.claims.section_2 import FAMILY, reuse, sample_size
from tests.helpers.scripted_measurements import SEEDS, STEPS, outcomes
from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    OPEN,
    SUPPORTED,
    UNDECIDED,
)
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.report.schema import UNITS

CLAIMS = (*reuse.CLAIMS, *sample_size.CLAIMS)
BY_NAME = {claim.name: claim for claim in CLAIMS}
PAIRS, PARTS = "assumption_2_samples", "assumption_2_parts"
KINDS = ("frozen", "fresh")


def final(place, values, prompt, seeds, step=1):
    """Accuracies that the seeds have in turn; they add 0 to 0.019."""
    experiment, condition = place.split("/")
    several = values if isinstance(values, list) else [values]
    for i, seed in enumerate(seeds):
        yield (
            *(experiment, condition, seed, 6, 26 * 6),
            *("A->C", "unseen_sentences", prompt, "accuracy_aligned"),
            several[i % len(several)] + 1e-3 * (step * seed % 20),
        )


def evidence_of(rows, seeds=SEEDS):
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    empty = pd.DataFrame(columns=["condition", "metric", "task", "value"])
    return Evidence(frame, seeds, None, empty, FAMILY.interval_level)


def needed(beside, alone, seeds=SEEDS, rare=50):
    """Accuracies that jump to 95 % at these numbers of pairs.

    Args:
        beside: beside the majority, repeated to its share.
        alone: alone.
        seeds: seeds of the frame.
        rare: beside the majority, each pair once.
    """
    thresholds = {"balanced": beside, "count": rare, "alone": alone}
    places = [
        f"theory/{kind}_{n}"
        for kind in ("balanced", "count")
        for n in theory.COUNTS[1:]
    ]
    places += [f"theory/alone_{n}" for n in theory.ALONE]
    rows = []
    for place in [*places, "controls/a_to_c_alone_equal_tokens"]:
        kind, _, last = place.partition("/")[2].rpartition("_")
        is_fifty = not last.isdigit()
        kind, count = ("alone", 50) if is_fifty else (kind, int(last))
        value = 0.95 if count >= thresholds[kind] else 0.1
        step = STEPS[list(thresholds).index(kind)]
        rows += final(place, value, "2_demonstrations", seeds, step)
    return rows


def reused(default, seeds=SEEDS, **values):
    names = [f"{p}_{kind}" for p in reuse.PARTS for kind in KINDS]
    rows = []
    for name in ("fresh", "pretrained", *names):
        rows += final("theory/reuse", values.get(name, default), name, seeds)
    return rows


CASES = [
    (PAIRS, lambda s: needed(50, 400, s), CONFIRMED),
    (PAIRS, lambda s: needed(400, 100, s), NOT_CONFIRMED),
    (PAIRS, lambda s: needed(100, 100, s), UNDECIDED),
    # Each pair once beside the majority decides nothing.
    (PAIRS, lambda s: needed(50, 400, s, rare=10**6), CONFIRMED),
    (PAIRS, lambda s: needed(400, 100, s, rare=10), NOT_CONFIRMED),
    (PARTS, lambda s: reused(0.9, s, attention_fresh=0.2), CONFIRMED),
    (PARTS, lambda s: reused(0.9, s, fresh=0.2), NOT_CONFIRMED),
    # Nothing is lost where a model drawn anew is as good.
    (PARTS, lambda s: reused(0.9, s), UNDECIDED),
    # A part that is needed, and must learn more.
    (
        PARTS,
        lambda s: reused(
            0.9, s, fresh=0.2, attention_fresh=0.2, attention_frozen=0.5
        ),
        UNDECIDED,
    ),
    # Three seeds of five.
    (
        PARTS,
        lambda s: reused(
            0.9, s, fresh=0.2, attention_fresh=[0.2, 0.2, 0.2, 0.9, 0.9]
        ),
        UNDECIDED,
    ),
]


@pytest.mark.parametrize(("name", "rows", "observation"), CASES)
def test_the_rule_decides(name, rows, observation):
    decision = BY_NAME[name].decide(evidence_of(rows(SEEDS)))
    assert decision.observation == observation, decision.because
    assert decision.explanation is None
    assert decision.num_seeds == len(SEEDS)
    assert decision.figure
    assert {e["unit"] for e in decision.effects} <= set(UNITS)


@pytest.mark.parametrize("name", [PAIRS, PARTS])
def test_every_outcome_is_reached(name):
    reached = {o for n, _, o in CASES if n == name}
    assert reached == outcomes(BY_NAME[name].observation)


@pytest.mark.parametrize("name", [PAIRS, PARTS])
def test_one_seed_is_never_a_verdict(name):
    rows = next(r for n, r, _ in CASES if n == name)
    decision = BY_NAME[name].decide(evidence_of(rows((3,)), (3,)))
    assert decision.observation == UNDECIDED


@pytest.mark.parametrize("name", [PAIRS, PARTS])
def test_missing_runs_leave_a_claim_open(name):
    decision = BY_NAME[name].decide(evidence_of([]))
    assert decision.observation == UNDECIDED
    assert "missing" in decision.because


def ratios(*thresholds, **more):
    evidence = evidence_of(needed(*thresholds, **more))
    decision = BY_NAME[PAIRS].decide(evidence)
    return {e["name"]: e["value"] for e in decision.effects}


EQUAL = "pairs alone / beside, equal shares"


def test_the_ratio_of_pairs_is_read_between_counts():
    # 0.1 at 50 and 0.95 at 100; 0.1 at 200 and 0.95 at 400: both at the same
    # share of a doubling.
    found = ratios(100, 400, rare=200)
    assert found[EQUAL] == pytest.approx(4.0, rel=1e-3)
    once = "pairs alone / beside, each pair once beside"
    assert found[once] == pytest.approx(2.0, rel=1e-3)


def test_pairs_that_are_never_enough_count_against_the_claim():
    # The seeds add 0.0095 on average, which counts for little.
    at = 2 ** ((0.9 - 0.1 - 0.0095) / 0.85)  # of a doubling
    found = ratios(50, 10**6)
    assert found[EQUAL] == pytest.approx(1600 / (25 * at), rel=1e-3)
    assert found["seeds that never reach 90 % alone"] == 1.0
    found = ratios(10**6, 100)
    assert found[EQUAL] == pytest.approx(50 * at / 800, rel=1e-3)
    assert found["seeds that never reach 90 % beside, equal shares"] == 1.0
    assert found["seeds that never reach 90 % alone"] == 0.0


def test_ratios_lie_within_their_bounds():
    # 10 pairs alone, and never beside: 10 / 800. The other way 1600 / 10.
    measure = BY_NAME[PAIRS].measures[0]
    low, high = map(math.exp, measure.bounds)
    assert ratios(10**6, 10)[EQUAL] == pytest.approx(low)
    assert ratios(10, 10**6)[EQUAL] == pytest.approx(high)


def test_sentences_that_the_bound_takes():
    decision = BY_NAME["prop_4_sample_size"].decide(evidence_of([]))
    # ln 40 / (2 t^2) with t = 0.6 - 50/1680 is 5.67; with t = 0.6 - 0.1506
    # it is 9.13. The bound with 5 is 2 exp(-10 t^2) = 0.265.
    exact, printed, guesses, bound = (e["value"] for e in decision.effects)
    assert (printed, guesses) == (6, 10)
    assert 1 <= exact <= 5
    assert bound == pytest.approx(0.265, abs=2e-3)
    assert decision.observation == CONFIRMED
    assert decision.explanation == CONTRADICTED


@pytest.mark.parametrize(
    ("exact", "printed", "guesses", "observation", "explanation"),
    [
        (5, 5, 5, CONFIRMED, SUPPORTED),
        (1, 5, 6, CONFIRMED, CONTRADICTED),
        (1, 6, 5, CONFIRMED, CONTRADICTED),
        (6, 9, 9, NOT_CONFIRMED, CONTRADICTED),
    ],
)
def test_sentences_decide(exact, printed, guesses, observation, explanation):
    claim = BY_NAME["prop_4_sample_size"]
    counts = {
        "sentences, exact": exact,
        "sentences for the bound, as printed": printed,
        "sentences for the bound, with guesses": guesses,
    }
    intervals = {name: Interval(n, n, n) for name, n in counts.items()}
    assert claim.observation.decide(intervals) == observation
    assert claim.explanation.decide(intervals) == explanation
    assert OPEN in outcomes(claim.explanation)  # without its numbers only
