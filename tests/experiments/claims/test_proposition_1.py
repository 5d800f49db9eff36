"""Rules of proposition 1 on scripted curves: each outcome of each rule."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from experiments import theory
from experiments.claims.section_2 import FAMILY, gradients, majority
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    NOT_NEEDED,
    OPEN,
    SUPPORTED,
    UNDECIDED,
)
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.metrics.columns import COLUMNS

SEEDS = tuple(range(20))
CLAIMS = (*majority.CLAIMS, *gradients.CLAIMS)
BY_NAME = {claim.name: claim for claim in CLAIMS}
COUNTS = majority.COUNTS
NUM_EPOCHS = 6
EARLY = [3.0, 0.9, 0.3, 0.3, 0.3, 0.3]  # below ln 8 / 2 in the 2nd epoch
LATE = [3.0, 3.0, 3.0, 3.0, 0.9, 0.3]
NEVER = [3.0] * NUM_EPOCHS
# Pairs as 50 to 1, of which the class of the first token tells 4 in 10 the
# half: (ln 50 - 0.4 ln (5000 / 2550)) / 30.
IRREDUCIBLE = (math.log(50) - 0.4 * math.log(5000 / 2550)) / 30


def curve(place, metric, mapping, tier, values, seeds):
    """Scripts one number per epoch; a list, or a function of the seed.

    A little spread over seeds, another one in each epoch and mapping.
    """
    experiment, condition = place.split("/")
    phase = sum(map(ord, mapping))
    for seed, i in itertools.product(seeds, range(NUM_EPOCHS)):
        head = experiment, condition, seed, i + 1, 26 * (i + 1)
        value = (values(seed) if callable(values) else values)[i]
        value *= 1 + 1e-3 * (seed * (i + 1 + phase) % 7)
        yield (*head, mapping, tier, "all", metric, value)


def evidence_of(rows, seeds=SEEDS):
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    empty = pd.DataFrame(columns=["condition", "metric", "task", "value"])
    return Evidence(frame, seeds, None, empty, FAMILY.interval_level)


def losses(by_count, majority=EARLY, kind="count", seeds=SEEDS):
    """Returns losses of fresh answers; A->C's by its number of pairs."""
    metric, tier = "loss_answer_words", "fresh_windows"
    rows = []
    for count in COUNTS:
        place = f"theory/{kind}_{count}"
        of_task = {"A->B": majority, "B->C": majority, "A->C": by_count(count)}
        for mapping, values in of_task.items():
            rows += curve(place, metric, mapping, tier, values, seeds)
    return rows


def learned(epoch):
    """Losses that fall within an epoch, counted from 0."""
    return [3.0 if i < epoch else 0.3 for i in range(NUM_EPOCHS)]


def falls(count):
    """Learned the earlier, the more pairs there are."""
    return learned({25: 5, 50: 4, 100: 3, 200: 2, 400: 1}[count])


def rises(count):
    return learned({25: 1, 50: 4, 100: 4, 200: 4, 400: 5}[count])


def alike(count):
    """Learned in the 5th epoch, a little earlier or later with 400 pairs."""
    last = (0.3, 0.4) if count == 400 else (0.35, 0.35)
    return lambda seed: [3.0, 3.0, 3.0, 3.0, last[seed % 2], 0.3]


def some_earlier(count):
    """Half of the seeds learn with 400 pairs at once, half with 25."""
    return lambda seed: learned(
        {25: (1, 5), 400: (5, 1)}.get(count, (3, 3))[seed % 2]
    )


def in_some_seeds(first, second):
    return lambda seed: (first, second)[seed % 2]


def norms(a_to_c, kind="count", seeds=SEEDS):
    place, tier = f"theory/{kind}_50", "training_windows"
    equal = [1.0] * NUM_EPOCHS
    rows = []
    for mapping, values in (("A->B", equal), ("B->C", equal), ("A->C", a_to_c)):
        rows += curve(place, "gradient_norm", mapping, tier, values, seeds)
    cosine = [0.5] * NUM_EPOCHS
    pair = "A->B A->C"
    rows += curve(place, "gradient_cosine", pair, tier, cosine, seeds)
    return rows


