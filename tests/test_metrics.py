"""Tests for tiny_gpt/metrics.py."""

import numpy as np
import pytest

from tiny_gpt.metrics import (
    exact_match,
    printed_score,
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
