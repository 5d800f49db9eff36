"""Tests for tiny_gpt/analysis/directions.py."""

from itertools import permutations

import numpy as np
import pytest

from tiny_gpt.analysis.directions import remove_direction, word_effects

WORDS = np.array(list(permutations(range(5), 2)))  # no word twice


def test_effects_of_two_places_are_told_apart():
    # x = c + f[first word] + g[second word], both effects of mean 0.
    rng = np.random.default_rng(1)
    effects = rng.normal(size=(2, 5, 3))
    effects -= effects.mean(axis=1, keepdims=True)
    first, second = WORDS.T
    values = 7.0 + effects[0, first] + effects[1, second]
    np.testing.assert_allclose(word_effects(values, WORDS, 5), effects)


def test_a_word_elsewhere_is_no_effect_of_this_place():
    # Only the second place counts. The mean over sentences with first word w
    # lacks w in the second: -1/4 of its effect would be left.
    second = np.eye(5)[WORDS[:, 1]]
    means = np.stack([second[WORDS[:, 0] == w].mean(axis=0) for w in range(5)])
    assert (means - means.mean(axis=0))[0, 0] == pytest.approx(-0.2)
    effects = word_effects(second, WORDS, 5)
    np.testing.assert_allclose(effects[0], 0.0, atol=1e-12)


def test_a_missing_word_is_refused():
    with pytest.raises(ValueError, match="num_words=6"):
        word_effects(np.zeros((20, 1)), WORDS, 6)


def test_only_the_coordinate_along_the_direction_becomes_the_mean():
    # Mean (2, 10); along (0, 5) the second coordinate becomes 10.
    values = np.array([[1.0, 4.0], [3.0, 16.0]])
    along = np.array([[0.0, 5.0], [0.0, -5.0]])
    left = remove_direction(values, along)
    np.testing.assert_allclose(left, [[1.0, 10.0], [3.0, 10.0]])
    # Along (3, 4): x - mean = (-1, -6) has -27/5, times (3, 4)/5.
    left = remove_direction(values, np.array([[3.0, 4.0], [0.0, 0.0]]))
    expected = [1 + 27 / 25 * 3, 4 + 27 / 25 * 4]
    np.testing.assert_allclose(left, [expected, [3.0, 16.0]])


def test_rounding_is_no_direction():
    values = np.array([[1.0, 4.0], [3.0, 16.0]])
    left = remove_direction(values, np.full((2, 2), 1e-6))
    np.testing.assert_array_equal(left, values)
