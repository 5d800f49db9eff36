"""Tests for tiny_gpt/analysis/bayes.py."""

import itertools
import math

import numpy as np
import pytest

from tests.helpers.enumerated_rows import (
    FOUR_LANGUAGES,
    TRIANGLE,
    enumerate_rows,
    mixed,
    sample_rows,
    weighted_mappings,
)
from tiny_gpt.analysis.bayes import WeightedMapping, bayes_log_probabilities
from tiny_gpt.analysis.loss_floor import (
    Packing,
    inferring_floor,
)


@pytest.mark.parametrize("tokens_per_word", [1, 2])
def test_the_bayes_predictor_knows_all_possible_rows(tokens_per_word):
    num_pairs = {"A->B": 5, "C->B": 2, "A->C": 1}
    packing = Packing(3, 2, 5 * tokens_per_word - 1, tokens_per_word)
    mappings = weighted_mappings(num_pairs, 3, np.random.default_rng(1))
    row_probability, _ = mixed(enumerate_rows(mappings, packing))
    rows = np.array(list(row_probability))[:, tokens_per_word - 1 :]
    rows = rows[:, ::tokens_per_word]  # without the space marks
    given = np.exp(bayes_log_probabilities(rows, mappings, packing).sum(1))
    expected = np.array(list(row_probability.values()))
    np.testing.assert_allclose(given, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("sequence_length", "tokens_per_word"), [(45, 2), (30, 1)]
)
@pytest.mark.parametrize(
    ("num_pairs", "alphabet_size"), [(TRIANGLE, 8), (FOUR_LANGUAGES, 12)]
)
def test_the_bayes_predictor_reaches_the_floor(
    num_pairs, alphabet_size, sequence_length, tokens_per_word
):
    # n = 4000 rows. After a space mark even the first word is predicted.
    rng = np.random.default_rng(2)
    packing = Packing(alphabet_size, 4, sequence_length, tokens_per_word)
    mappings = weighted_mappings(num_pairs, alphabet_size, rng)
    num_words = (sequence_length + 1) // tokens_per_word
    rows = sample_rows(mappings, alphabet_size, 4, num_words, rng, 4000)
    nats = -bayes_log_probabilities(rows, mappings, packing)
    losses = nats[:, 2 - tokens_per_word :].sum(axis=1) / sequence_length
    error = losses.std() / math.sqrt(4000)
    floor = inferring_floor(packing, num_pairs)
    assert abs(losses.mean() - floor) < 4 * error
    assert 4 * error < 0.01  # inferring costs 0.05 or more


def test_next_words_share_one():
    # 2 languages of 3 symbols: 8 words, all 4096 rows of 4.
    mappings = weighted_mappings(
        {"A->B": 3, "B->A": 1}, 3, np.random.default_rng(3)
    )
    rows = np.array(list(itertools.product(range(8), repeat=4)))
    log_probabilities = bayes_log_probabilities(
        rows, mappings, Packing(3, 2, 4, 1)
    )
    for length in range(4):
        # Rows that differ after this word alone repeat its probability.
        next_words = np.exp(log_probabilities[:: 8 ** (3 - length), length])
        sums = next_words.reshape(-1, 8).sum(axis=1)
        possible = ~np.isnan(sums)
        assert possible.any()
        np.testing.assert_allclose(sums[possible], 1.0, rtol=1e-12)


def test_an_ambiguous_question_is_answered_by_weight():
    # Rows of one pair `a . b |`: a is 1 of 2 symbols, then B has 3/4.
    swap, keep = (1, 0), (0, 1)
    mappings = [WeightedMapping(3, 0, 1, swap), WeightedMapping(1, 0, 2, keep)]
    a, b_of_a, c_of_a = 2, 4 + swap[0], 6 + keep[0]
    rows = np.array([[a, 0, b_of_a, 1], [a, 0, c_of_a, 1], [a, 1, a, 0]])
    log_probabilities = bayes_log_probabilities(
        rows, mappings, Packing(2, 1, 3, 1)
    )
    probabilities = np.exp(log_probabilities)
    np.testing.assert_allclose(probabilities[0], [1 / 2, 1, 3 / 4, 1])
    np.testing.assert_allclose(probabilities[1], [1 / 2, 1, 1 / 4, 1])
    assert probabilities[2, 1] == 0.0
    assert np.isnan(log_probabilities[2, 2:]).all()


def test_rejects_rows_of_words_that_start_inside_a_word():
    rows = np.array([[0, 2]])
    mappings = [WeightedMapping(1, 0, 1, (0, 1))]
    with pytest.raises(ValueError, match="space mark and its word"):
        bayes_log_probabilities(rows, mappings, Packing(2, 1, 2, 2))
