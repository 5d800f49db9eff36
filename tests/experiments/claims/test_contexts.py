"""Rules of the contexts on scripted rows: each claim each way."""

import math

import numpy as np
import pandas as pd
import pytest

from experiments import controls, theory
from experiments.claims.section_2 import (
    FAMILY,
    context_equations,
    context_prior,
)
from experiments.claims.section_2 import contexts as context_claims
from experiments.claims.section_2.context_equations import MOST_SHOWN
from experiments.measurements import contexts
from tests.helpers.scripted_contexts import (
    A_TO_B,
    A_TO_C,
    SEEDS,
    SPARSE_CURVES,
    after,
    at,
    bayes_of,
    evidence_of,
    metric,
    outside,
    prior,
)
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    OPEN,
    SUPPORTED,
    UNDECIDED,
)
from tiny_gpt.report.schema import FIGURE_KEYS, UNITS

CLAIMS = (
    *context_claims.CLAIMS,
    *context_prior.CLAIMS,
    *context_equations.CLAIMS,
)
BY_NAME = {claim.name: claim for claim in CLAIMS}
PRINTED_HOLDS = {
    **metric("bayes_identity_gap_as_printed", 0.0),
    **metric("bayes_bound_violation_as_printed", 0.0),
}
LEFT = after(3) | at(contexts.LONG)


def shown(mass, label=A_TO_C):
    """C words after two demonstrations."""
    return metric("language_mass", mass, A_TO_C, **after(2, label))


HALF_WAY = (0.4, 0.6)
BAYES, PRIOR = "assumption_1_bayes", "proposition_2_prior"

