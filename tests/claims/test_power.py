"""Tests for tiny_gpt/claims/power.py."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tiny_gpt.claims.claim import Claim, Family, Scenario
from tiny_gpt.claims.evidence import Evidence, MissingRunsError
from tiny_gpt.claims.measure import Measure, share
from tiny_gpt.claims.power import shifted, simulate_power
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    observed,
)
from tiny_gpt.metrics.columns import COLUMNS

FAMILY = Family("f", ("c",), 1, "A family")
EVIDENCE = Evidence(
    pd.DataFrame(columns=list(COLUMNS)), (0, 1), None, pd.DataFrame(), 0.95
)


def claim_of(measure, *scenarios):
    return Claim(
        family=FAMILY,
        name="c",
        title="t",
        statement="s",
        source="Sinha 2024",
        conditions=(),
        statistic="x",
        measures=(measure,),
        observation=observed(
            case(CONFIRMED, above(measure.name, 0.5)),
            case(NOT_CONFIRMED, below(measure.name, 0.5)),
        ),
        margin="m",
        seen="n",
        scenarios=scenarios,
    )


def power_of(claim, num_samples=4000):
    rng = np.random.default_rng(0)
    table = simulate_power(claim, [EVIDENCE], 20, num_samples, rng)
    return table["power"].to_list()


def test_numbers_of_a_median_are_multiplied():
    values = {n: 2.0**n for n in range(5)}  # their median is 4
    measure = Measure(
        name="x", values=lambda e: values, unit="ratio", kind="median"
    )
    truths = (0.1, 0.5, 400.0)
    claim = claim_of(measure, *(Scenario(CONFIRMED, {"x": t}) for t in truths))
    low, even, high = power_of(claim, 500)
    assert (low, high) == (0.0, 1.0)  # all are below 0.5, or above
    assert 0.0 <= even < 0.1  # half of them


def test_the_power_of_a_share_is_that_of_the_binomial():
    # At 95 % 15 of 20 are needed: 14 give 0.457 to 0.881.
    measure = share("x", lambda e: {0: 1.0}, above=0.5)
    found = power_of(claim_of(measure, Scenario(CONFIRMED, {"x": 0.8})))
    expected = stats.binom.sf(14, 20, 0.8)
    assert found == pytest.approx([expected], abs=0.02)


def test_the_power_of_a_mean_is_that_of_the_t_test():
    rng = np.random.default_rng(1)
    seen = dict(enumerate(rng.normal(7.0, 0.1, 4000).tolist()))
    measure = Measure(name="x", values=lambda e: seen)
    # A shift of 0.06 at a spread of 0.1 and 20 seeds: the power of the
    # one-sided t test at 2.5 %, from the noncentral t.
    shift = 0.06 / 0.1 * math.sqrt(20)
    expected = stats.nct.sf(stats.t.ppf(0.975, 19), 19, shift)
    found = power_of(
        claim_of(
            measure,
            Scenario(CONFIRMED, {"x": 0.56}),
            Scenario(NOT_CONFIRMED, {"x": 0.44}),
        ),
        1500,
    )
    assert found == pytest.approx([expected] * 2, abs=0.04)


def test_the_effect_that_was_seen_does_not_count():
    # Seen at 0.9, far above the limit; the truth of the scenario is 0.5.
    seen = dict(enumerate([0.88, 0.9, 0.92]))
    measure = Measure(name="x", values=lambda e: seen)
    (power,) = power_of(claim_of(measure, Scenario(CONFIRMED, {"x": 0.5})), 400)
    assert power < 0.1


def test_what_has_not_been_seen_has_no_power():
    def missing(evidence):
        raise MissingRunsError("controls/new: seeds 0")

    measure = Measure(name="x", values=missing)
    (power,) = power_of(claim_of(measure, Scenario(CONFIRMED, {"x": 0.6})), 5)
    assert math.isnan(power)


def test_a_measure_that_is_not_named_keeps_what_was_seen():
    measure = share("x", lambda e: {0: 1.0, 1: 1.0}, above=0.5)
    claim = claim_of(measure, Scenario(CONFIRMED, {}))
    assert power_of(claim, 50) == [1.0]
    assert dataclasses.replace(claim, scenarios=()).scenarios == ()


def test_values_that_are_cut_at_a_bound_have_the_right_mean():
    # Shifted by -0.05 without a cut: -0.05, 0.05, 0.15 with mean 0.05. Cut at
    # 0 the mean would be 0.0667, so that they are shifted by -0.075 in all:
    # 0, 0.025, 0.125 with mean 0.05.
    found = shifted(np.array([0.0, 0.1, 0.2]), 0.05, (0.0, 1.0))
    assert found == pytest.approx([0.0, 0.025, 0.125])
    free = shifted(np.array([0.0, 0.1, 0.2]), 0.05, (-math.inf, math.inf))
    assert free == pytest.approx([-0.05, 0.05, 0.15])
