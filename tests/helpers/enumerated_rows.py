"""Rows of a small stream with their mappings: all of them, or random ones."""

import itertools
from collections import defaultdict

import numpy as np

from tiny_gpt.analysis.bayes import WeightedMapping

TRIANGLE = {"A->B": 2500, "B->C": 2500, "A->C": 50}
FOUR_LANGUAGES = {
    "A->B": 5000,
    "A->D": 4500,
    "A->C": 4000,
    "D->B": 100,
    "D->C": 200,
    "B->C": 300,
}
SPACE_MARK = -1


def weighted_mappings(num_pairs_by_mapping, alphabet_size, rng):
    """Gives each language its own order, so that mappings compose."""
    orders = {name: rng.permutation(alphabet_size) for name in "ABCD"}
    return [
        WeightedMapping(
            num_pairs,
            "ABCD".index(label[0]),
            "ABCD".index(label[-1]),
            orders[label[-1]][np.argsort(orders[label[0]])],
        )
        for label, num_pairs in num_pairs_by_mapping.items()
    ]


def pair_words(sentence, mapping, alphabet_size):
    """Word ids of one sentence pair, written out."""
    source, target = (
        2 + language * alphabet_size
        for language in (mapping.source, mapping.target)
    )
    translated = [int(mapping.permutation[s]) for s in sentence]
    return [
        *(source + s for s in sentence),
        0,
        *(target + s for s in translated),
        1,
    ]


def enumerate_rows(mappings, packing):
    """Probability of every possible row, for each mapping.

    The offsets are found by cutting a long stream, not by their gcd.
    """
    n, k = packing.alphabet_size, packing.sentence_length
    tokens_per_pair = 2 * (k + 1) * packing.tokens_per_word
    width = packing.sequence_length + 1
    starts = [row * width % tokens_per_pair for row in range(tokens_per_pair)]
    sentences = list(itertools.permutations(range(n), k))
    num_pairs = 1 + -(-(width - 1) // tokens_per_pair)
    total_weight = sum(m.weight for m in mappings)
    rows_by_mapping = []
    for mapping in mappings:
        rows = defaultdict(float)
        for text in itertools.product(sentences, repeat=num_pairs):
            tokens = []
            for sentence in text:
                for word in pair_words(sentence, mapping, n):
                    marks = [SPACE_MARK] * (packing.tokens_per_word - 1)
                    tokens += [*marks, word]
            for start in starts:
                rows[tuple(tokens[start : start + width])] += (
                    mapping.weight
                    / total_weight
                    / len(starts)
                    / len(sentences) ** num_pairs
                )
        rows_by_mapping.append(rows)
    return rows_by_mapping


def mixed(rows_by_mapping):
    """Probability of every row and of every first token, mappings mixed."""
    row_probability, first_probability = defaultdict(float), defaultdict(float)
    for rows in rows_by_mapping:
        for row, probability in rows.items():
            row_probability[row] += probability
            first_probability[row[0]] += probability
    return row_probability, first_probability


def sample_rows(mappings, alphabet_size, sentence_length, num_words, rng, size):
    """Draws rows of words: mapping by weight, offset uniform."""
    weights = np.array([m.weight for m in mappings], float)
    num_pairs = num_words // (2 * sentence_length + 2) + 2
    rows = []
    for chosen in rng.choice(len(mappings), size, p=weights / weights.sum()):
        words = []
        for _ in range(num_pairs):
            sentence = rng.permutation(alphabet_size)[:sentence_length]
            words += pair_words(sentence, mappings[chosen], alphabet_size)
        offset = rng.integers(2 * sentence_length + 2)
        rows.append(words[offset : offset + num_words])
    return np.array(rows)
