"""Tests for tiny_gpt/tasks/translation/mixture.py."""

import pytest

from tiny_gpt.tasks.translation.mixture import (
    LETTERS_DIGITS_PUNCTUATION,
    Component,
    Mixture,
)

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


def sparse(num_pairs, **fields):
    return Mixture((Component("A->C", num_pairs, **fields),))


def test_distinct_draws_cover_one_sentence_each():
    # 1000 of 1680; with 2 of 8 words held out still 300 of all 1680.
    distinct = sparse(1000, is_distinct=True)
    assert distinct.coverage("A->C") == 1000 / 1680
    held_out = sparse(300, is_distinct=True, num_held_out=2)
    assert held_out.coverage("A->C") == 300 / 1680


def test_held_out_words_bound_the_coverage():
    # 6 words are left, 6*5*4*3 = 360 sentences, each missed by 50 draws with
    # (359/360)^50; 100 000 draws miss none of them.
    expected = 360 / 1680 * (1 - (359 / 360) ** 50)
    coverage = sparse(50, num_held_out=2).coverage("A->C")
    assert coverage == pytest.approx(expected, rel=1e-12)
    coverage = sparse(100_000, num_held_out=2).coverage("A->C")
    assert coverage == pytest.approx(360 / 1680, rel=1e-12)


def test_repeats_lengthen_the_stream_and_cover_nothing_new():
    once, often = sparse(50), sparse(50, num_repeats=20)
    assert often.coverage("A->C") == once.coverage("A->C")
    assert (once.num_shown, often.num_shown) == (50, 1000)
    assert often.num_pairs("A->C") == 50
    assert Mixture((*TRIANGLE[:2], often.components[0])).num_shown == 6000


def test_a_mapping_without_a_component_has_one_without_pairs():
    mixture = Mixture(TRIANGLE)
    assert mixture.component("A->C") is TRIANGLE[2]
    assert mixture.component("C->A") == Component("C->A", 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_pairs", -1),
        ("num_pairs", 2.5),
        ("num_repeats", 0),
        ("num_repeats", 1.0),
        ("num_held_out", -1),
    ],
)
def test_an_impossible_count_is_refused(field, value):
    with pytest.raises(ValueError, match=f"{field}={value} for 'A->B'"):
        Component("A->B", **{"num_pairs": 1, field: value})


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"components": (*TRIANGLE, Component("A->B", 1))}, "one component"),
        ({"components": (Component("A->D", 1),)}, "follow from given"),
        ({"components": (Component("A->B", 0),)}, "at least one sentence"),
        ({"components": ()}, "at least one sentence"),
        ({"scrambled": ("A->D",)}, "follow from given"),
        ({"scrambled": ("A->C", "B->C")}, "cannot be scrambled"),
        (
            {
                "scrambled": ("A->C",),
                "alphabet_size": 1,
                "sentence_length": 1,
            },
            "alphabet_size=1",
        ),
        # 3 words do not fill a sentence of 4; 4 fill 4*3*2 = 24.
        ({"components": (Component("A->B", 1, num_held_out=5),)}, "5 of 8"),
        ({"components": (Component("A->B", 1681, 1, True),)}, "Only 1680"),
        ({"components": (Component("A->B", 25, 1, True, 4),)}, "Only 24"),
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


def test_all_sentences_may_be_wanted():
    assert sparse(1680, is_distinct=True).coverage("A->C") == 1.0
    assert sparse(24, is_distinct=True, num_held_out=4).num_shown == 24
