"""Predictors as mixtures over contexts (Sinha 2024, sec. 2.2).

A context theta_i is a mapping, x the words so far, y the next word. Of any
mixture it holds that

    Pr(y|x) = sum_i Pr(y, theta_i|x) = sum_i Pr(theta_i|x) Pr(y|theta_i, x).

Equations 1 and 2 are printed without the weights Pr(theta_i|x). This module
has both readings: as printed, and as joint probabilities, with the weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import logit, rel_entr

from tiny_gpt.analysis.bayes import WeightedMapping, bayes_log_probabilities
from tiny_gpt.analysis.loss_floor import Packing


def context_log_likelihoods(
    rows: np.ndarray, mappings: Sequence[WeightedMapping], packing: Packing
) -> np.ndarray:
    """Returns ln Pr(x|theta_i) of every beginning x of rows.

    It is the generator's likelihood: windows start at the offsets of the
    packing, sentences are uniform, words known. Joints of mappings are left
    out.

    Args:
        rows: word ids, as for `bayes_log_probabilities`, shape (N, words).
        mappings: contexts, M of them; their weights do not count.
        packing: alphabet, sentences, and where rows start.

    Returns:
        Nats, shape (N, words + 1, M), of the first 0, 1, ... words; -inf
        if a context cannot give them.

    Raises:
        ValueError: as `bayes_log_probabilities`.
    """
    parts = []
    for mapping in mappings:
        one = mapping._replace(weight=1.0)
        nats = bayes_log_probabilities(rows, [one], packing)
        parts.append(np.where(np.isnan(nats), -np.inf, nats))
    by_word = np.cumsum(np.stack(parts, axis=-1), axis=1)
    return np.pad(by_word, ((0, 0), (1, 0), (0, 0)))


def context_posterior(
    log_likelihoods: np.ndarray, weights: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Returns Pr(theta_i|x), in proportion to weight_i Pr(x|theta_i).

    Args:
        log_likelihoods: ln Pr(x|theta_i), nats, shape (..., M).
        weights: training pairs of each context, or any multiple, shape (M,).

    Returns:
        Shape (..., M), sums of 1; nan if no context can give x.

    Raises:
        ValueError: if a weight is negative, or all are 0.
    """
    weights = np.asarray(weights, float)
    if weights.min() < 0 or weights.max() == 0:
        raise ValueError(
            "Weights must not be negative, nor all 0. "
            f"Received: weights={weights.tolist()}"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        joint = np.log(weights) + log_likelihoods
        joint = np.exp(joint - joint.max(axis=-1, keepdims=True))
        return joint / joint.sum(axis=-1, keepdims=True)


def mass_on(probabilities: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Returns the probability of a set of words, each counted once.

    Args:
        probabilities: of every word, shape (N, V).
        ids: the set, shape (n,), or one for each row, (N, n).

    Returns:
        Shape (N,).
    """
    ids = np.broadcast_to(ids, (len(probabilities), np.shape(ids)[-1]))
    is_in = np.zeros(probabilities.shape, bool)
    np.put_along_axis(is_in, ids, True, axis=1)
    mass = np.where(is_in, probabilities, 0.0).sum(axis=1)
    return np.minimum(mass, 1.0)  # rounding


def point_masses(ids: np.ndarray, size: int) -> np.ndarray:
    """Returns distributions that are certain of one word each.

    Pr(y|theta_i, x) is such a distribution if y is an answer word whose
    source word was shown.

    Args:
        ids: the words, any shape.
        size: number of word ids, V.

    Returns:
        Shape (*ids.shape, V).
    """
    return (np.asarray(ids)[..., None] == np.arange(size)).astype(float)


def mixture(posterior: np.ndarray, conditionals: np.ndarray) -> np.ndarray:
    """Returns Pr(y|x) = sum_i Pr(theta_i|x) Pr(y|theta_i, x).

    Args:
        posterior: Pr(theta_i|x), shape (..., M).
        conditionals: Pr(y|theta_i, x), shape (..., M, V).

    Returns:
        Shape (..., V).
    """
    return (posterior[..., None] * conditionals).sum(axis=-2)


def epsilon_joint(
    posterior: np.ndarray, conditionals: np.ndarray, star: int
) -> np.ndarray:
    """Returns epsilon of equation 2, read as joint probabilities.

    sum over theta_i != theta* of Pr(y, theta_i|x) = Pr(y|x) - Pr(y, theta*|x),
    an identity. Its sum over y is 1 - Pr(theta*|x), which bounds the total
    variation between Pr(y|x) and Pr(y|theta*, x), and so the difference at
    each y. The value at a single y is no such bound.

    Args:
        posterior: Pr(theta_i|x), shape (..., M).
        conditionals: Pr(y|theta_i, x), shape (..., M, V).
        star: place of theta* among the M contexts.

    Returns:
        By y, shape (..., V).
    """
    rivals = np.arange(posterior.shape[-1]) != star
    return mixture(posterior * rivals, conditionals)


def epsilon_printed(conditionals: np.ndarray, star: int) -> np.ndarray:
    """Returns epsilon of equation 2 as printed, a sum without weights.

    sum over theta_i != theta* of Pr(y|theta_i, x). As for `equation_1`, an
    undefined conditional is a row of zeros.

    Returns:
        By y, shape (..., V).
    """
    return np.delete(conditionals, star, axis=-2).sum(axis=-2)


def bound_violation(
    predicted: np.ndarray, told: np.ndarray, epsilon: np.ndarray
) -> np.ndarray:
    """Returns by how much the inequality of equation 2 is violated.

    The greatest |Pr(y|x) - Pr(y|theta*, x)| - epsilon(y) over y.

    Args:
        predicted: Pr(y|x), shape (..., V).
        told: Pr(y|theta*, x), shape (..., V).
        epsilon: the right side, shape (..., V).

    Returns:
        Shape (...), 0 where it holds at every y.
    """
    return np.maximum(np.abs(predicted - told) - epsilon, 0.0).max(axis=-1)


class Equation1(NamedTuple):
    """Three lines of equation 1, by y, shapes (..., V)."""

    line_1: np.ndarray  # Pr(y|x)
    line_2: np.ndarray  # sum_i Pr(y|theta_i, x); line 3 is the same
    line_4: np.ndarray  # sum_i D(theta_i, y, x) Pr(x, y); line 5 is the same


def equation_1(
    posterior: np.ndarray,
    conditionals: np.ndarray,
    context_given_word: np.ndarray,
) -> Equation1:
    """Evaluates the sums of equation 1 as printed, which should be equal.

    Line 2 lacks the weights of the contexts. Line 4 takes theta and x to be
    independent given y: D Pr(x, y) = Pr(theta_i|y) Pr(y|x) / Pr(theta_i|x),
    since Pr(theta_i, x) = Pr(theta_i|x) Pr(x). Contexts with Pr(theta_i|x) =
    0 are left out: in line 2 their Pr(y|theta_i, x) would be 0/0.

    Args:
        posterior: Pr(theta_i|x), shape (..., M).
        conditionals: Pr(y|theta_i, x), shape (..., M, V).
        context_given_word: Pr(theta_i|y), shape (M, V).

    Returns:
        The lines.
    """
    is_possible = (posterior > 0)[..., None]
    line_1 = mixture(posterior, conditionals)
    line_2 = np.where(is_possible, conditionals, 0.0).sum(axis=-2)
    weights = np.where(is_possible, posterior[..., None], 1.0)
    parts = context_given_word * line_1[..., None, :] / weights
    line_4 = np.where(is_possible, parts, 0.0).sum(axis=-2)
    return Equation1(line_1, line_2, line_4)


def kl_divergence(reference: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Returns sum_y p ln(p / q), nats, of (..., V) and (..., V): shape (...).

    p is the reference, q the model; inf where q is 0 and p is not (Kullback
    and Leibler 1951).
    """
    return rel_entr(reference, model).sum(axis=-1)


def total_variation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns half of sum_y |p - q|, in [0, 1], shape (...)."""
    return np.minimum(np.abs(first - second).sum(axis=-1) / 2, 1.0)


def argmax_agreement(probabilities: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Tells whether the most probable word is the expected one.

    Args:
        probabilities: of every word, shape (N, V).
        ids: the expected word, shape (N,).

    Returns:
        Shape (N,): 1 if it is, 0 if not, and 1/m if it is one of m equals.
    """
    is_most = probabilities == probabilities.max(axis=1, keepdims=True)
    is_expected = is_most[np.arange(len(ids)), ids]
    return is_expected / is_most.sum(axis=1)


class PriorFit(NamedTuple):
    """Fit of a predicted mass to the number of training pairs."""

    slope: float  # of logit(mass) on ln N; 1 for Bayes
    offset: float  # mean of logit(mass) - logit(N / (N + rival)), nats


def fit_prior(
    masses: Sequence[float], num_pairs: Sequence[int], num_rival: int
) -> PriorFit:
    """Fits the prior of a context to its training pairs.

    Bayes gives N / (N + R) to a context of N pairs, if a rival with the same
    source has R. The logit is ln N - ln R: slope 1 and offset 0.

    Args:
        masses: probability of the context by number of pairs, in (0, 1).
        num_pairs: N, each at least 1, not all equal.
        num_rival: R, at least 1.

    Returns:
        Slope by least squares, and offset.

    Raises:
        ValueError: if a number is out of range.
    """
    p, n = np.asarray(masses, float), np.asarray(num_pairs, float)
    is_in = ((p > 0) & (p < 1)).all() and n.min() >= 1 and num_rival >= 1
    if not is_in or np.ptp(n) == 0:
        raise ValueError(
            "`masses` must lie between 0 and 1, pairs be at least 1, and their "
            f"numbers differ. Received: masses={p.tolist()}, "
            f"num_pairs={n.tolist()}, num_rival={num_rival}"
        )
    x, y = np.log(n), logit(p)
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    offset = float((y - x + np.log(num_rival)).mean())
    return PriorFit(slope, offset)