def led(first, later, seeds=SEEDS):
    """Norms such that A->C's part is this many times the majority's.

    Each is a number, or one for even and one for odd seeds.
    """
    first, later = (
        x if isinstance(x, tuple) else (x, x) for x in (first, later)
    )
    share = 2500 / 50

    def values(seed):
        odd = seed % 2
        rest = [share * later[odd]] * (NUM_EPOCHS - 1)
        return [share * first[odd], *rest]

    curves = losses(lambda count: LATE, seeds=seeds)
    return [*norms(values, seeds=seeds), *curves]


def printed(ratio, seeds=SEEDS):
    ratio = ratio if isinstance(ratio, tuple) else (ratio, ratio)
    rows = norms(
        lambda seed: [ratio[seed % 2]] * NUM_EPOCHS, "balanced", seeds=seeds
    )
    rows += led(0.1, 0.1, seeds)
    return [*rows, *losses(lambda count: LATE, kind="balanced", seeds=seeds)]


def ends(excess, seeds=SEEDS):
    """Last losses, A->C's this far above the majority's and the floors."""
    rows = []
    of_task = {"A->B": 0.5, "B->C": 0.5, "A->C": 0.5 + IRREDUCIBLE + excess}
    for mapping, value in of_task.items():
        rows += curve(
            "theory/count_50",
            "loss_all_tokens",
            mapping,
            "training_windows",
            [value] * NUM_EPOCHS,
            seeds,
        )
    return rows


def order(by_count, majority=EARLY):
    return lambda seeds: losses(by_count, majority, seeds=seeds)


# Claim -> what the runs show -> observation and explanation.
CASES = [
    ("prop_1_order", order(falls), CONFIRMED, SUPPORTED),
    ("prop_1_order", order(rises), CONFIRMED, CONTRADICTED),
    ("prop_1_order", order(alike), CONFIRMED, NOT_NEEDED),
    ("prop_1_order", order(some_earlier), CONFIRMED, OPEN),
    ("prop_1_order", order(falls, NEVER), NOT_CONFIRMED, SUPPORTED),
    (
        "prop_1_order",
        order(falls, in_some_seeds(EARLY, NEVER)),
        UNDECIDED,
        SUPPORTED,
    ),
    ("prop_1_balance", lambda s: ends(0.05, s), CONFIRMED, None),
    ("prop_1_balance", lambda s: ends(-0.05, s), CONFIRMED, None),
    ("prop_1_balance", lambda s: ends(0.2, s), NOT_CONFIRMED, None),
    ("prop_1_balance", lambda s: ends(-0.2, s), NOT_CONFIRMED, None),
    ("prop_1_balance", lambda s: ends(0.1011, s), UNDECIDED, None),
    ("prop_1_gradient", lambda s: led(0.1, 2.0, s), CONFIRMED, SUPPORTED),
    ("prop_1_gradient", lambda s: led(0.1, 0.5, s), CONFIRMED, CONTRADICTED),
    (
        "prop_1_gradient",
        lambda s: led(0.5, 0.1, s),
        NOT_CONFIRMED,
        CONTRADICTED,
    ),
    ("prop_1_gradient", lambda s: led(1.5, 2.0, s), NOT_CONFIRMED, SUPPORTED),
    ("prop_1_gradient", lambda s: led(0.1, (0.5, 2.0), s), CONFIRMED, OPEN),
    (
        "prop_1_gradient",
        lambda s: led((0.2, 0.1), (0.1, 0.2), s),
        UNDECIDED,
        CONTRADICTED,
    ),
    ("prop_1_printed_loss", lambda s: printed(0.4, s), CONFIRMED, None),
    ("prop_1_printed_loss", lambda s: printed(0.6, s), NOT_CONFIRMED, None),
    ("prop_1_printed_loss", lambda s: printed((0.4, 0.6), s), UNDECIDED, None),
]


@pytest.mark.parametrize(("name", "rows", "observation", "explanation"), CASES)
def test_the_rules_decide(name, rows, observation, explanation):
    decision = BY_NAME[name].decide(evidence_of(rows(SEEDS)))
    found = decision.observation, decision.explanation
    assert found == (observation, explanation), decision.because
    assert decision.num_seeds == len(SEEDS)
    assert decision.figure


