"""Tests for tiny_gpt/analysis/linear_readers.py."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from tiny_gpt.analysis.linear_readers import LinearPrior, ridge

NOISE = 0.5
DIM = 3
NONE = np.empty((0, DIM))
FRESH = LinearPrior(NONE, 1.0, NOISE)
POOL = np.random.default_rng(7).normal(size=(4, DIM))
ALONE = LinearPrior(POOL, 0.0, NOISE)
MIXED = LinearPrior(POOL, 0.4, NOISE)
PRIORS = {"fresh": FRESH, "pool": ALONE, "mixed": MIXED}
each_prior = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)


def draw(prior=FRESH, num_windows=5, num_pairs=7, seed=0):
    return prior.draw(num_windows, num_pairs, np.random.default_rng(seed))


def assert_mean(values, expected):
    """Asserts that a mean is the expected one, within 4 standard errors."""
    error = np.std(values) / np.sqrt(np.size(values))
    assert np.mean(values) == pytest.approx(expected, abs=4 * error)


def test_ridge_by_hand():
    # d = 1, noise 1. Before any pair w is N(0, 1). After (1, 3) its precision
    # is 1 + 1 and its mean 3 / 2; after (2, 1) they are 1 + 5 and (3 + 2) / 6.
    x = np.array([[[1.0], [2.0], [-6.0]]])
    y = np.array([[3.0, 1.0, 9.0]])
    mean, variance = ridge(x, y, 1.0)
    np.testing.assert_allclose(mean, [[0.0, 3.0, -5.0]], rtol=1e-12)
    np.testing.assert_allclose(variance, [[2.0, 3.0, 7.0]], rtol=1e-12)


def test_ridge_is_the_conditional_of_a_joint_normal():
    # All y of a window are normal with covariance x x' + noise^2; the rule
    # of conditioning needs no weight vector at all.
    x, y = draw()
    mean, variance = ridge(x, y, NOISE)
    for window, (rows, values) in enumerate(zip(x, y, strict=True)):
        joint = rows @ rows.T + NOISE**2 * np.eye(len(rows))
        for k in range(len(rows)):
            slope = np.linalg.solve(joint[:k, :k], joint[:k, k])
            assert mean[window, k] == pytest.approx(slope @ values[:k])
            rest = joint[k, k] - slope @ joint[:k, k]
            assert variance[window, k] == pytest.approx(rest)


def test_without_noise_it_is_least_squares():
    # Of shortest length while there are fewer pairs than dimensions; what
    # these cannot see of x is what stays uncertain.
    x, y = draw(dataclasses.replace(FRESH, noise=1e-9))
    mean, variance = ridge(x, y, 1e-4)
    for window in range(len(x)):
        for k in range(1, x.shape[1]):
            before, new = x[window, :k], x[window, k]
            weights = np.linalg.lstsq(before, y[window, :k])[0]
            assert mean[window, k] == pytest.approx(weights @ new, abs=1e-4)
            seen = np.linalg.pinv(before) @ before @ new
            unseen = ((new - seen) ** 2).sum()
            assert variance[window, k] == pytest.approx(unseen, abs=1e-4)


def test_before_any_pair_the_error_is_that_of_zero():
    # E y^2 = E |w|^2 + noise^2 = d + noise^2.
    x, y = draw(num_windows=20_000, num_pairs=2)
    mean, variance = ridge(x, y, NOISE)
    assert not mean[:, 0].any()
    assert_mean(y[:, 0] ** 2, DIM + NOISE**2)
    assert_mean(variance[:, 0], DIM + NOISE**2)


def test_the_variance_is_the_error_to_expect():
    x, y = draw(num_windows=20_000)
    mean, variance = ridge(x, y, NOISE)
    for k in range(x.shape[1]):
        assert_mean((y - mean)[:, k] ** 2 - variance[:, k], 0.0)


def test_a_pool_of_one_is_answered_by_its_vector():
    prior = LinearPrior(POOL[:1], 0.0, NOISE)
    x, y = draw()  # whatever the windows are
    np.testing.assert_allclose(prior.predict(x, y), x @ POOL[0], rtol=1e-12)


@each_prior
def test_predictions_are_those_of_bayes_rule(prior):
    # Window by window: the joint density of the y so far under each vector,
    # and under the fresh prior, weighs the predictions of each.
    x, y = draw(prior, num_windows=4)
    found = prior.predict(x, y)
    share = prior.fresh_share
    for window, (rows, values) in enumerate(zip(x, y, strict=True)):
        for k in range(1, len(rows)):
            before, seen = rows[:k], values[:k]
            noise = NOISE**2 * np.eye(k)
            densities = [
                stats.multivariate_normal.pdf(seen, before @ w, noise)
                * (1 - share)
                / len(POOL)
                for w in prior.pool
            ]
            joint = before @ before.T + noise
            fresh = share * stats.multivariate_normal.pdf(
                seen, np.zeros(k), joint
            )
            weights = np.array([*densities, fresh])
            ridge_weights = before.T @ np.linalg.solve(joint, seen)
            answers = [*(prior.pool @ rows[k]), ridge_weights @ rows[k]]
            expected = weights @ answers / weights.sum()
            assert found[window, k] == pytest.approx(expected, rel=1e-9)


def test_without_a_pool_it_is_ridge():
    x, y = draw()
    expected = ridge(x, y, NOISE).mean
    np.testing.assert_allclose(FRESH.predict(x, y), expected, rtol=1e-12)
    unused = LinearPrior(POOL, 1.0, NOISE).predict(x, y)
    np.testing.assert_allclose(unused, expected, rtol=1e-12)


def test_before_any_pair_a_pool_is_answered_by_its_mean():
    x, y = draw()
    mean = POOL.mean(axis=0)
    for prior, factor in ((ALONE, 1.0), (MIXED, 0.6)):
        found = prior.predict(x, y)[:, 0]
        np.testing.assert_allclose(found, factor * x[:, 0] @ mean, rtol=1e-12)


@each_prior
def test_the_order_of_pairs_does_not_matter(prior):
    x, y = draw()
    order = [*np.random.default_rng(1).permutation(6), 6]
    found = prior.predict(x[:, order], y[:, order])[:, -1]
    np.testing.assert_allclose(found, prior.predict(x, y)[:, -1], rtol=1e-9)


@each_prior
def test_an_answer_depends_on_the_pairs_before_it_alone(prior):
    x, y = draw()
    before = prior.predict(x, y)
    y[:, 3:] += 1.0
    x[:, 4:] -= 1.0
    after = prior.predict(x, y)
    np.testing.assert_allclose(after[:, :4], before[:, :4], rtol=1e-12)
    assert (np.abs(after - before)[:, 4:] > 1e-3).all()


@each_prior
def test_nothing_is_better_on_its_own_windows(prior):
    x, y = draw(prior, num_windows=20_000, num_pairs=6)

    def error(reader):
        return ((reader.predict(x, y) - y) ** 2).mean()

    others = [other for other in PRIORS.values() if other is not prior]
    assert error(prior) < min(map(error, others))


def test_the_noise_is_what_a_known_pool_leaves():
    x, y = draw(ALONE, num_windows=20_000, num_pairs=40)
    assert_mean((ALONE.predict(x, y) - y)[:, -1] ** 2, NOISE**2)


def test_windows_have_vectors_of_the_pool_and_fresh_ones():
    prior = dataclasses.replace(MIXED, noise=1e-9)
    x, y = draw(prior, num_windows=4000, num_pairs=DIM + 1)
    weights = np.linalg.solve(x[:, :DIM], y[:, :DIM, None])[..., 0]
    np.testing.assert_allclose(
        y[:, DIM], (x[:, DIM] * weights).sum(axis=1), atol=1e-4
    )
    distances = np.abs(weights[:, None] - POOL).max(axis=-1)
    is_fresh = distances.min(axis=1) > 1e-4
    assert_mean(is_fresh, 0.4)
    for vector in range(len(POOL)):
        assert_mean(distances[:, vector] < 1e-4, 0.6 / len(POOL))
    assert_mean(weights[is_fresh], 0.0)
    assert_mean(weights[is_fresh] ** 2, 1.0)


@pytest.mark.parametrize(
    ("pool", "share", "noise", "rule"),
    [
        (np.empty(3), 1.0, 1.0, "`pool` must have the shape"),
        (np.empty((2, 0)), 0.0, 1.0, "`pool` must have the shape"),
        (POOL, 1.5, 1.0, "`fresh_share` must lie"),
        (POOL, float("nan"), 1.0, "`fresh_share` must lie"),
        (NONE, 0.5, 1.0, "Without a pool"),
        (POOL, 0.0, 0.0, "`noise` must be above 0"),
        (POOL, 0.0, float("inf"), "`noise` must be above 0"),
    ],
)
def test_a_prior_that_draws_nothing_is_refused(pool, share, noise, rule):
    with pytest.raises(ValueError, match=rule):
        LinearPrior(pool, share, noise)


def test_shapes_that_do_not_fit_are_refused():
    x, y = draw()
    with pytest.raises(ValueError, match="y the shape"):
        ridge(x, y[:, 1:], NOISE)
    with pytest.raises(ValueError, match="as many dimensions as the pool"):
        ALONE.predict(x[..., :2], y)
    with pytest.raises(ValueError, match="`noise` must be above 0"):
        ridge(x, y, 0.0)