# Claim -> what the runs show -> observation and explanation.
CASES = [
    ("assumption_1", {}, CONFIRMED, SUPPORTED),
    # Wrong C words: contexts are languages only.
    ("assumption_1", outside(0.3, 0.01), CONFIRMED, CONTRADICTED),
    (
        "assumption_1",
        outside(0.3, 0.01, label=A_TO_B),
        CONFIRMED,
        CONTRADICTED,
    ),
    ("assumption_1", outside((0.01, 0.1), 0.005), CONFIRMED, OPEN),
    ("assumption_1", outside(0.3, 0.2), NOT_CONFIRMED, CONTRADICTED),
    ("assumption_1", outside(0.3, (0.01, 0.1)), UNDECIDED, CONTRADICTED),
    # The mean over 1 and 2 demonstrations: (0.12 + 0.01) / 2 > 5 %.
    ("assumption_1", outside(0.12, 0.01, (1,)), CONFIRMED, CONTRADICTED),
    ("assumption_1", outside(0.08, 0.01, (1,)), CONFIRMED, SUPPORTED),
    # The prompt moves nothing, or half, or the wrong way.
    ("assumption_1", shown(0.02), NOT_CONFIRMED, SUPPORTED),
    ("assumption_1", shown(HALF_WAY), UNDECIDED, SUPPORTED),
    (
        "assumption_1",
        shown(0.0) | shown(1.0, A_TO_B),
        NOT_CONFIRMED,
        SUPPORTED,
    ),
    (BAYES, {}, CONFIRMED, None),
    (BAYES, metric("kl_from_bayes", 0.06, **after(0)), NOT_CONFIRMED, None),
    (
        BAYES,
        metric("kl_from_bayes", 0.06, **after(2, A_TO_B)),
        NOT_CONFIRMED,
        None,
    ),
    # One of four words: 0.3 / 4 > 0.051, 0.15 / 4 is not; another window,
    # and one demonstration, do not count.
    (
        BAYES,
        metric("kl_from_bayes", 0.3, **after(2), **at(contexts.SPARSE, 3)),
        NOT_CONFIRMED,
        None,
    ),
    (
        BAYES,
        metric("kl_from_bayes", 0.15, **after(2), **at(contexts.SPARSE, 3))
        | metric("kl_from_bayes", 9.0, **after(1))
        | metric("kl_from_bayes", 9.0, **at(contexts.LONG)),
        CONFIRMED,
        None,
    ),
    (BAYES, metric("kl_from_bayes", (0.04, 0.06)), UNDECIDED, None),
    (PRIOR, {}, CONFIRMED, SUPPORTED),
    (PRIOR, prior(0.6, 0.6), CONFIRMED, SUPPORTED),
    (PRIOR, prior(0.4, 0.0), CONFIRMED, CONTRADICTED),
    (PRIOR, prior(2.1, 0.0), CONFIRMED, CONTRADICTED),
    (PRIOR, prior(1.0, 0.8), CONFIRMED, CONTRADICTED),
    (PRIOR, prior(1.0, -0.8), CONFIRMED, CONTRADICTED),
    (PRIOR, prior(1.0, (-0.8, 0.8)), CONFIRMED, OPEN),
    (PRIOR, prior(0.05, 0.0), NOT_CONFIRMED, CONTRADICTED),
    (PRIOR, prior(-1.0, 0.0), NOT_CONFIRMED, CONTRADICTED),
    (PRIOR, prior((2.5, -1.5), 0.0), UNDECIDED, OPEN),
    ("proposition_3", {}, CONFIRMED, CONTRADICTED),
    ("proposition_3", PRINTED_HOLDS, CONFIRMED, SUPPORTED),
    (
        "proposition_3",
        metric("bayes_bound_violation_as_printed", 0.0),
        CONFIRMED,
        CONTRADICTED,
    ),
    (
        "proposition_3",
        # One generator is enough to refute an equation.
        PRINTED_HOLDS | metric("bayes_identity_gap_as_printed", (0.0, 1.0)),
        CONFIRMED,
        CONTRADICTED,
    ),
    (
        "proposition_3",
        metric("epsilon", 0.1, **LEFT) | PRINTED_HOLDS,
        NOT_CONFIRMED,
        SUPPORTED,
    ),
    (
        "proposition_3",
        metric("argmax_is_solver", 0.8, **LEFT),
        NOT_CONFIRMED,
        CONTRADICTED,
    ),
    # The solver in half of the seeds.
    (
        "proposition_3",
        metric("argmax_is_solver", (0.8, 1.0), **LEFT),
        UNDECIDED,
        CONTRADICTED,
    ),
    # Neither a window of 30 nor fewer demonstrations decide.
    (
        "proposition_3",
        metric("epsilon", 0.9, **at(contexts.SPARSE))
        | metric("argmax_is_solver", 0.0, **after(2)),
        CONFIRMED,
        CONTRADICTED,
    ),
    # No fewer B words with 400 pairs than with 10; or more.
    (
        "proposition_3",
        metric("epsilon", 1 - bayes_of(10), **at(contexts.COUNTS[400])),
        UNDECIDED,
        CONTRADICTED,
    ),
    (
        "proposition_3",
        metric("epsilon", 1.0, **at(contexts.COUNTS[400])),
        NOT_CONFIRMED,
        CONTRADICTED,
    ),
    # Nothing falls, since nothing was there.
    (
        "proposition_3",
        metric("epsilon", 0.004, **after(0), **at(contexts.LONG)),
        NOT_CONFIRMED,
        CONTRADICTED,
    ),
]


@pytest.mark.parametrize(
    ("name", "changes", "observation", "explanation"), CASES
)
def test_the_rules_decide(name, changes, observation, explanation):
    decision = BY_NAME[name].decide(evidence_of(changes, spread=1e-4))
    found = decision.observation, decision.explanation
    assert found == (observation, explanation), decision.because
    assert decision.num_seeds == len(SEEDS)


def test_every_outcome_has_a_case():
    for claim in CLAIMS:
        cases = [c for c in CASES if c[0] == claim.name]
        observations = {each.outcome for each in claim.observation.cases}
        assert {c[2] for c in cases} == {*observations, UNDECIDED}
        found, rule = {c[3] for c in cases}, claim.explanation
        if rule is None:
            assert found == {None}
        else:  # what is exact is never open
            assert {each.outcome for each in rule.cases} == found - {OPEN}


@pytest.mark.parametrize("name", ["assumption_1", BAYES, "proposition_3"])
def test_seeds_that_disagree_leave_it_open(name):
    # Half of the seeds are off by 0.2, in the other direction above 0.5.
    decision = BY_NAME[name].decide(evidence_of({}, spread=0.2))
    assert decision.observation == UNDECIDED, decision.because


