"""Tests for tiny_gpt/mixture.py."""

import pytest

from tiny_gpt.mixture import LETTERS_DIGITS_PUNCTUATION, Component, Mixture

TRIANGLE = (
    Component("A->B", 2500),
    Component("B->C", 2500),
    Component("A->C", 50),
)


def test_sentences_are_counted_without_repetition():
    # 8*7*6*5 and 12*11*10*9 (sec. 3.1).
    assert Mixture(TRIANGLE).num_sentences == 1680
    twelve = Mixture(
        TRIANGLE, alphabet_size=12, characters=LETTERS_DIGITS_PUNCTUATION
    )
    assert twelve.num_sentences == 11880


def test_coverage_allows_for_repeated_draws():
    # 1 - (1679/1680)^x; 2500 draws show 77.4 % of the sentences.
    mixture = Mixture(TRIANGLE)
    assert mixture.coverage("A->C") == pytest.approx(
        1 - (1679 / 1680) ** 50, rel=1e-12
    )
    assert mixture.coverage("A->B") == pytest.approx(0.774, abs=5e-4)
    assert mixture.coverage("B->A") == 0.0


def test_counts_by_mapping():
    mixture = Mixture((Component("A->B", 3), Component("A->C", 0)))
    assert mixture.num_pairs("A->B") == 3
    assert mixture.num_pairs("A->C") == 0
    assert mixture.languages == ("A", "B", "C")


@pytest.mark.parametrize("num_pairs", [-1, 2.5])
def test_an_impossible_count_is_refused(num_pairs):
    with pytest.raises(ValueError, match=f"num_pairs={num_pairs}"):
        Component("A->B", num_pairs)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"components": (*TRIANGLE, Component("A->B", 1))}, "one component"),
        ({"components": (Component("A->D", 1),)}, "follow from given"),
        ({"components": (Component("A->B", 0),)}, "at least one sentence"),
        ({"components": ()}, "at least one sentence"),
        ({"alphabet_size": 3}, "sentence_length=4, alphabet_size=3"),
        ({"sentence_length": 0}, "sentence_length=0"),
        ({"alphabet_size": 9}, "= 27 characters"),  # 3 * 9 of 26 letters
        ({"characters": "abcdefghijklmnopqrstuvwxyza"}, "twice"),
        ({"characters": "abcdefghijklmnopqrstuvwxyz|"}, "separators"),
    ],
)
def test_an_impossible_mixture_is_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        Mixture(**{"components": TRIANGLE, **arguments})
