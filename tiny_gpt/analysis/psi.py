"""The Psi method: which sample to measure next for a threshold."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from tiny_gpt.analysis.statistics import (
    Interval,
    as_array,
    require,
    require_level,
)

STEPS_PER_FACTOR_2 = 8  # of the grid of thresholds
MARGIN = 2  # steps of the samples that thresholds may lie outside them
SLOPES = tuple(np.geomspace(0.5, 16, 11))
MOST_AT_ONCE = 6  # outcomes foreseen together: their number is 2^n


class Psi:
    """Chooses samples so that threshold and slope are known soonest.

    P(success) = (1 - lapse) / (1 + exp(-slope (ln x - ln threshold))), as in
    `fit_threshold`. The posterior is a grid. The next x is the one with the
    least expected entropy of the posterior after its outcome (Kontsevich and
    Tyler 1999). With several lapse rates, only the entropy of threshold and
    slope counts (Prins 2013). A run that fails where all others succeed is
    then no evidence of a curve that is flat everywhere.

    Args:
        samples: possible x, positive and increasing, shape (X,).
        thresholds: grid, positive, shape (A,); None for one that leaves
            `MARGIN` steps outside the samples.
        slopes: grid, positive, shape (B,).
        lapses: grid, in [0, 1), shape (C,).

    Raises:
        ValueError: if there are fewer than two samples, or a value is out of
            range.
    """

    def __init__(
        self,
        samples: Sequence[float] | np.ndarray,
        thresholds: Sequence[float] | np.ndarray | None = None,
        slopes: Sequence[float] | np.ndarray = SLOPES,
        lapses: Sequence[float] | np.ndarray = (0.0,),
    ):
        x = as_array("samples", samples)
        rises = len(x) > 1 and x[0] > 0 and bool((np.diff(x) > 0).all())
        rule = "`samples` must be two or more positive numbers that increase"
        require(rises, rule, samples=samples)
        if thresholds is None:
            thresholds = _grid(x)
        self.samples = x
        self.thresholds = as_array("thresholds", thresholds)
        self.slopes = as_array("slopes", slopes)
        self.lapses = as_array("lapses", lapses)
        is_met = bool((self.thresholds > 0).all() and (self.slopes > 0).all())
        is_met = is_met and bool((np.diff(self.thresholds) > 0).all())
        rule = "`thresholds` and `slopes` must be positive, and thresholds rise"
        require(is_met, rule, thresholds=thresholds, slopes=slopes)
        is_met = bool(((self.lapses >= 0) & (self.lapses < 1)).all())
        rule = "`lapses` must lie in [0, 1)"
        require(is_met, rule, lapses=lapses)
        log_odds = self.slopes * (
            np.log(x)[:, None, None] - np.log(self.thresholds)[:, None]
        )  # (X, A, B)
        success = special.expit(log_odds)[..., None] * (1 - self.lapses)
        # Of failure and success at each x: (2, X, A, B, C).
        self._likelihood = np.stack([1 - success, success])
        shape = success.shape[1:]
        self._posterior = np.full(shape, 1 / math.prod(shape))  # (A, B, C)

    @property
    def posterior(self) -> np.ndarray:
        """Probability of each threshold and slope, shape (A, B)."""
        return self._posterior.sum(axis=-1)

    def update(self, x: float, is_success: bool) -> None:
        """Learns the outcome of a run.

        Raises:
            ValueError: if x is not one of the samples.
        """
        likelihood = self._likelihood[int(is_success), self._place(x)]
        found = self._posterior * likelihood
        self._posterior = found / found.sum()

    def expected_entropies(self) -> np.ndarray:
        """Returns the expected entropy after a run at each x, shape (X,).

        It is that of threshold and slope, in nats.
        """
        return self._expect(np.ones(1), self._posterior[None])

    def plan(self, num: int, left: dict[float, int]) -> list[float]:
        """Returns the next x of several runs that start at once.

        Each is the best one after those before it, averaged over all their
        outcomes.

        Args:
            num: how many, 1 to `MOST_AT_ONCE`.
            left: runs that are left at each x.

        Returns:
            At most `num`, fewer if fewer are left.

        Raises:
            ValueError: if `num` is out of range, nothing is left, or an x is
                unknown.
        """
        rule = f"`num` must be 1 to {MOST_AT_ONCE}"
        require(1 <= num <= MOST_AT_ONCE, rule, num=num)
        counts = np.zeros(len(self.samples), int)
        for x, count in left.items():
            counts[self._place(x)] = count
        require(bool((counts > 0).any()), "A sample must be left", left=left)
        weights, branches = np.ones(1), self._posterior[None]  # (K, A, B, C)
        found: list[float] = []
        while len(found) < num and (counts > 0).any():
            entropies = self._expect(weights, branches)
            entropies[counts < 1] = math.inf
            # Equal up to rounding is equal, on every machine.
            best = int(np.argmax(entropies <= entropies.min() + 1e-12))
            counts[best] -= 1
            found.append(float(self.samples[best]))
            if len(found) < num:
                weights, branches = self._branch(weights, branches, best)
        return found

    def threshold(self, level: float = 0.95) -> Interval:
        """Returns the threshold and its credible interval.

        The value is the mean of the logarithm (Kontsevich and Tyler 1999).
        Beyond each end lies a probability of at most (1 - level) / 2. An end
        that is the grid's becomes 0 or inf.

        Args:
            level: probability, in (0, 1).
        """
        require_level(level)
        p = self.posterior.sum(axis=1)
        tail = (1 - level) / 2
        value = math.exp(float(p @ np.log(self.thresholds)))
        below, above = np.cumsum(p), np.cumsum(p[::-1])[::-1]
        first = int(np.argmax(below > tail))
        last = len(p) - 1 - int(np.argmax(above[::-1] > tail))
        low = float(self.thresholds[first]) if first else 0.0
        high = float(self.thresholds[last]) if last < len(p) - 1 else math.inf
        return Interval(value, low, high)

    def probability_outside(self) -> tuple[float, float]:
        """Returns the probabilities of a threshold below and above all x."""
        p = self.posterior.sum(axis=1)
        is_below = self.thresholds < self.samples[0]
        is_above = self.thresholds > self.samples[-1]
        return float(p[is_below].sum()), float(p[is_above].sum())

    def _place(self, x: float) -> int:
        (places,) = np.nonzero(self.samples == x)
        require(len(places) == 1, "x must be one of the samples", x=x)
        return int(places[0])

    def _expect(self, weights: np.ndarray, branches: np.ndarray) -> np.ndarray:
        """Returns the mean entropy over branches after a run at each x."""
        found = np.zeros(len(self.samples))
        for weight, branch in zip(weights, branches, strict=True):
            joint = self._likelihood * branch  # (2, X, A, B, C)
            p = joint.sum(axis=(2, 3, 4))  # (2, X)
            # p H(joint / p) = sum -joint ln joint + p ln p, if p is their sum.
            entropy = special.entr(joint.sum(axis=-1)).sum(axis=(2, 3))
            found += weight * (entropy - special.entr(p)).sum(axis=0)
        return found

    def _branch(self, weights, branches, place: int):
        """Returns the branches after both outcomes of a run."""
        joint = self._likelihood[:, place, None] * branches  # (2, K, A, B, C)
        p = joint.sum(axis=(2, 3, 4))
        is_possible = p.ravel() > 0
        shape = (-1, *branches.shape[1:])
        branches = joint / np.maximum(p, 1e-300)[..., None, None, None]
        return (
            (weights * p).ravel()[is_possible],
            branches.reshape(shape)[is_possible],
        )


def _grid(x: np.ndarray) -> np.ndarray:
    """Returns thresholds from `MARGIN` steps below the samples to above."""
    low, high = (
        x[0] * (x[0] / x[1]) ** MARGIN,
        x[-1] * (x[-1] / x[-2]) ** MARGIN,
    )
    count = math.ceil(STEPS_PER_FACTOR_2 * math.log2(high / low)) + 1
    return np.geomspace(low, high, count)
