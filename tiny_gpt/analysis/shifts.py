"""Shifted inputs: equation 3 for a shift delta (lemma 2).

Axes as in `linear_attention`: i is a key, j a query, pairs (..., H, T, S).
"""

import numpy as np
from scipy import optimize

from tiny_gpt.analysis.linear_attention import similarities
from tiny_gpt.analysis.statistics import require


def equation_3(
    z: np.ndarray,
    delta: np.ndarray,
    key_query: np.ndarray,
    pairs: np.ndarray,
) -> np.ndarray:
    """Returns the three terms that should sum to 0 for every pair.

    z_i^T K^T Q delta_j, delta_i^T K^T Q z_j, delta_i^T K^T Q delta_j (Sinha
    2024, eq. 3). Their sum is f(z_i + delta_i, z_j + delta_j) - f(z_i, z_j).

    Args:
        z: inputs, shape (..., T, D).
        delta: shift of the inputs, the same shape; 0 for no shift.
        key_query: K^T Q, shape (H, D, D).
        pairs: of `pair_weights`; other pairs are 0.

    Returns:
        Shape (3, ..., H, T, T).
    """
    terms = [
        similarities(z, delta, key_query),
        similarities(delta, z, key_query),
        similarities(delta, delta, key_query),
    ]
    return np.stack(terms) * (pairs > 0)


def relative_residual(terms: np.ndarray) -> np.ndarray:
    """Returns |sum of the three terms| / sum of their norms, by sentence.

    It is 0 if equation 3 holds, 1 if only one term is not 0 or all have one
    direction, and 1/sqrt(3) = 0.577 for three orthogonal terms of one size.

    Args:
        terms: of `equation_3`, shape (3, ..., H, T, T).

    Returns:
        In [0, 1], shape (...).

    Raises:
        ValueError: if all terms of a sentence are 0, e.g. for delta = 0.
    """
    sizes = _norm(terms).sum(axis=0)
    rule = "`terms` must not be 0 in any sentence"
    require(bool((sizes > 0).all()), rule, smallest_size=sizes.min())
    return _norm(terms.sum(axis=0)) / sizes


def residual_over_f(terms: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Returns |sum of the three terms| / |z^T K^T Q z|, by sentence.

    Args:
        terms: of `equation_3`, or of some of its pairs.
        f: z_i^T K^T Q z_j of the same pairs, shape (..., H, T, T).

    Returns:
        Shape (...).
    """
    return _norm(terms.sum(axis=0)) / _norm(f)


def _norm(pairs: np.ndarray) -> np.ndarray:
    return np.sqrt((pairs**2).sum(axis=(-3, -2, -1)))


def solve_shift(
    z: np.ndarray,
    is_shifted: np.ndarray,
    key_query: np.ndarray,
    pairs: np.ndarray,
    size: float,
    num_starts: int = 4,
) -> np.ndarray:
    """Solves equation 3 for one delta of a given size, by least squares.

    delta is added at all shifted positions. With s_i = 1 there and 0
    elsewhere, the sum of the three terms is g_ij . delta + s_i s_j delta^T
    K^T Q delta, with g_ij = s_j (K^T Q)^T z_i + s_i K^T Q z_j. delta = 0 is
    always a root; the given size excludes it. Any delta with K^T Q delta =
    (K^T Q)^T delta = 0 is an exact root. If every position has a shift of its
    own, so are delta_i = -2 z_i and all z_i -> S z_i with S^T K^T Q S = K^T Q.

    Args:
        z: inputs, shape (N, T, D).
        is_shifted: booleans, shape (T,).
        key_query: K^T Q, shape (H, D, D).
        pairs: of `pair_weights`.
        size: |delta|, above 0.
        num_starts: directions of least g . delta from which the search
            starts, each with both signs.

    Returns:
        The best delta found, shape (D,).

    Raises:
        ValueError: if no position is shifted, or `size` is not above 0.
    """
    require(bool(np.any(is_shifted)), "A position must be shifted")
    require(size > 0, "`size` must be above 0", size=size)
    s = np.asarray(is_shifted, float)
    # M z_j and M^T z_i, and the pairs of which at least one is shifted.
    right = np.einsum("hde,nte->hntd", key_query, z)
    left = np.einsum("hed,nte->hntd", key_query, z)
    j, i = np.nonzero((pairs > 0) & (s[:, None] + s[None, :] > 0))
    linear = s[j, None] * left[:, :, i] + s[i, None] * right[:, :, j]
    flat = linear.reshape(-1, z.shape[-1])  # (H N pairs, D)
    gram = flat.T @ flat
    both = s[i] * s[j]
    of_both = np.einsum("hnpd,p->hd", linear, both)
    num_both = len(z) * both.sum()
    unit = size**2 * np.trace(gram) / len(gram)  # for the search's tolerances

    def loss(v):
        length = np.linalg.norm(v)
        delta = size * v / length
        squares = np.einsum("d,hde,e->h", delta, key_query, delta)
        value = (
            delta @ gram @ delta
            + 2 * squares @ (of_both @ delta)
            + num_both * squares @ squares
        )
        of_squares = np.einsum("hde,e->hd", key_query, delta)
        of_squares = of_squares + np.einsum("hde,d->he", key_query, delta)
        slope = (
            2 * gram @ delta
            + 2 * squares @ of_both
            + 2 * (of_both @ delta + num_both * squares) @ of_squares
        )
        slope = size / length * (slope - delta * (slope @ delta) / size**2)
        return value / unit, slope / unit

    _, directions = np.linalg.eigh(gram)
    found = []
    for direction in directions.T[:num_starts]:
        for start in (direction, -direction):
            # On busy cores faster than L-BFGS-B, whose BLAS threads wait.
            end = optimize.minimize(loss, start, jac=True, method="CG")
            found.append((end.fun, tuple(end.x)))
    best = np.array(min(found)[1])
    return size * best / np.linalg.norm(best)
