"""Tests for the scores among words of the target language, in tiers.py."""

import dataclasses
import math

import numpy as np
import pytest

from tiny_gpt.evaluation.every_sentence import Answers
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import all_sentences, build_stream
from tiny_gpt.tasks.translation.tiers import COMPOSED_METRICS, score

# 3 words, sentences of 2. A0 A1 A2 are C1 C2 C0 if scrambled, else C0 C1 C2.
SENTENCES = all_sentences(3, 2)
KINDS = ("words", "characters")


def build(kind, scrambled=()):
    components = (Component("A->B", 9),)
    mixture = Mixture(
        components, scrambled=scrambled, alphabet_size=3, sentence_length=2
    )
    stream = build_stream(mixture, kind, 40, np.random.default_rng(0))
    mappings = {
        label: dataclasses.replace(
            stream.composed(label), permutation=(1, 2, 0)
        )
        for label in scrambled
    }
    return dataclasses.replace(stream, scrambled=mappings)


def scores_of(stream, by_place):
    """Scores of a model that gives the word at each place of C a share.

    Most of the probability is on a word of B, the same at both places. Space
    marks are never expected: their probability is that of any other token.
    """
    mapping, vocabulary = stream.mapping("A->C"), stream.vocabulary
    target = vocabulary.encode_answers(mapping, SENTENCES)
    row = np.zeros(vocabulary.size, "float32")
    row[vocabulary.ids(stream.languages["C"], np.arange(3))] = by_place
    row[vocabulary.ids(stream.languages["B"], np.array(1))] = 1 - row.sum()
    probabilities = np.broadcast_to(row, (*target.shape, len(row)))
    greedy = probabilities.argmax(axis=-1)
    answers = Answers(target, greedy, probabilities)
    mask = np.ones(SENTENCES.shape, bool)
    return score(stream, "A->C", SENTENCES, answers, mask)


@pytest.mark.parametrize("kind", KINDS)
def test_other_languages_do_not_count(kind):
    # C0 C1 C2 have 0.04, 0.01 and 0.05 of 0.1, and every word is right in one
    # of three: ranks 2, 3, 1 and one of three first. The plain answer is B.
    values = scores_of(build(kind), [0.04, 0.01, 0.05])
    assert values["accuracy_aligned"] == values["accuracy_teacher_forced"] == 0
    assert values["rank"] == 2.0
    assert values["accuracy_in_language"] == pytest.approx(1 / 3)
    expected = math.log(0.4 * 0.1 * 0.5) / 3
    assert values["log_probability_in_language"] == pytest.approx(expected)
    assert not set(COMPOSED_METRICS) & set(values)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tie_counts_as_wrong(kind):
    # C0 and C2 share the first place: no word is right for sure.
    values = scores_of(build(kind), [0.05, 0.01, 0.05])
    assert values["accuracy_in_language"] == 0.0
    assert values["rank"] == pytest.approx((1.5 + 3 + 1.5) / 3)


@pytest.mark.parametrize("kind", KINDS)
def test_composed_scores_are_those_of_the_word_by_the_given_mappings(kind):
    # Only the words after A1 count, in 01, 10, 12 and 21: right is C2, with
    # rank 1 and 0.5; C1 is composed, with rank 3 and 0.1.
    stream = build(kind, ("A->C",))
    mask = SENTENCES == 1
    mapping, vocabulary = stream.mapping("A->C"), stream.vocabulary
    target = vocabulary.encode_answers(mapping, SENTENCES)
    probabilities = np.zeros((*target.shape, vocabulary.size), "float32")
    words = vocabulary.ids(stream.languages["C"], np.arange(3))
    probabilities[..., words] = [0.04, 0.01, 0.05]
    answers = Answers(target, target, probabilities)
    values = score(stream, "A->C", SENTENCES, answers, mask)
    assert values["rank"] == 1.0
    assert values["composed_rank"] == 3.0
    log_probability = values["log_probability_in_language"]
    assert log_probability == pytest.approx(math.log(0.5))
    composed = values["composed_log_probability_in_language"]
    assert composed == pytest.approx(math.log(0.1))


@pytest.mark.parametrize("kind", KINDS)
def test_without_pairs_the_composed_word_is_the_right_one(kind):
    # A->C has no pairs in either stream; the model answers by the given
    # mappings, and the scrambled one leaves only the composed word.
    plain, scrambled = build(kind), build(kind, ("A->C",))
    label, shares = "A->C", [0.04, 0.01, 0.05]
    assert label not in plain.sentences
    expected = scores_of(plain, shares)
    values = scores_of(scrambled, shares)
    for metric in COMPOSED_METRICS:
        plain_name = metric.removeprefix("composed_")
        assert values[metric] == pytest.approx(expected[plain_name])


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_token_of_a_word_carries_its_score(kind):
    # The other tokens of a word, its space mark, do not matter.
    stream = build(kind, ("A->C",))
    mapping, vocabulary = stream.mapping("A->C"), stream.vocabulary
    per_word = vocabulary.tokens_per_word
    target = vocabulary.encode_answers(mapping, SENTENCES)
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(vocabulary.size), target.shape)
    answers = Answers(target, target, probabilities)
    mask = np.ones(SENTENCES.shape, bool)
    plain = "rank", "log_probability_in_language", "accuracy_in_language"
    names = (*plain, *COMPOSED_METRICS)
    values = score(stream, "A->C", SENTENCES, answers, mask)
    noisy = probabilities.copy()
    is_last = np.arange(target.shape[1]) % per_word == per_word - 1
    noisy[:, ~is_last] = rng.dirichlet(
        np.ones(vocabulary.size), (len(target), (~is_last).sum())
    )
    again = dataclasses.replace(answers, probabilities=noisy)
    others = score(stream, "A->C", SENTENCES, again, mask)
    assert [values[n] for n in names] == [others[n] for n in names]
    words = vocabulary.ids(stream.languages["C"], np.arange(3))
    among = probabilities[:, is_last][..., words]
    right = (words == target[:, is_last][..., None]).argmax(axis=-1)
    share = (among.argmax(axis=-1) == right).mean()
    assert values["accuracy_in_language"] == pytest.approx(share)
    among /= among.sum(axis=-1, keepdims=True)
    of_right = np.take_along_axis(among, right[..., None], axis=-1)
    expected = np.log(of_right).mean()
    log_probability = values["log_probability_in_language"]
    assert log_probability == pytest.approx(expected)
