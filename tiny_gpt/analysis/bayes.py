"""The exact Bayes predictor of a stream of sentence pairs."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tiny_gpt.analysis.loss_floor import Packing


class WeightedMapping(NamedTuple):
    """A mapping of symbol s to `permutation[s]`, between numbered languages."""

    weight: float  # its share of the pairs, or any multiple of it
    source: int
    target: int
    permutation: Sequence[int] | np.ndarray


def bayes_log_probabilities(
    rows: np.ndarray, mappings: Sequence[WeightedMapping], packing: Packing
) -> np.ndarray:
    """Returns the log-probability of each word under the exact Bayes predictor.

    ln p(word | preceding words of its row) under the mixture over mappings
    and offsets. The floors in `loss_floor.py` are its expectations.

    Args:
        rows: word ids without space marks, shape (N, words): 0 is the
            separator, 1 the end, 2 + language * n + symbol a word.
        mappings: the mixture.
        packing: alphabet, sentences, and where rows start.

    Returns:
        Nats, shape (N, words), the first word included. A word that cannot
        occur has -inf. The words after it have nan: nothing is known of them.

    Raises:
        ValueError: if a row may start between a space mark and its word.
    """
    if packing.offsets.step % packing.tokens_per_word:
        raise ValueError(
            "A row of words must not start between a space mark and its word. "
            f"Received: {packing}"
        )
    total = sum(m.weight for m in mappings) * len(packing.offsets)
    joint = np.full((len(rows), rows.shape[1] + 1), -np.inf)
    for mapping in mappings:
        for offset in packing.offsets:
            first = offset // packing.tokens_per_word
            told = _told_log_probabilities(rows, mapping, packing, first)
            told[:, 0] = math.log(mapping.weight / total)
            joint = np.logaddexp(joint, np.cumsum(told, axis=1))
    with np.errstate(invalid="ignore"):  # -inf - -inf after what cannot occur
        return np.diff(joint, axis=1)


def _told_log_probabilities(
    rows: np.ndarray, mapping: WeightedMapping, packing: Packing, first: int
) -> np.ndarray:
    n, k = packing.alphabet_size, packing.sentence_length
    source_by_target = np.argsort(mapping.permutation)
    shown = np.full((len(rows), k), -1)  # source symbols; -1: not shown
    log_probabilities = np.zeros((len(rows), rows.shape[1] + 1))
    for word, ids in enumerate(rows.T):
        place = (first + word) % (2 * k + 2)
        if place % (k + 1) == k:
            chance = np.where(ids == (0 if place == k else 1), 1.0, 0.0)
            if place > k:
                shown = np.full_like(shown, -1)
        else:
            language = mapping.source if place < k else mapping.target
            symbols = ids - 2 - language * n
            is_word = (symbols >= 0) & (symbols < n)
            symbols = np.where(is_word, symbols, 0)
            if place > k:
                symbols = source_by_target[symbols]
            expected = shown[:, place % (k + 1)].copy()
            is_new = (shown != symbols[:, None]).all(axis=1)
            num_left = n - (shown >= 0).sum(axis=1)
            chance = is_word * np.where(
                expected < 0, is_new / num_left, expected == symbols
            )
            shown[:, place % (k + 1)] = symbols
        with np.errstate(divide="ignore"):  # what cannot occur has -inf
            log_probabilities[:, word + 1] = np.log(chance)
    return log_probabilities
