"""Choices before the protocol: rates, and the coverage of intervals."""

import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.choices.choose_rates import candidates, settles
from benchmarks.choices.coverage_of_measures import coverage
from tiny_gpt.claims.measure import MEDIAN, Measure, share
from tiny_gpt.tasks.translation.mixture import Mixture


def curves(first, second):
    return pd.DataFrame({"A->B": first, "B->C": second}, index=range(1, 5))


@pytest.mark.parametrize(
    ("first", "second", "epoch"),
    [
        ([0.1, 0.9, 0.95, 1.0], [0.9, 0.9, 0.9, 0.9], 2),
        ([0.1, 0.9, 0.8, 1.0], [0.9, 0.9, 0.9, 0.9], 4),  # it fell again
        ([1.0] * 4, [1.0] * 4, 1),
        ([1.0] * 4, [1.0, 1.0, 1.0, 0.89], math.inf),
    ],
)
def test_a_seed_settles_where_both_stay_high(first, second, epoch):
    assert settles(curves(first, second)) == epoch


def test_no_candidate_reads_or_asks_a_to_c():
    for by_rate in candidates().values():
        for experiment in by_rate.values():
            mixture: Mixture = experiment.task.mixture
            assert mixture.component("A->C").num_shown == 0
            assert "A->C" not in experiment.task.eval_mappings


def test_exact_intervals_hold_at_least_as_often_as_they_say():
    values = np.array([0.0] * 3 + [1.0] * 7)
    measure = share("x", lambda e: {}, above=0.5)
    found = coverage(measure, values, 0.95, np.random.default_rng(0), 400)
    assert found >= 0.95


def test_a_median_is_compared_with_the_median_also_of_infinite_numbers():
    values = np.array([1.0, 2.0, 3.0, np.inf, np.inf])  # no mean; median 3
    measure = Measure(name="x", values=lambda e: {}, kind=MEDIAN)
    found = coverage(measure, values, 0.95, np.random.default_rng(0), 400)
    assert found >= 0.95


def test_t_is_right_for_normal_values_and_wrong_for_a_rare_outlier():
    rng = np.random.default_rng(0)
    measure = Measure(name="x", values=lambda e: {})
    normal = rng.normal(0, 1, 5000)
    found = coverage(measure, normal, 0.95, np.random.default_rng(1), 600)
    assert found == pytest.approx(0.95, abs=0.03)
    # The outlier is missed by 20 draws with probability 0.95^20 = 0.36; all
    # are then equal, and an interval without bounds holds nothing.
    rare = np.array([0.0] * 19 + [1.0])
    found = coverage(measure, rare, 0.95, np.random.default_rng(1), 600)
    assert found < 0.7
