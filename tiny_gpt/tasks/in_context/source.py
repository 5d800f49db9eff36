"""Where windows come from: a fixed bijection, a pool, and all others."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tiny_gpt.analysis.bijections import all_bijections, predict

FRESH, POOL, FIXED = "fresh", "pool", "fixed"  # mappings


@dataclass(frozen=True)
class Source:
    """The bijections of one seed, and the windows that are drawn of them.

    Attributes:
        num_symbols: M.
        num_pairs: pairs of a window, n.
        fixed_share: share of windows with the fixed bijection.
        fixed: its index in `all_bijections`.
        pool: indices of the pool, shape (K,); K = 0 stands for all.
    """

    num_symbols: int
    num_pairs: int
    fixed_share: float
    fixed: int
    pool: np.ndarray = field(repr=False)

    @property
    def everything(self) -> np.ndarray:
        """All bijections, shape (M!, M)."""
        return all_bijections(self.num_symbols)

    @cached_property
    def _outside(self) -> np.ndarray:
        """Those that are neither fixed nor in the pool."""
        known = [*self.pool, *[self.fixed] * (self.fixed_share > 0)]
        return np.setdiff1d(np.arange(len(self.everything)), known)

    def draw_read(
        self, number: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws windows of the text.

        Args:
            number: windows, N.
            rng: source of randomness.

        Returns:
            Whether each has the fixed bijection, shape (N,), and tokens.
        """
        is_fixed = rng.random(number) < self.fixed_share
        known = self.pool if len(self.pool) else np.arange(len(self.everything))
        others = known[rng.integers(len(known), size=number)]
        x = self.draw_x(number, self.num_pairs, rng)
        indices = np.where(is_fixed, self.fixed, others)
        return is_fixed, self.encode(x, self.images(indices, x))

    def draw(
        self, mapping: str, number: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Draws bijections for questions.

        Args:
            mapping: "fixed", "pool" or "fresh".
            number: how many, N.
            rng: source of randomness.

        Returns:
            Indices in `all_bijections`, shape (N,).
        """
        if mapping == FIXED:
            return np.full(number, self.fixed)
        known = self.pool if mapping == POOL else self._outside
        return known[rng.integers(len(known), size=number)]

    def draw_x(
        self, number: int, num_pairs: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Draws symbols x, with replacement, shape (number, num_pairs)."""
        return rng.integers(self.num_symbols, size=(number, num_pairs))

    def images(self, indices: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Returns each y, of bijections (N,) and symbols x (N, n)."""
        return self.everything[indices[:, None], x].astype(int)

    def encode(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Returns tokens `x y x y ...`, shape (N, 2n)."""
        pairs = np.stack([1 + x, 1 + self.num_symbols + y], axis=2)
        return pairs.reshape(len(x), -1).astype("int32")

    def losses_of_readers(
        self, x: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the losses of two readers, nats, each of shape (N, n).

        The first knows the pool, the fixed bijection, and their shares. Its
        loss is NaN where they exclude the pairs, and infinite where they
        exclude the y. To the second all bijections are equally likely.
        """
        share, size = self.fixed_share, len(self.pool)
        known = self.everything[np.array([self.fixed, *self.pool], int)]
        weights = np.full(1 + size, (1 - share) / max(size, 1))
        weights[0] = share
        rest = 0.0 if size else 1 - share
        readers = (weights, rest), (0 * weights, 1.0)
        first, second = (predict(x, y, known, *each) for each in readers)
        return _loss(first, y), _loss(second, y)


def _loss(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    right = np.take_along_axis(probabilities, y[..., None], axis=2)[..., 0]
    with np.errstate(divide="ignore"):
        return -np.log(right)
