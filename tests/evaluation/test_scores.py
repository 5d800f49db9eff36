"""Tests for tiny_gpt/evaluation/scores.py."""

import numpy as np
import pytest

from tiny_gpt.evaluation.scores import (
    brier_score,
    exact_match,
    log_probability_among,
    printed_score,
    rank_of_target,
    word_accuracy,
    words_right,
)

RIGHT = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
GIVEN = np.array([[1, 2, 3, 4], [5, 9, 9, 9]])  # 4 and 1 of 4 words


def test_words_count_in_place():
    # (1 + 1/4) / 2; the same words in another place are wrong.
    is_right = words_right(GIVEN, RIGHT)
    assert word_accuracy(is_right) == 0.625
    assert word_accuracy(words_right(RIGHT[:, ::-1], RIGHT)) == 0.0
    assert exact_match(is_right) == 0.5


def test_one_of_four_is_printed_as_0_24():
    # Sec. 3.1 prints 0.24 where the code gives 0.25: (1 + 0.24) / 2.
    assert printed_score(words_right(GIVEN, RIGHT)) == pytest.approx(
        0.62, rel=1e-12
    )


def test_every_token_of_a_word_must_be_right():
    # Two tokens a word: (1, 2) right, (3, 9) not.
    is_right = words_right([[1, 2, 3, 9]], [[1, 2, 3, 4]], tokens_per_word=2)
    np.testing.assert_array_equal(is_right, [[True, False]])


@pytest.mark.parametrize(
    ("predicted", "tokens_per_word"), [([[1, 2, 3]], 1), ([[1, 2, 3, 4]], 3)]
)
def test_answers_of_another_shape_are_refused(predicted, tokens_per_word):
    with pytest.raises(ValueError, match="shape of the right answers"):
        words_right(predicted, [[1, 2, 3, 4]], tokens_per_word)


def test_the_printed_score_needs_four_words():
    with pytest.raises(ValueError, match="4 words"):
        printed_score(np.ones((2, 3), bool))


@pytest.mark.parametrize("num_classes", [2, 30])
def test_brier_scores_by_hand(num_classes):
    # Uniform: (1 - 1/V)^2 + (V - 1) / V^2 = 1 - 1/V. Sure and right 0, sure
    # and wrong 1 + 1.
    uniform = np.full(num_classes, 1 / num_classes)
    sure = np.eye(num_classes)[1]
    scores = brier_score(np.stack([uniform, sure, sure]), np.array([0, 1, 0]))
    expected = [1 - 1 / num_classes, 0.0, 2.0]
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-15)


def test_a_brier_score_is_a_sum_of_squares():
    # (0.5 - 1)^2 + 0.3^2 + 0.2^2 = 0.38; 0.5^2 + 0.3^2 + (0.2 - 1)^2 = 0.98.
    probabilities = np.array([[[0.5, 0.3, 0.2]] * 2])  # (1, 2, 3)
    scores = brier_score(probabilities, np.array([[0, 2]]))
    np.testing.assert_allclose(scores, [[0.38, 0.98]], rtol=1e-12)


def test_ranks_count_ties_half():
    # 0.4 is first and 0.3 second; two of 0.2 share ranks 3 and 4.
    probabilities = np.array([0.2, 0.4, 0.2, 0.3])
    everything = np.arange(4)
    ranks = [
        rank_of_target(probabilities, np.array(target), everything)
        for target in range(4)
    ]
    assert ranks == [3.5, 1.0, 3.5, 2.0]


def test_ranks_compare_candidates_alone():
    # Among classes 0, 2 and 3 only 0.3 is above 0.2, and 2 is tied.
    probabilities = np.array([[[0.2, 0.4, 0.2, 0.3]]])
    rank = rank_of_target(probabilities, np.array([[0]]), np.array([0, 2, 3]))
    np.testing.assert_array_equal(rank, [[2.5]])


@pytest.mark.parametrize("num_candidates", [1, 8])
def test_equal_probabilities_rank_in_the_middle(num_candidates):
    candidates = np.arange(num_candidates) + 3
    uniform = np.full((5, 2, 11), 1 / 11)
    target = np.full((5, 2), 3)
    ranks = rank_of_target(uniform, target, candidates)
    np.testing.assert_array_equal(
        ranks, np.full((5, 2), num_candidates + 1) / 2
    )


def test_log_probability_among_candidates_by_hand():
    # Classes 0, 2 and 3 have 0.4 together: the right class 0 gets 0.1/0.4,
    # the right class 3 0.2/0.4. Class 1 does not count.
    probabilities = np.array([[[0.1, 0.6, 0.1, 0.2]] * 2])
    values = log_probability_among(
        probabilities, np.array([[0, 3]]), np.array([0, 2, 3])
    )
    np.testing.assert_allclose(values, np.log([[1 / 4, 1 / 2]]), rtol=1e-12)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.0])
def test_log_probability_among_equal_candidates(scale):
    # n candidates share their sum, whatever the others have: -ln n. At 0.0
    # all have underflowed.
    probabilities = np.full((5, 2, 11), scale / 11, "float32")
    values = log_probability_among(
        probabilities, np.full((5, 2), 4), np.arange(8) + 3
    )
    np.testing.assert_allclose(values, -np.log(8), rtol=1e-6)


def test_all_classes_as_candidates_change_no_log_probability():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(6), size=(4, 3))
    target = rng.integers(6, size=(4, 3))
    right = np.take_along_axis(probabilities, target[..., None], axis=-1)
    among = log_probability_among(probabilities, target, np.arange(6))
    np.testing.assert_allclose(among, np.log(right[..., 0]), atol=1e-12)
    fewer = np.unique(target)[:-1]
    is_there = np.isin(target, fewer)
    few = log_probability_among(
        probabilities, np.where(is_there, target, fewer[0]), fewer
    )
    assert (few > among)[is_there].all()  # they share more
