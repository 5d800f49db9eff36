"""Exact predictors of noisy linear functions, after any number of pairs.

A window shows pairs of a vector x and a number y = w . x + noise. Its weight
vector w is one of a pool, or fresh, drawn from N(0, I); x is drawn from
N(0, I), the noise from N(0, noise^2). As in Garg et al. 2022
(arXiv 2208.01066) and Raventos et al. 2023 (arXiv 2306.15063).

Axes: N windows, n pairs, d dimensions, K vectors of the pool. All is float64.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from tiny_gpt.analysis.statistics import require


class Predictive(NamedTuple):
    """The predictive distribution of each y, a normal one.

    Attributes:
        mean: shape (N, n).
        variance: shape (N, n), that of the noise included.
    """

    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class LinearPrior:
    """Where the weight vectors of windows come from.

    Attributes:
        pool: weight vectors, equally likely, shape (K, d); K may be 0.
        fresh_share: probability of a fresh one.
        noise: standard deviation of y given x and w.

    Raises:
        ValueError: if a number is out of range, or nothing can be drawn.
    """

    pool: np.ndarray
    fresh_share: float
    noise: float

    def __post_init__(self):
        is_matrix = np.ndim(self.pool) == 2 and np.shape(self.pool)[1] > 0
        rule = "`pool` must have the shape (K, d), d at least 1"
        require(is_matrix, rule, shape=np.shape(self.pool))
        _require_noise(self.noise)
        share = self.fresh_share
        rule = "`fresh_share` must lie in [0, 1]"
        require(0 <= share <= 1, rule, fresh_share=share)
        rule = "Without a pool all windows are fresh"
        require(len(self.pool) > 0 or share == 1, rule, fresh_share=share)

    def draw(
        self, num_windows: int, num_pairs: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws windows, each with one weight vector.

        Args:
            num_windows: N.
            num_pairs: n.
            rng: source of randomness.

        Returns:
            Each x, shape (N, n, d), and each y, shape (N, n).
        """
        dim = self.pool.shape[1]
        weights = rng.normal(size=(num_windows, dim))
        if len(self.pool):
            drawn = self.pool[rng.integers(len(self.pool), size=num_windows)]
            is_fresh = rng.random((num_windows, 1)) < self.fresh_share
            weights = np.where(is_fresh, weights, drawn)
        x = rng.normal(size=(num_windows, num_pairs, dim))
        noise = self.noise * rng.normal(size=(num_windows, num_pairs))
        return x, np.einsum("nkd,nd->nk", x, weights) + noise

    def predict(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Returns the posterior mean of each y, given the pairs before it.

        No predictor has a smaller expected squared error on these windows. With
        fresh windows alone it is the ridge regression, with the pool alone
        the "dMMSE" of Raventos et al. 2023.

        Args:
            x: shape (N, n, d).
            y: shape (N, n).

        Returns:
            Shape (N, n).

        Raises:
            ValueError: if the shapes do not fit.
        """
        fresh = ridge(x, y, self.noise)
        rule = "x must have as many dimensions as the pool"
        is_met = np.shape(x)[-1] == self.pool.shape[1]
        require(is_met, rule, x=np.shape(x), pool=self.pool.shape)
        of_pool = np.asarray(x, float) @ self.pool.T  # (N, n, K)
        means = np.concatenate([of_pool, fresh.mean[..., None]], axis=-1)
        variances = np.full(means.shape, self.noise**2)
        variances[..., -1] = fresh.variance
        of_y = -0.5 * (
            (np.asarray(y, float)[..., None] - means) ** 2 / variances
            + np.log(variances)
        )
        logs = self._log_prior() + _sum_before(of_y)
        return (softmax(logs, axis=-1) * means).sum(axis=-1)

    def _log_prior(self) -> np.ndarray:
        """Returns the logarithms of the prior, (K + 1,); the last is fresh."""
        number, share = len(self.pool), self.fresh_share
        each = (1 - share) / number if number else 0.0
        found = [*[each] * number, share]
        return np.array([math.log(p) if p else -math.inf for p in found])


def ridge(x: np.ndarray, y: np.ndarray, noise: float) -> Predictive:
    """Returns what the ridge regression on the pairs before predicts.

    With the penalty noise^2 it is the posterior mean for w from N(0, I)
    (Bishop 2006, sec. 3.3). The variance is that of the posterior.

    Args:
        x: shape (N, n, d).
        y: shape (N, n).
        noise: standard deviation of y given x and w.

    Raises:
        ValueError: if the shapes do not fit, or `noise` is not above 0.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    is_met = x.ndim == 3 and y.shape == x.shape[:2]
    rule = "x must have the shape (N, n, d), y the shape (N, n)"
    require(is_met, rule, x=x.shape, y=y.shape)
    _require_noise(noise)
    penalty = noise**2 * np.eye(x.shape[-1])
    gram = _sum_before(x[..., :, None] * x[..., None, :]) + penalty
    both = np.stack([_sum_before(x * y[..., None]), x], axis=-1)
    solved = np.linalg.solve(gram, both)  # (N, n, d, 2)
    mean, spread = np.moveaxis(np.einsum("nkd,nkdi->nki", x, solved), -1, 0)
    return Predictive(mean, noise**2 * (1 + spread))


def _sum_before(values: np.ndarray) -> np.ndarray:
    """Sums over the pairs before each one; the second axis is that of pairs."""
    sums = np.cumsum(values, axis=1)
    return np.concatenate([np.zeros_like(sums[:, :1]), sums[:, :-1]], axis=1)


def _require_noise(noise: float) -> None:
    rule = "`noise` must be above 0, and finite"
    require(0 < noise < math.inf, rule, noise=noise)