@pytest.mark.parametrize("name", BY_NAME)
def test_one_seed_is_never_a_verdict(name):
    decision = BY_NAME[name].decide(evidence_of({}, seeds=(3,)))
    assert decision.observation == UNDECIDED
    # The printed equation is refuted by one generator: no run is needed.
    is_exact = name == "proposition_3"
    assert decision.explanation in (
        (CONTRADICTED,) if is_exact else (OPEN, None)
    )
    assert "One seed is never a verdict" in decision.because


def test_alike_numbers_have_an_interval_from_their_bounds():
    # 20 seeds alike: a share q = 1 - ((1 - level) / 2)^(1/20) of others may
    # not have been drawn, so that epsilon left is below 0.005 + q 0.995.
    effects = BY_NAME["proposition_3"].decide(evidence_of({})).effects
    left = next(e for e in effects if e["name"] == "epsilon left")
    unseen = 1 - ((1 - FAMILY.interval_level) / 2) ** (1 / 20)
    assert left["high"] == pytest.approx(0.005 + 0.995 * unseen, rel=1e-9)


@pytest.mark.parametrize("name", BY_NAME)
def test_what_the_report_reads_is_there(name):
    decision = BY_NAME[name].decide(evidence_of({}))
    assert {e["unit"] for e in decision.effects} <= set(UNITS)
    keys = FIGURE_KEYS[decision.figure["kind"]][0].split()
    assert set(keys) <= set(decision.figure)
    for item in decision.figure.get("series", ()):
        assert len(item["x"]) == len(item["values"]) == len(item["mean"])
        if item["label"].startswith("Bayes"):  # exact
            assert {*item["low"], *item["high"]} == {None}


def test_the_curve_of_bayes_starts_from_its_floor():
    figure = BY_NAME["assumption_1_bayes"].decide(evidence_of({})).figure
    series = {item["label"]: item["mean"] for item in figure["series"]}
    frame = SPARSE_CURVES
    rows = frame[
        (frame["metric"] == "loss_all_tokens")
        & (frame["tier"] == "fresh_windows")
        & (frame["mapping"] == A_TO_C)
    ]
    expected = rows.groupby("epoch")["value"].mean() - 0.6
    np.testing.assert_allclose(series[A_TO_C], expected, rtol=1e-12)


def test_missing_rows_are_missing_runs():
    frame = evidence_of({}).metrics
    few = frame[~((frame["metric"] == "epsilon") & (frame["seed"] == 2))]
    evidence = Evidence(few, SEEDS, None, pd.DataFrame(), 0.95)
    decision = BY_NAME["proposition_3"].decide(evidence)
    assert decision.observation == UNDECIDED
    assert decision.because == "Runs are missing: theory/contexts: seeds 2."


def test_the_prior_is_shown_as_odds():
    # A distance of ln 0.25 between the logits is a factor of 0.25.
    evidence = evidence_of(prior(1.0, math.log(0.25)))
    effects = BY_NAME[PRIOR].decide(evidence).effects
    assert effects[1]["value"] == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize(
    ("module", "place"), [(controls, contexts.SPARSE), (theory, contexts.LONG)]
)
def test_as_many_demonstrations_as_fit(module, place):
    # 10 tokens a pair, 5 + 4 - 1 for question and answer: 20 + 8 <= 30 and
    # 30 + 8 <= 40, but not one more.
    experiment = module.STUDY.build("quick", place.split("/")[1])
    packing, shown = experiment.task.packing(experiment.model.sequence_length)
    assert contexts.most_demonstrations(packing) == MOST_SHOWN[place]
    assert shown[A_TO_C] == 50
    assert math.isclose(bayes_of(50), 50 / (50 + shown[A_TO_B]))


def test_counts_are_those_of_the_experiments():
    assert tuple(contexts.COUNTS) == theory.COUNTS
    for num_pairs, place in contexts.COUNTS.items():
        experiment = theory.STUDY.build("quick", place.split("/")[1])
        assert experiment.task.mixture.num_pairs(A_TO_C) == num_pairs
