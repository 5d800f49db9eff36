"""Tests for the tag that names the language asked for."""

import dataclasses
import math

import numpy as np
import pytest

from benchmarks.tiny_runs import TINY, with_task
from tiny_gpt.evaluation.data import ANSWER, BETWEEN, SOURCE
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import config_of, loss_floor
from tiny_gpt.sweep.cell import content_of, key_of
from tiny_gpt.tasks.translation.data import kinds_of_words
from tiny_gpt.tasks.translation.languages import Language, Mapping
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import (
    build_stream,
    fresh_windows,
)
from tiny_gpt.tasks.translation.task import Translation
from tiny_gpt.tasks.translation.vocabulary import (
    Vocabulary,
    tokens_per_pair,
    tokens_per_query,
    vocabulary_size,
)

A = Language("A", ("a", "b", "c"))
B = Language("B", ("p", "q", "r"))
A_TO_B = Mapping(A, B, (1, 2, 0))  # a->q, b->r, c->p
SENTENCES = np.array([[0, 2], [1, 0]])  # a c, b a
KINDS = ("words", "characters")
MIXTURE = Mixture((Component("A->B", 4), Component("A->C", 3)))
TAGGED = Translation(
    MIXTURE, ("A->B", "A->C"), tokens="words", has_target_tag=True
)
TINY_TAGGED = dataclasses.replace(
    TINY,
    task=dataclasses.replace(TINY.task, has_target_tag=True),
    model=dataclasses.replace(TINY.model, vocabulary_size=15 + 4),
)


