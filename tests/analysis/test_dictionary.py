"""Tests for tiny_gpt/analysis/dictionary.py."""

import itertools
import math

import numpy as np
import pytest

from tiny_gpt.analysis.dictionary import dictionary_accuracy
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import all_sentences, draw_component


def test_dictionary_without_sentences_guesses():
    assert dictionary_accuracy(8, 4, 0) == 1 / 8
    assert dictionary_accuracy(1, 1, 0) == 1.0


def test_one_sentence_shows_its_words():
    # 4 of 8 words, and one of the other 4 by luck.
    assert dictionary_accuracy(8, 4, 1) == 5 / 8
    assert dictionary_accuracy(8, 4, 1, is_distinct=True) == 5 / 8
    assert dictionary_accuracy(4, 4, 1) == 1.0  # all of them


def test_two_sentences_by_hand():
    # 3 words, sentences of one: both show the same word with 1/3, and one
    # more of 3 is guessed; else 2 are shown, and the third is what is left.
    # 1/3 * 2/3 + 2/3 * 1 = 8/9. Distinct ones show two: 1.
    assert dictionary_accuracy(3, 1, 2) == pytest.approx(8 / 9, rel=1e-15)
    assert dictionary_accuracy(3, 1, 2, is_distinct=True) == 1.0
    # 4 words, sentences of two: the second has the same two words with
    # 1/6, one more with 4/6, two more with 1/6: K = 2, 3, 4, and K + 1 of 4
    # right, at most all. 1/6 * 3/4 + 5/6.
    value = dictionary_accuracy(4, 2, 2)
    assert value == pytest.approx(23 / 24, rel=1e-15)
    # Of 12 sentences, one of the other 11 has the same two words: 1/11.
    value = dictionary_accuracy(4, 2, 2, is_distinct=True)
    assert value == pytest.approx(1 / 11 * 3 / 4 + 10 / 11, rel=1e-15)


def test_a_held_out_word_is_never_shown():
    # 2 of 5 held out, and sentences of all 3 others: 3, and one of 2 guessed.
    assert dictionary_accuracy(5, 3, 7, num_held_out=2) == 4 / 5
    # One held out is what is left when all others are known.
    assert dictionary_accuracy(5, 4, 1, num_held_out=1) == 1.0
    # One of 4 words each, twice: 1 + 3/4 words on average, and one guess.
    value = dictionary_accuracy(6, 1, 2, num_held_out=2)
    assert value == pytest.approx((1.75 + 1) / 6, rel=1e-15)


def test_a_word_is_missing_as_in_the_closed_form():
    # Where two words are held out, one is always guessed:
    # E[K] = 10 (1 - (1 - 4/10)^N).
    for num in (1, 5, 50):
        value = dictionary_accuracy(12, 4, num, num_held_out=2)
        assert value == pytest.approx((10 * (1 - 0.6**num) + 1) / 12)


@pytest.mark.parametrize("is_distinct", [False, True])
@pytest.mark.parametrize("num", [1, 2, 3])
def test_dictionary_over_all_draws(num, is_distinct):
    # Every draw of sentences of 2 of 4 words; one more word is held out.
    pairs = list(itertools.permutations(range(4), 2))
    for n in (4, 5):
        draws = (
            itertools.permutations(pairs, num)
            if is_distinct
            else itertools.product(pairs, repeat=num)
        )
        shown = [len({w for pair in draw for w in pair}) for draw in draws]
        expected = np.mean([min(k + 1, n) for k in shown]) / n
        value = dictionary_accuracy(4 + (n > 4), 2, num, n - 4, is_distinct)
        assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "component",
    [
        Component("A->B", 3, num_repeats=4),
        Component("A->B", 5, is_distinct=True),
        Component("A->B", 2, num_held_out=3),
    ],
)
def test_dictionary_simulated(component):
    # The learner, word for word, on the sentences that a stream draws.
    mixture = Mixture((component,), alphabet_size=8, sentence_length=3)
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(1500):
        shown = np.unique(draw_component(component, mixture, rng))
        right = np.isin(np.arange(8), shown)
        unknown = np.flatnonzero(~right)  # translated by the same number
        right[unknown] = rng.choice(unknown, len(unknown)) == unknown
        scores.append(right[all_sentences(8, 3)].mean())
    value = dictionary_accuracy(
        8,
        3,
        component.num_pairs,
        component.num_held_out,
        component.is_distinct,
    )
    error = np.std(scores) / math.sqrt(len(scores))
    assert abs(np.mean(scores) - value) < 4 * error


@pytest.mark.parametrize("is_distinct", [False, True])
def test_many_sentences_show_all_words(is_distinct):
    # From about 90 on, a missing word is rarer than a float shows.
    values = [
        dictionary_accuracy(8, 4, num, is_distinct=is_distinct)
        for num in range(200)
    ]
    assert values == sorted(values)
    if not is_distinct:  # two words missing, one is guessed: 1/8 less
        missing = 1 - values[15]
        assert missing == pytest.approx(28 / 8 * (3 / 14) ** 15, rel=1e-2)
    assert values[90:] == [1.0] * 110
    assert dictionary_accuracy(8, 4, 10**9) == 1.0
    assert dictionary_accuracy(8, 4, 10**9, num_held_out=2) == 7 / 8


@pytest.mark.parametrize(
    "arguments",
    [
        (8, 0, 1),
        (8, 9, 1),
        (8, 4, -1),
        (8, 4, 1, 5),
        (8, 4, 1, -1),
        (3, 4, 1, 9),
    ],
)
def test_a_dictionary_of_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match="Received"):
        dictionary_accuracy(*arguments)


def test_more_distinct_sentences_than_there_are_are_refused():
    with pytest.raises(ValueError, match="num_sentences=13"):
        dictionary_accuracy(4, 2, 13, is_distinct=True)
