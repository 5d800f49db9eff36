"""Readers who infer a bijection from its pairs, and their exact losses.

A window shows pairs (x, y) of one bijection of M symbols, x drawn with
replacement. The bijection is a fixed one with probability `fixed_share`, else
one of a pool of K, all equally likely. The fixed one and the pool are drawn
from all M!, independently of each other; those of a pool differ. The best
reader knows them, and weighs each by Bayes' rule. Every loss is in nats.
"""

import itertools
import math
from collections.abc import Iterator
from functools import cache

import numpy as np
from scipy import stats

NEGLIGIBLE = 1e-15  # probabilities below are left out of a mean


@cache
def all_bijections(size: int) -> np.ndarray:
    """Returns all bijections of `size` symbols, shape (size!, size)."""
    return np.array([*itertools.permutations(range(size))], "int8")


def predict(
    x: np.ndarray,
    y: np.ndarray,
    bijections: np.ndarray,
    weights: np.ndarray,
    share_of_all: float = 0.0,
) -> np.ndarray:
    """Returns what a reader expects of each y, given the pairs before.

    Args:
        x: symbols, shape (N, n).
        y: their images, shape (N, n).
        bijections: the reader knows them, shape (P, M).
        weights: prior probability of each, shape (P,).
        share_of_all: prior probability that a bijection is drawn from all M!.

    Returns:
        Probabilities, shape (N, n, M); NaN where the prior excludes the pairs.
    """
    size = bijections.shape[1]
    images = bijections[:, x]  # (P, N, n)
    fits = np.ones_like(images, bool)
    fits[..., 1:] = np.logical_and.accumulate(images == y, axis=-1)[..., :-1]
    found = share_of_all * _of_all(x, y, size)
    for symbol in range(size):
        agrees = fits & (images == symbol)
        found[..., symbol] += np.tensordot(weights, agrees, axes=1)
    total = found.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return found / total


def _of_all(x: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    """Returns the share of all bijections with the pairs so far and each y."""
    found = np.zeros((*x.shape, size))
    for i in range(x.shape[1]):
        is_shown, is_taken = np.zeros((2, len(x), size), bool)
        np.put_along_axis(is_shown, x[:, :i], True, axis=1)
        np.put_along_axis(is_taken, y[:, :i], True, axis=1)
        is_known = np.take_along_axis(is_shown, x[:, i : i + 1], axis=1)
        is_right = np.arange(size) == y[:, i : i + 1]
        num_left = size - is_shown.sum(axis=1, keepdims=True) - ~is_known
        share = [math.factorial(left) for left in num_left[:, 0]]
        may_follow = np.where(is_known, is_right, ~is_taken)
        found[:, i] = may_follow * np.array(share)[:, None]
    return found / math.factorial(size)


def distinct_shown(size: int, num_pairs: int) -> np.ndarray:
    """Returns P(d different x among the first k), shape (num_pairs, size + 1).

    Args:
        size: symbols, M.
        num_pairs: k goes from 0 to one less.
    """
    d = np.arange(size + 1)
    rows = [np.eye(1, size + 1)[0]]
    for _ in range(num_pairs - 1):
        grown = np.roll(rows[-1] * (size - d) / size, 1)
        rows.append(rows[-1] * d / size + grown)
    return np.array(rows)


@cache
def expected_losses(
    size: int, num_pairs: int, pool_size: int = 0, fixed_share: float = 0.0
) -> tuple[float, ...]:
    """Returns the loss of the best reader after 0, 1, 2, ... pairs.

    It is the mean over windows, pools and fixed bijections. An x that was
    shown costs nothing.

    Args:
        size: symbols, M.
        num_pairs: pairs of a window.
        pool_size: K; 0 for all M! bijections.
        fixed_share: probability of the fixed bijection.
    """
    pool_size = pool_size or math.factorial(size)
    of_new = [
        _loss_of_new(size, d, pool_size, fixed_share) for d in range(size)
    ]
    share_new = 1 - np.arange(size) / size
    shown = distinct_shown(size, num_pairs)[:, :size]
    return tuple((shown @ (share_new * of_new)).tolist())


def _loss_of_new(
    size: int, num_shown: int, pool_size: int, fixed_share: float
) -> float:
    """Returns the mean loss of an x that was not shown, after d that were."""
    everything = math.factorial(size)
    fit = math.factorial(size - num_shown)  # have the pairs so far
    agree = fit // (size - num_shown)  # and the right y as well
    one = (1 - fixed_share) / pool_size
    loss = 0.0
    if fixed_share:  # the window has the fixed one
        for p, c, s in _counts(everything, fit, agree, pool_size):
            total, right = fixed_share + one * c, fixed_share + one * s
            loss += fixed_share * float(p @ np.log(total / right))
    # The window has one of the pool; the fixed one may fit, or agree.
    states = ((everything - fit, 0, 0), (fit - agree, 1, 0), (agree, 1, 1))
    for p, c, s in _counts(everything - 1, fit - 1, agree - 1, pool_size - 1):
        for count, fits, agrees in states:
            total = fixed_share * fits + one * (1 + c)
            right = fixed_share * agrees + one * (1 + s)
            share = (1 - fixed_share) * count / everything
            loss += share * float(p @ np.log(total / right))
    return loss


def _counts(
    everything: int, fit: int, agree: int, num_drawn: int
) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """Yields how many of a pool fit, and how many of these agree.

    Yields:
        Probabilities, the number c that fits, the numbers that agree.
    """
    for p, c in zip(*_hypergeometric(everything, fit, num_drawn), strict=True):
        p_agree, s = _hypergeometric(fit, agree, int(c))
        yield p * p_agree, int(c), s


def _hypergeometric(
    everything: int, special: int, num_drawn: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns probabilities and numbers of special ones among those drawn."""
    low = max(0, num_drawn - (everything - special))
    numbers = np.arange(low, min(num_drawn, special) + 1)
    if len(numbers) == 1:
        return np.ones(1), numbers
    p = stats.hypergeom.pmf(numbers, everything, special, num_drawn)
    return p[p > NEGLIGIBLE], numbers[p > NEGLIGIBLE]
