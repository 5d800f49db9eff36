"""Similarity of representations in two networks, or of two tasks in one."""

import math

import numpy as np


def linear_cka(
    first: np.ndarray, second: np.ndarray, is_debiased: bool = True
) -> float:
    """Returns the centred-kernel alignment of two sets of representations.

    HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = X X^T and L = Y Y^T
    (Kornblith et al. 2019, eq. 4 with linear kernels). It does not change if
    either set is rotated, shifted or scaled as a whole: it compares geometry,
    not directions. Two codes in which the same n things are all equally far
    apart have the value 1, whatever their directions.

    With the biased HSIC (eq. 3) it is |Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F) of
    centred X and Y. For few samples and many dimensions that is far above 0
    even between unrelated sets. The default is the unbiased HSIC (Song et al.
    2012, eq. 5), of mean 0 for independent sets; a value may be below 0.

    Args:
        first: X, one row per thing, shape (n, D).
        second: Y, of the same things in the same order, shape (n, D').
        is_debiased: whether HSIC is the unbiased estimate.

    Returns:
        1 for the same geometry; at most 1, and at least 0 if biased.

    Raises:
        ValueError: if the rows do not pair up, are fewer than 4, or one of
            the sets does not vary.
    """
    first, second = _check_pairs(first, second)
    inner = _unbiased_inner if is_debiased else _biased_inner
    # No BLAS: its threads take longer to meet than such a product takes.
    kernels = [np.einsum("id,jd->ij", x, x) for x in (first, second)]
    own = [inner(kernel, kernel) for kernel in kernels]
    if min(own) <= 0:
        raise ValueError(
            "The unbiased HSIC of a set with itself must be positive; more "
            f"things are needed. Received: n={len(first)}"
        )
    return float(inner(*kernels) / math.sqrt(own[0] * own[1]))


def centred_cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the cosine of two sets of representations, each centred.

    <X, Y>_F / (|X|_F |Y|_F) of centred X and Y. Unlike `linear_cka` it compares
    directions: rotating one set changes it.

    Args:
        first: X, one row per thing, shape (n, D).
        second: Y, of the same things in the same space, shape (n, D).

    Returns:
        Cosine in [-1, 1]; 1 if the sets differ only by a shift and a scale.

    Raises:
        ValueError: as `linear_cka`, or if the spaces differ.
    """
    first, second = _check_pairs(first, second)
    if first.shape != second.shape:
        raise ValueError(
            "Directions compare only in one space. Received: shapes "
            f"{first.shape} and {second.shape}"
        )
    norms = np.linalg.norm(first) * np.linalg.norm(second)
    return float(np.clip((first * second).sum() / norms, -1.0, 1.0))


def varies(values: np.ndarray) -> bool:
    """Tells whether rows, shape (n, D), differ by more than rounding."""
    values = np.asarray(values, float)
    spread = np.abs(values - values.mean(axis=0)).max()
    return bool(spread > 1e-5 * np.abs(values).max())


def _check_pairs(first, second):
    """Returns both sets centred, in float64."""
    sets = np.asarray(first, float), np.asarray(second, float)
    shapes = [values.shape for values in sets]
    is_paired = (
        all(len(s) == 2 for s in shapes) and shapes[0][0] == shapes[1][0]
    )
    if not is_paired or shapes[0][0] < 4:
        raise ValueError(
            "Representations are of the same 4 or more things, shape (n, D). "
            f"Received: shapes {shapes[0]} and {shapes[1]}"
        )
    if not all(map(varies, sets)):
        raise ValueError(
            "Representations that do not vary have no geometry. Received: "
            f"shapes {shapes[0]} and {shapes[1]}, one of them constant"
        )
    return [values - values.mean(axis=0) for values in sets]


def _biased_inner(first, second):
    """Returns tr(K L) of centred kernels: (n - 1)^2 times HSIC."""
    return (first * second).sum()


def _unbiased_inner(first, second):
    """Returns n (n - 3) times the unbiased HSIC (Song et al. 2012, eq. 5)."""
    n = len(first)
    first, second = (k - np.diag(np.diag(k)) for k in (first, second))
    return (
        (first * second).sum()
        + first.sum() * second.sum() / ((n - 1) * (n - 2))
        - 2 * first.sum(axis=0) @ second.sum(axis=0) / (n - 2)
    )