def build(kind, length=40, has_target_tag=True, mixture=MIXTURE):
    rng = np.random.default_rng(0)
    return build_stream(mixture, kind, length, rng, has_target_tag)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_names_its_target(kind):
    vocabulary = Vocabulary(kind, (A, B), has_target_tag=True)
    pairs = vocabulary.encode_pairs(A_TO_B, SENTENCES)
    assert vocabulary.decode(pairs[0]) == "a c > B . q p |"
    back = vocabulary.encode_pairs(A_TO_B.inverse(), SENTENCES)
    assert vocabulary.decode(back[1]) == "q p > A . a c |"
    assert pairs.shape == (2, 8 * vocabulary.tokens_per_word)
    query = vocabulary.encode_queries(A_TO_B, SENTENCES)
    assert vocabulary.decode(query[1]) == "b a > B ."
    answer = vocabulary.encode_answers(A_TO_B, SENTENCES)
    end = vocabulary.tokens_per_word
    np.testing.assert_array_equal(
        np.concatenate([query, answer], axis=1), pairs[:, :-end]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_all_other_tokens_keep_their_ids(kind):
    plain, tagged = (Vocabulary(kind, (A, B), tag) for tag in (False, True))
    assert tagged.tokens == (*plain.tokens, ">", "A", "B")
    per_word = plain.tokens_per_word
    pairs = tagged.encode_pairs(A_TO_B, SENTENCES)
    words = pairs.reshape(2, 8, per_word)
    np.testing.assert_array_equal(
        np.delete(words, [2, 3], axis=1).reshape(2, -1),
        plain.encode_pairs(A_TO_B, SENTENCES),
    )
    added = [[plain.size, plain.size + 2]] * 2  # ">" and B
    np.testing.assert_array_equal(words[:, 2:4, -1], added)
    if per_word == 2:  # every word has its space mark
        assert (words[..., 0] == plain.tokens.index("\u2581")).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_that_is_written_like_a_tag_has_an_id_of_its_own(kind):
    odd = Language("A", (">", "B", "A"))
    plain, tagged = (Vocabulary(kind, (odd, B), tag) for tag in (False, True))
    words = tagged.ids(odd, np.arange(3))
    np.testing.assert_array_equal(words, plain.ids(odd, np.arange(3)))
    mapping = Mapping(odd, B, (0, 1, 2))
    query = tagged.encode_queries(mapping, SENTENCES[:1])
    per_word = tagged.tokens_per_word
    assert len(set(query[0, per_word - 1 :: per_word])) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_with_a_tag(kind):
    # Sentences of 4: 7 words of a query, 12 of a pair; ">" and 3 languages.
    per_word = 2 if kind == "characters" else 1
    assert tokens_per_query(MIXTURE, kind, True) == 7 * per_word
    assert tokens_per_pair(MIXTURE, kind, True) == 12 * per_word
    assert tokens_per_query(MIXTURE, kind) == 5 * per_word
    assert tokens_per_pair(MIXTURE, kind) == 10 * per_word
    size = vocabulary_size(MIXTURE, kind, True)
    assert size == vocabulary_size(MIXTURE, kind) + 4
    assert build(kind).vocabulary.size == size


@pytest.mark.parametrize("kind", KINDS)
def test_a_tag_changes_no_words(kind):
    tagged, plain = build(kind), build(kind, has_target_tag=False)
    assert tagged.languages == plain.languages
    for label, sentences in plain.sentences.items():
        np.testing.assert_array_equal(tagged.sentences[label], sentences)
    text = " ".join(tagged.vocabulary.decode(row) for row in tagged.inputs)
    assert " > B . " in text
    assert " > C . " in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_tag_stands_between_sentence_and_translation(kind):
    per_word = 2 if kind == "characters" else 1
    stream = build(kind, 12 * per_word - 1)  # one pair a window
    assert len(stream.inputs) == 7
    # The first word has no target of its own, but with a space mark.
    places = np.arange(1, 12 * per_word)
    np.testing.assert_array_equal(stream.places, np.tile(places, (7, 1)))
    by_word = [SOURCE] * 4 + [BETWEEN] * 3 + [ANSWER] * 4 + [BETWEEN]
    expected = np.repeat(by_word, per_word)[1:]
    kinds = kinds_of_words(stream, "A->B", stream.places)
    np.testing.assert_array_equal(kinds, np.tile(expected, (7, 1)))
    for label, target in (("A->B", "B"), ("A->C", "C")):
        words = stream.vocabulary.ids(stream.languages[target], np.arange(8))
        index = ("A->B", "A->C").index(label)
        is_answer = (kinds == ANSWER) & (stream.components == index)
        answers = stream.targets[is_answer].reshape(-1, per_word)
        assert np.isin(answers[:, -1], words).all()


@pytest.mark.parametrize("kind", KINDS)
def test_fresh_windows_have_tags(kind):
    stream = build(kind)
    rng = np.random.default_rng(5)
    inputs, targets, places = fresh_windows(stream, "A->C", 9, rng)
    assert inputs.shape == targets.shape == places.shape == (9, 40)
    per_pair = tokens_per_pair(MIXTURE, kind, True)
    expected = np.arange(9 * 41).reshape(9, 41)[:, 1:] % per_pair
    np.testing.assert_array_equal(places, expected)
    tags = stream.vocabulary.tokens[-4:]
    assert tags == (">", "A", "B", "C")
    given = targets[targets >= stream.vocabulary.size - 4]
    assert set(given) == {stream.vocabulary.size - 4 + i for i in (0, 3)}


@pytest.mark.parametrize(
    ("tokens", "needed"), [("words", 34), ("characters", 69)]
)
def test_two_demonstrations_need_a_wider_window(tokens, needed):
    # 2 * 12 + 7 + 4 words, but for the last token of the answer.
    task = dataclasses.replace(TAGGED, tokens=tokens)
    config = EvaluationConfig("cached", 8, 2)
    task.check(needed, config)
    with pytest.raises(ValueError, match=f"= {needed}"):
        task.check(needed - 1, config)


def test_a_tagged_task_counts_its_windows():
    # 7 pairs of 12 words in rows of 37: ceil(84 / 37) = 3.
    assert TAGGED.num_windows(36) == (3,)
    (data,) = TAGGED.draw(36, np.random.default_rng(0))
    assert data.inputs.shape == (3, 36)
    assert data.inputs.max() < TAGGED.vocabulary_size == 27 + 4
    rng = np.random.default_rng(1)
    prompts, answers = data.sample_questions("A->C", 5, 2, rng)
    assert prompts.shape == (5, 31)
    assert answers.shape == (5, 4)
    decode = data.stream.vocabulary.decode
    assert all(decode(row).count("> C .") == 3 for row in prompts)


def test_no_floor_is_known_with_a_tag():
    assert TAGGED.floors(36) == {}
    assert math.isnan(loss_floor(TINY_TAGGED))
    with pytest.raises(ValueError, match="has_target_tag=True"):
        TAGGED.packing(36)


def test_a_config_without_a_tag_stays_as_it_was():
    assert "has_target_tag" not in config_of(TINY)
    assert config_of(TINY_TAGGED)["has_target_tag"] is True
    keys = {
        key_of(content_of(experiment, "float32"))
        for experiment in (TINY, TINY_TAGGED)
    }
    assert len(keys) == 2


@pytest.mark.parametrize("value", [1, "yes", None])
def test_a_tag_is_there_or_not(value):
    with pytest.raises(ValueError, match="has_target_tag="):
        with_task(TINY, has_target_tag=value)
