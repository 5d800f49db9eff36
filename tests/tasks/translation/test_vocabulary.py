"""Tests for tiny_gpt/tasks/translation/vocabulary.py."""

import numpy as np
import pytest

from tiny_gpt.tasks.translation.languages import Language, Mapping
from tiny_gpt.tasks.translation.mixture import (
    LETTERS_DIGITS_PUNCTUATION,
    Component,
    Mixture,
)
from tiny_gpt.tasks.translation.vocabulary import Vocabulary, vocabulary_size

A = Language("A", ("a", "b", "c"))
B = Language("B", ("p", "q", "r"))
A_TO_B = Mapping(A, B, (1, 2, 0))  # a->q, b->r, c->p
SENTENCES = np.array([[0, 2], [1, 0]])  # a c, b a


def test_published_sizes():
    # 3 specials, space mark, '.', '|' and 24 or 48 symbols; words need only
    # a padding id and the separators.
    triangle = Mixture((Component("A->B", 1),))
    four = Mixture(
        (Component("A->B", 1),),
        given=("A->B", "A->C", "A->D"),
        alphabet_size=12,
        characters=LETTERS_DIGITS_PUNCTUATION,
    )
    assert vocabulary_size(triangle, "characters") == 30
    assert vocabulary_size(four, "characters") == 54
    assert vocabulary_size(triangle, "words") == 27
    assert vocabulary_size(four, "words") == 51


def test_a_pair_reads_as_published():
    for kind in ("characters", "words"):
        vocabulary = Vocabulary(kind, (A, B))
        pairs = vocabulary.encode_pairs(A_TO_B, SENTENCES)
        assert vocabulary.decode(pairs[0]) == "a c . q p |"
        assert vocabulary.decode(pairs[1]) == "b a . r q |"
        assert pairs.shape == (2, 6 * vocabulary.tokens_per_word)


def test_a_query_and_its_answer_make_a_pair():
    for kind in ("characters", "words"):
        vocabulary = Vocabulary(kind, (A, B))
        pair = vocabulary.encode_pairs(A_TO_B, SENTENCES)
        query = vocabulary.encode_queries(A_TO_B, SENTENCES)
        answer = vocabulary.encode_answers(A_TO_B, SENTENCES)
        parts = np.concatenate([query, answer], axis=1)
        end = vocabulary.tokens_per_word
        np.testing.assert_array_equal(parts, pair[:, :-end])


def test_space_marks_stand_before_every_character():
    vocabulary = Vocabulary("characters", (A, B))
    pair = vocabulary.encode_pairs(A_TO_B, SENTENCES)[0]
    space = vocabulary.tokens.index("\u2581")
    assert (pair[::2] == space).all()
    assert (pair[1::2] != space).all()


def test_an_id_without_a_token_is_shown():
    vocabulary = Vocabulary("words", (A,))
    assert vocabulary.decode([vocabulary.size]) == "?"


def test_no_sentences_give_no_tokens():
    nothing = np.empty((0, 2), int)
    pairs = Vocabulary("characters", (A, B)).encode_pairs(A_TO_B, nothing)
    assert pairs.shape == (0, 12)


def test_an_unknown_tokenisation_is_refused():
    with pytest.raises(ValueError, match="kind='bytes'"):
        Vocabulary("bytes", (A,))


@pytest.mark.parametrize("kind", ["words", "characters"])
@pytest.mark.parametrize("has_tag", [False, True])
def test_text_is_read_as_it_is_written(kind, has_tag):
    # "B" is a word of one language and, after the mark ">", a name.
    languages = Language("A", ("a", "B", "c")), B
    vocabulary = Vocabulary(kind, languages, has_tag)
    pairs = vocabulary.encode_pairs(Mapping(*languages, (1, 2, 0)), SENTENCES)
    for ids in pairs:
        text = vocabulary.decode(ids)
        np.testing.assert_array_equal(vocabulary.encode(text), ids)
    assert vocabulary.encode("").size == 0
    with pytest.raises(ValueError, match="Received: 'x'"):
        vocabulary.encode("a x")
