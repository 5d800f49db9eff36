"""The reader who composes what is known of A->B and B->C, and its loss."""

import math
from functools import cache

import numpy as np
from scipy import stats

from tiny_gpt.analysis.bijections import distinct_shown

FRESH, FIXED = "fresh", "fixed"


def expect(is_shown: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Returns what is known of a bijection of which some pairs were shown.

    Args:
        is_shown: sources that were, booleans of shape (N, M).
        images: of all sources, shape (N, M).

    Returns:
        Probability of each image by source, shape (N, M, M): 1 if the source
        was shown, else equal among the images that were not.
    """
    is_image = images[..., None] == np.arange(images.shape[1])
    is_left = ~(is_image & is_shown[..., None]).any(axis=1, keepdims=True)
    num_left = np.maximum(is_left.sum(axis=2, keepdims=True), 1)
    return np.where(is_shown[..., None], is_image, is_left / num_left)


@cache
def question_loss(
    size: int, num_facts: int, first: str = FRESH, second: str = FRESH
) -> float:
    """Returns the mean loss of A->C for the reader who composes, nats.

    A bijection that is fixed is known. Of a fresh one the prompt shows pairs,
    drawn with replacement. What is asked is any A, all equally likely.

    Args:
        size: symbols of each language, M.
        num_facts: pairs of each fresh bijection.
        first: where A->B is, "fresh" or "fixed".
        second: where B->C is.
    """
    known = np.eye(1, size + 1, size)[0]
    drawn = distinct_shown(size, num_facts + 1)[-1]
    of_first, of_second = (
        known if where == FIXED else drawn for where in (first, second)
    )
    return math.fsum(
        float(p * q) * _loss_given(size, d, e)
        for d, p in enumerate(of_first)
        for e, q in enumerate(of_second)
        if p * q > 0
    )


def _loss_given(size: int, num_first: int, num_second: int) -> float:
    """Returns the loss where so many A and so many B were shown."""
    num_left = size - num_first  # B that an unknown A may have
    new = size - num_second  # C that an unknown B may have
    loss = num_first / size * new / size * math.log(max(new, 1))
    for shown in range(min(num_left, num_second) + 1):
        p = stats.hypergeom.pmf(shown, size, num_second, num_left)
        if num_left and p > 0:
            # Either one of the candidates that were shown, each with 1 / left,
            # or one of the others, whose C shares what remains.
            others = num_left - shown
            each = shown / num_left * math.log(num_left)
            if others:
                each += others / num_left * math.log(num_left * new / others)
            loss += num_left / size * float(p) * each
    return loss