def test_every_outcome_has_a_case():
    for claim in CLAIMS:
        cases = [c for c in CASES if c[0] == claim.name]
        for rule, found in (
            (claim.observation, {c[2] for c in cases}),
            (claim.explanation, {c[3] for c in cases}),
        ):
            if rule is None:
                assert found == {None}
                continue
            outcomes = {each.outcome for each in rule.cases}
            assert found == {*outcomes, rule.otherwise}, claim.name


@pytest.mark.parametrize("name", BY_NAME)
def test_one_seed_is_never_a_verdict(name):
    rows = next(case[1] for case in CASES if case[0] == name)
    decision = BY_NAME[name].decide(evidence_of(rows((3,)), (3,)))
    assert decision.observation == UNDECIDED
    assert decision.explanation in (OPEN, None)
    assert "One seed is never a verdict" in decision.because


@pytest.mark.parametrize("name", BY_NAME)
def test_without_runs_it_is_undecided(name):
    decision = BY_NAME[name].decide(evidence_of([]))
    assert decision.observation == UNDECIDED
    assert "seeds 0, 1, 2" in decision.because


def test_times_are_in_updates():
    # Linear between the 4th and the 5th epoch, 104 and 130 updates; the
    # majority between the 1st and the 2nd, 26 and 52: 3.0 -> 0.9.
    evidence = evidence_of(losses(lambda count: LATE, seeds=(0,)), (0,))
    decision = BY_NAME["prop_1_order"].decide(evidence)
    assert decision.effects[0]["value"] == pytest.approx(3 * 26, rel=1e-9)
    share = (3.0 - math.log(8) / 2) / 2.1
    times = majority.times_of(evidence, "count_50", "A->C")
    assert times[0] == pytest.approx(104 + 26 * share, rel=1e-9)


def test_the_slope_is_that_of_least_squares():
    evidence = evidence_of(losses(falls))
    for seed, slope in majority.slopes(evidence).items():
        times = [
            majority.times_of(evidence, f"count_{n}", "A->C")[seed]
            for n in COUNTS
        ]
        fitted = np.polyfit(np.log(COUNTS), times, 1)[0]
        assert slope == pytest.approx(fitted, rel=1e-9)


def test_no_run_has_more_updates_than_the_bounds_allow():
    num_updates = []
    for kind in (*(f"count_{n}" for n in COUNTS), "balanced_50", "sgd_50"):
        experiment = theory.build_experiment("quick", kind)
        updates = updates_per_epoch(experiment)
        num_updates.append(updates * experiment.train.num_epochs)
        assert kind != "count_50" or updates == majority.EPOCH
    assert max(num_updates) == majority.LAST


def test_the_part_of_the_gap_that_bayes_pays_too():
    shown = BY_NAME["prop_1_balance"].decide(evidence_of(ends(0.05))).effects
    values = [effect["value"] for effect in shown]
    assert values[2] == pytest.approx(IRREDUCIBLE, rel=1e-12)
    assert values[2] == pytest.approx(0.121, abs=5e-4)
    assert values[0] == pytest.approx(values[1] - values[2], rel=1e-12)


def test_the_gradient_counts_by_share():
    # Equal norms of the mean gradients: the parts are as 50 to 2500.
    evidence = evidence_of(led(50 / 2500, 50 / 2500))
    first, growth, later = (
        BY_NAME["prop_1_gradient"].decide(evidence).effects[:3]
    )
    assert first["value"] == pytest.approx(50 / 2500, rel=1e-2)
    assert later["value"] == pytest.approx(50 / 2500, rel=1e-2)
    assert growth["value"] == pytest.approx(1.0, rel=1e-2)


def test_as_printed_counts_cancel():
    decision = BY_NAME["prop_1_printed_loss"].decide(evidence_of(printed(0.4)))
    assert decision.effects[0]["value"] == pytest.approx(0.4, rel=1e-2)
    groups = {g["label"]: g["mean"] for g in decision.figure["groups"]}
    expected = {"loss of the batches": 0.1, "loss as printed": 0.4}
    assert {k: math.exp(x) for k, x in groups.items()} == pytest.approx(
        expected, rel=1e-2
    )
