"""Tests for tiny_gpt/analysis/thresholds.py."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from tiny_gpt.analysis import thresholds
from tiny_gpt.analysis.statistics import bootstrap_interval
from tiny_gpt.analysis.thresholds import (
    expanded_tail,
    fit_threshold,
    median_intervals,
)

X = np.array([4.0, 8.0, 16.0, 32.0, 64.0])
NAN, INF = math.nan, math.inf


def table(successes, num_seeds=10):
    """Outcomes of seeds that succeed in turn: k of them at each x."""
    return (np.arange(num_seeds)[:, None] < np.array(successes)) * 1.0


def draw(rng, threshold, slope, x=X, num_seeds=10):
    p = 1 / (1 + (threshold / x) ** slope)
    return (rng.random((num_seeds, len(x))) < p) * 1.0


def maximise(x, k, n):
    """The penalised likelihood as it is written, climbed without gradients."""
    z = np.log(x) - np.log(x).mean()
    design = np.stack([np.ones_like(z), z], axis=1)

    def loss(beta):
        p = 1 / (1 + np.exp(-design @ beta))
        information = design.T @ (design * (n * p * (1 - p))[:, None])
        likelihood = np.sum(k * np.log(p) + (n - k) * np.log(1 - p))
        return -likelihood - np.linalg.slogdet(information)[1] / 2

    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000}
    found = optimize.minimize(
        loss, [0.0, 0.5], method="Nelder-Mead", options=options
    )
    a, b = found.x
    return a - b * np.log(x).mean(), b


@pytest.mark.parametrize(
    ("k", "n"),
    [
        ([1, 2, 6, 7, 10], [10] * 5),  # mixed
        ([0, 0, 5, 10, 10], [10] * 5),  # mixed at one value alone
        ([0, 0, 0, 10, 10], [10] * 5),  # separated
        ([9, 7, 6, 2, 0], [10] * 5),  # falls
        ([0, 1, 0, 1, 1], [1] * 5),  # one seed
        ([0, 0, 3, 2, 1], [5, 0, 4, 2, 1]),  # a value without a run
        ([10] * 5, [10] * 5),  # successes alone
    ],
)
def test_the_fit_maximises_the_penalised_likelihood(k, n):
    k, n = np.array(k, float), np.array(n, float)
    a, b = thresholds._fit_logistic(np.log(X), k[None], n[None])
    assert (a[0], b[0]) == pytest.approx(maximise(X, k, n), abs=1e-5)


@pytest.mark.parametrize("n", [(1, 1), (1, 9), (10, 1), (10, 10)])
def test_two_values_add_half_a_success_and_half_a_failure(n):
    # Saturated: each leverage is 1, hence p = (k + 1/2) / (n + 1).
    x, n = np.array([4.0, 8.0]), np.array(n, float)
    k = np.array([0.0, n[1]])
    a, b = thresholds._fit_logistic(np.log(x), k[None], n[None])
    p = (k + 0.5) / (n + 1)
    np.testing.assert_allclose(
        a + b * np.log(x), np.log(p / (1 - p)), rtol=1e-7
    )


def test_a_symmetric_curve_has_its_threshold_in_the_middle():
    found = fit_threshold(X, table([1, 2, 5, 8, 9]))
    assert found.value == pytest.approx(16.0, rel=1e-7)
    assert found.censoring == "none"
    assert found.low < 16 < found.high
    assert found.slope > 0


def test_the_unit_of_x_does_not_matter():
    outcomes = draw(np.random.default_rng(0), 20, 2)
    one, other = fit_threshold(X, outcomes), fit_threshold(X * 1e3, outcomes)
    assert other.value == pytest.approx(1e3 * one.value, rel=1e-6)
    assert other.low == pytest.approx(1e3 * one.low, rel=1e-6)
    assert other.high == pytest.approx(1e3 * one.high, rel=1e-6)
    assert other.slope == pytest.approx(one.slope, rel=1e-6)


def test_separated_outcomes_leave_the_threshold_between_two_values():
    found = fit_threshold(X, table([0, 0, 0, 10, 10]))
    assert (found.low, found.high) == (16.0, 32.0)
    assert found.value == pytest.approx(math.sqrt(16 * 32), rel=1e-12)
    assert set(found.low_draws) == {16.0}
    assert set(found.high_draws) == {32.0}


@pytest.mark.parametrize(
    ("successes", "censoring", "ends"),
    [
        ([10] * 5, "below", (0.0, 0.0, 4.0)),
        ([9, 10, 10, 10, 10], "below", (0.0, 0.0, 4.0)),
        ([0] * 5, "above", (INF, 64.0, INF)),
        ([0, 0, 0, 0, 1], "above", (INF, 64.0, INF)),
        ([5] * 5, "does not rise", (NAN, 0.0, INF)),
        ([9, 7, 5, 2, 1], "does not rise", (NAN, 0.0, INF)),
    ],
)
def test_a_threshold_outside_the_grid_is_not_extrapolated(
    successes, censoring, ends
):
    found = fit_threshold(X, table(successes))
    assert found.censoring == censoring
    np.testing.assert_equal((found.value, found.low, found.high), ends)


def test_a_seed_that_is_missing_is_not_a_failure():
    outcomes = table([1, 2, 5, 8, 9])
    more = np.vstack([outcomes, np.full((3, 5), NAN)])
    found = fit_threshold(X, more)
    assert found.value == pytest.approx(16.0, rel=1e-7)
    assert found.num_seeds == 10
    # One value of x may have fewer seeds than another.
    outcomes[:, 4] = [1.0] * 4 + [NAN] * 6
    k, n = np.array([1.0, 2, 5, 8, 4]), np.array([10.0, 10, 10, 10, 4])
    a, b = maximise(X, k, n)
    found = fit_threshold(X, outcomes)
    assert found.value == pytest.approx(math.exp(-a / b), rel=1e-5)


def test_censoring_is_by_the_values_that_a_resample_has():
    # Seed 0 fails at 4 and 8, seed 1 succeeds at 16. Twice seed 0: above 8;
    # twice seed 1: below 16; both: between.
    outcomes = np.array([[0.0, 0.0, NAN], [NAN, NAN, 1.0]])
    found = fit_threshold(X[:3], outcomes)
    ends = set(zip(found.low_draws, found.high_draws, strict=True))
    assert ends == {(8.0, INF), (0.0, 16.0), (8.0, 16.0)}


def test_one_seed_has_no_interval():
    found = fit_threshold(X, table([0, 0, 1, 1, 1], 1))
    assert found.value == pytest.approx(math.sqrt(8 * 16), rel=1e-12)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_tail_is_students():
    # 10 seeds at 0.95: t = 2.2622, Phi(-2.2622 sqrt(10 / 9)) = Phi(-2.3845).
    assert expanded_tail(0.95, 10) == pytest.approx(0.00855, abs=5e-6)
    assert expanded_tail(0.95, 10**6) == pytest.approx(0.025, abs=1e-5)
    # So that the interval of a mean of normal values is as wide as Student's.
    rng = np.random.default_rng(0)
    values = rng.normal(size=12)
    means = values[rng.integers(12, size=(40_000, 12))].mean(axis=1)
    tail = expanded_tail(0.9, 12)
    width = np.diff(np.quantile(means, [tail, 1 - tail]))[0]
    half = stats.t.ppf(0.95, 11) * stats.sem(values)
    assert width == pytest.approx(2 * half, rel=0.05)


@pytest.mark.parametrize("slope", [1, 2, 8])
def test_the_interval_holds_the_truth(slope):
    # 120 samples of 10 seeds: standard error 0.02 at 0.95.
    rng, x = np.random.default_rng(3), np.geomspace(4, 1024, 9)
    covers, widths = [], []
    for _ in range(120):
        found = fit_threshold(x, draw(rng, 60, slope, x), num_resamples=500)
        covers.append(found.low <= 60 <= found.high)
        widths.append(found.high / max(found.low, 1e-9))
    assert np.mean(covers) >= 0.95 - 4 * 0.02
    assert np.median(widths) < 4.5  # it also says something


def test_the_test_of_the_form_keeps_its_level_and_finds_another_form():
    rng, x = np.random.default_rng(4), np.geomspace(4, 1024, 9)
    p_values = [
        fit_threshold(x, draw(rng, 60, 0.5, x), num_resamples=1).p_value
        for _ in range(300)
    ]
    # 4 standard errors of 0.05: 4 sqrt(0.05 * 0.95 / 300) = 0.05.
    assert np.mean(np.array(p_values) < 0.05) <= 0.1
    up_and_down = [0, 3, 10, 10, 2, 1, 5, 10, 10]
    assert fit_threshold(x, table(up_and_down)).p_value < 1e-6
    # As many parameters as values.
    assert math.isnan(fit_threshold(x[:2], table([2, 7])).p_value)


def test_the_p_value_by_hand():
    # 3 of 10 at three values: the slope is 0 and Firth's intercept gives
    # p = (9 + 1) / (30 + 2) = 5/16; X2 = 3 (3 - 10 p)^2 / (10 p (1 - p))
    # = 3 (1/8)^2 / (275/128) = 6/275, of one degree of freedom.
    found = fit_threshold(X[:3], table([3, 3, 3]))
    assert found.slope == pytest.approx(0, abs=1e-9)
    expected = stats.chi2.sf(6 / 275, 1)
    assert found.p_value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("x", "outcomes", "rule"),
    [
        ([4.0], [[1.0]], "two or more"),
        ([4.0, 4.0], [[1.0, 0.0]], "that increase"),
        ([0.0, 4.0], [[1.0, 0.0]], "positive"),
        ([4.0, 8.0], [1.0, 0.0], "row per seed"),
        ([4.0, 8.0], [[1.0, 0.5]], "1, 0 or NaN"),
        ([4.0, 8.0], [[1.0, NAN]], "must have a run"),
    ],
)
def test_what_cannot_be_fitted_is_refused(x, outcomes, rule):
    with pytest.raises(ValueError, match=f"{rule}.*Received: "):
        fit_threshold(x, np.array(outcomes))


def test_a_level_lies_between_0_and_1():
    with pytest.raises(ValueError, match="level=1"):
        fit_threshold(X, table([0] * 5), level=1)
    with pytest.raises(ValueError, match="num_resamples=0"):
        fit_threshold(X, table([0] * 5), num_resamples=0)


def test_medians_of_all_resamples_by_hand():
    # Of 27 resamples of (1, 2, 3), 7 have the median 1 and 7 have 3: 0.26.
    values = np.array([[3.0, 1.0, 2.0]])
    assert list(median_intervals(values, 0.56)[0]) == [2.0, 1.0, 3.0]
    assert list(median_intervals(values, 0.4)[0]) == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("num_seeds", [5, 10])
def test_medians_are_those_of_the_bootstrap(num_seeds):
    values = np.random.default_rng(num_seeds).random((20, num_seeds))
    found = median_intervals(values, 0.9, 10_000)
    for row, (median, low, high) in zip(values, found, strict=True):
        expected = bootstrap_interval(row, "median", 0.9)
        assert median == pytest.approx(expected.value, rel=1e-12)
        # Ends are medians of resamples, which differ by their randomness.
        steps = np.sort(row)
        assert abs(low - expected.low) <= np.diff(steps).max() / 2
        assert abs(high - expected.high) <= np.diff(steps).max() / 2


def test_medians_of_cells_with_fewer_seeds():
    values = np.array([[NAN, NAN, NAN], [NAN, 0.5, NAN], [1.0, NAN, 1.0]])
    found = median_intervals(values)
    expected = [[NAN] * 3, [0.5, NAN, NAN], [1.0, 1.0, 1.0]]
    np.testing.assert_array_equal(found, expected)
    full = median_intervals(np.array([[0.1, 0.7, 0.9]]))
    gaps = median_intervals(np.array([[0.9, NAN, 0.1, 0.7]]))
    np.testing.assert_array_equal(full, gaps)
