"""Tests for the rotation of a text: `Translation.rotates`."""

import numpy as np
import pytest

from tiny_gpt.tasks.translation.data import rotate
from tiny_gpt.tasks.translation.windows import cut_windows


class Draws:
    """Stands for a generator that draws a given number."""

    def __init__(self, number):
        self.number, self.below = number, None

    def integers(self, below):
        self.below = below
        return self.number


def text_of(inputs, targets):
    """Returns the tokens of windows, in order, without padding."""
    rows = np.concatenate([inputs[:, :1], targets], axis=1)
    return rows[rows != 0]


def test_a_rotated_text_by_hand():
    # 1 2 3 | 4 5 6 | 0 0 7, rotated by 2: 3 4 5 | 6 7 1 | 0 0 2.
    draws = Draws(2)
    inputs, targets = rotate(*cut_windows(np.arange(1, 8), 2), draws)
    np.testing.assert_array_equal(inputs, [[3, 4], [6, 7], [0, 0]])
    np.testing.assert_array_equal(targets, [[4, 5], [7, 1], [0, 2]])
    assert draws.below == 7  # every token can come first, no padding


@pytest.mark.parametrize("num_tokens", [1, 2, 29, 30, 31, 500])
def test_a_rotation_by_nothing_is_the_first_cut(num_tokens):
    ids = np.random.default_rng(0).integers(1, 9, num_tokens).astype("int32")
    first = cut_windows(ids, 9)
    for found, expected in zip(rotate(*first, Draws(0)), first, strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


@pytest.mark.parametrize("num_tokens", [1, 29, 30, 31, 500])
def test_a_rotation_keeps_the_tokens_and_their_cyclic_order(num_tokens):
    ids = np.random.default_rng(1).permutation(np.arange(1, num_tokens + 1))
    first = cut_windows(ids, 9)
    rng = np.random.default_rng(2)
    starts = set()
    for _ in range(20):
        windows = rotate(*first, rng)
        assert [x.shape for x in windows] == [x.shape for x in first]
        np.testing.assert_array_equal(windows[0][:, 1:], windows[1][:, :-1])
        text = text_of(*windows)
        (start,) = np.flatnonzero(ids == text[0])
        starts.add(start)
        np.testing.assert_array_equal(np.roll(text, start), ids)
    assert len(starts) > min(num_tokens, 10) * 0.7


def test_offsets_are_uniform():
    # 7 tokens, 7000 rotations: each comes first 1000 times, with a standard
    # error of sqrt(7000 * 1/7 * 6/7) = 29.3.
    first, rng = cut_windows(np.arange(1, 8), 2), np.random.default_rng(3)
    firsts = [rotate(*first, rng)[0][0, 0] for _ in range(7000)]
    counts = np.bincount(firsts, minlength=8)[1:]
    assert np.abs(counts - 1000).max() < 4 * 29.3
