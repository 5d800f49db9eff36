"""Tests for tiny_gpt/tasks/translation/tiers.py."""

import dataclasses
import math

import numpy as np
import pytest

from tiny_gpt.evaluation.every_sentence import Answers
from tiny_gpt.evaluation.scores import words_right
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import all_sentences, build_stream
from tiny_gpt.tasks.translation.tiers import (
    classify_errors,
    find_tiers,
    score,
)

# 3 words, sentences of 2: 01 02 10 12 20 21. D is a language off the way.
SENTENCES = all_sentences(3, 2)
MIXTURE = Mixture(
    (Component("A->B", 2500), Component("A->C", 50)),
    given=("A->B", "B->C", "C->D"),
    alphabet_size=3,
    sentence_length=2,
)
KINDS = ("words", "characters")


def build(kind="words", **changes):
    mixture = dataclasses.replace(MIXTURE, **changes)
    return build_stream(mixture, kind, 40, np.random.default_rng(0))


def tiers_of(label, seen=None, **changes):
    """Tiers as text: "01 02" has the words that count, "-" the others."""
    stream = build(**changes)
    if seen is not None:
        seen = np.array([list(map(int, word)) for word in seen.split()])
        stream = dataclasses.replace(stream, sentences={label: seen})
    return {
        tier: " ".join(
            "".join(str(w) if m else "-" for w, m in zip(*row, strict=True))
            for row in zip(SENTENCES, mask, strict=True)
        )
        for tier, mask in find_tiers(stream, label, SENTENCES).items()
    }


def test_tiers_by_hand():
    # 0 stood first, 1 and 2 second, so that 1 and 2 never stood first, and 0
    # never second; every word occurred.
    assert tiers_of("A->C", "01 02 01") == {
        "all_sentences": "01 02 10 12 20 21",
        "seen_sentences": "01 02 -- -- -- --",
        "unseen_sentences": "-- -- 10 12 20 21",
        "unseen_word_positions": "-- -- 10 1- 20 2-",
    }


def test_a_word_that_never_occurred_is_unseen():
    assert tiers_of("A->C", "01 10") == {
        "all_sentences": "01 02 10 12 20 21",
        "seen_sentences": "01 -- 10 -- -- --",
        "unseen_sentences": "-- 02 -- 12 20 21",
        "unseen_word_positions": "-- -2 -- -2 2- 2-",
        "unseen_words": "-- -2 -- -2 2- 2-",
    }


def test_only_the_asked_mapping_counts_as_seen():
    # B->C is not in the stream; A->B has shown all, in 2500 pairs.
    whole = "01 02 10 12 20 21"
    unseen = "unseen_sentences", "unseen_word_positions", "unseen_words"
    expected = dict.fromkeys(("all_sentences", *unseen), whole)
    assert tiers_of("B->C") == expected
    assert tiers_of("A->B") == {"all_sentences": whole, "seen_sentences": whole}


@pytest.mark.parametrize(
    ("label", "scrambled"),
    [("A->C", ()), ("A->B", ()), ("B->C", ()), ("C->B", ("A->C",))],
)
def test_held_out_words_are_found_in_every_mapping(label, scrambled):
    # A word 0, held out of A->C: in other languages its translation, which
    # given mappings put into the same place of the alphabet.
    components = (Component("A->C", 2, num_held_out=1),)
    changes = {"components": components, "scrambled": scrambled}
    word = 0
    if label == "C->B":
        word = build(**changes).mapping("A->C").permutation[0]
        assert word != 0
    mask = tiers_of(label, **changes)["held_out_words"]
    expected = "01 02 10 12 20 21"
    for other in {"0", "1", "2"} - {str(word)}:
        expected = expected.replace(other, "-")
    assert mask == expected


def say(stream, answers):
    """Encodes answers of two words, e.g. "B0 A2"; "?" is no token."""
    tokens = stream.vocabulary.tokens

    def find(word):
        if len(word) == 1:
            return len(tokens) if word == "?" else tokens.index(word)
        return tokens.index(stream.languages[word[0]].symbols[int(word[1])])

    ids = np.array([[find(w) for w in answer.split()] for answer in answers])
    if stream.vocabulary.kind == "characters":
        ids = np.stack([np.full_like(ids, tokens.index("\u2581")), ids], -1)
    return ids.reshape(len(answers), -1)


def answers_of(stream, label, greedy, sentences, probability=None):
    """Answers with one probability for every token, 1/V by default."""
    target = stream.vocabulary.encode_answers(stream.mapping(label), sentences)
    size = stream.vocabulary.size
    if probability is None:
        probability = np.full((*target.shape, size), 1 / size, "float32")
    return Answers(target, greedy, probability)


def kinds_of_errors(stream, label, *said):
    """Kinds of the words said to "0 1", "" for a right one."""
    asked = np.tile([[0, 1]], (len(said), 1))
    answers = answers_of(stream, label, say(stream, said), asked)
    kinds = classify_errors(stream, label, asked, answers)
    return [
        tuple(
            "+".join(kind for kind, mask in kinds.items() if mask[row, place])
            for place in (0, 1)
        )
        for row in range(len(said))
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_errors_by_hand(kind):
    # Given mappings pair words by position: C0 C1 is right.
    said = {
        "C0 C1": ("", ""),
        "B0 B1": ("pivot_word", "pivot_word"),
        "B1 C1": ("other_language", ""),
        "C1 C2": ("other_target_word", "other_target_word"),
        "A0 A0": ("source_copy", "other_language"),
        "D0 D1": ("other_language", "other_language"),
        "C0 .": ("", "broken_format"),
        "? |": ("broken_format", "broken_format"),
    }
    given = kinds_of_errors(build(kind), "A->C", *said)
    assert given == list(said.values())


def test_every_language_on_the_way_is_a_pivot():
    # A->B->C->D, but nothing lies between A and B.
    stream = build()
    assert kinds_of_errors(stream, "A->D", "B0 C1", "C1 D1", "A0 B0") == [
        ("pivot_word", "pivot_word"),
        ("other_language", ""),
        ("source_copy", "other_language"),
    ]
    assert kinds_of_errors(stream, "A->B", "C0 C1") == [
        ("other_language", "other_language")
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_scrambled_mapping_has_composed_words(kind):
    # A0 A1 is C1 C2 now, where the given mappings would say C0 C1.
    stream = build(kind, scrambled=("A->C",))
    mapping = dataclasses.replace(stream.mapping("A->C"), permutation=(1, 2, 0))
    stream = dataclasses.replace(stream, scrambled={"A->C": mapping})
    said = {
        "C1 C2": ("", ""),
        "C0 C1": ("composed_word", "composed_word"),
        "C2 C0": ("other_target_word", "other_target_word"),
        "B0 B1": ("pivot_word", "pivot_word"),
        "B1 B2": ("other_language", "other_language"),
    }
    given = kinds_of_errors(stream, "A->C", *said)
    assert given == list(said.values())


def test_a_missing_space_mark_breaks_the_format():
    # The right character, and a pivot word, without a space mark before them.
    stream = build("characters")
    greedy = say(stream, ["C0 C1", "B0 C1"])
    greedy[:, 0] = greedy[:, 1]
    asked = np.array([[0, 1], [0, 1]])
    answers = answers_of(stream, "A->C", greedy, asked)
    kinds = classify_errors(stream, "A->C", asked, answers)
    expected = [[True, False], [True, False]]
    np.testing.assert_array_equal(kinds["broken_format"], expected)
    assert not kinds["pivot_word"].any()
    values = score(stream, "A->C", asked, answers, np.ones((2, 2), bool))
    assert values["accuracy_aligned"] == values["error_broken_format"] == 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label", ["A->C", "A->D", "C->A"])
def test_right_words_and_kinds_of_errors_are_all_words(kind, label):
    stream = build(kind, scrambled=("A->C",))
    rng = np.random.default_rng(0)
    sentences = np.repeat(SENTENCES, 50, axis=0)
    per_word = stream.vocabulary.tokens_per_word
    shape = len(sentences), 2 * per_word
    greedy = rng.integers(0, stream.vocabulary.size + 1, shape)
    answers = answers_of(stream, label, greedy, sentences)
    has_form = rng.random(shape) < 0.9  # most have their space marks
    has_form[:, per_word - 1 :: per_word] = False
    greedy[has_form] = answers.target[has_form]
    kinds = classify_errors(stream, label, sentences, answers)
    right = words_right(greedy, answers.target, per_word)
    total = right + sum(mask.astype(int) for mask in kinds.values())
    np.testing.assert_array_equal(total, 1)
    values = score(
        stream, label, sentences, answers, np.ones(right.shape, bool)
    )
    errors = [v for name, v in values.items() if name.startswith("error_")]
    assert len(errors) == len(kinds) == 6
    assert values["accuracy_aligned"] + math.fsum(errors) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_a_uniform_model(kind):
    # V classes: -ln V for each token of a word, 1 - 1/V for the word, which
    # ranks in the middle of 3 candidates.
    stream = build(kind)
    greedy = say(stream, ["D0 D0"] * 6)
    answers = answers_of(stream, "A->C", greedy, SENTENCES)
    values = score(stream, "A->C", SENTENCES, answers, np.ones((6, 2), bool))
    size, per_word = stream.vocabulary.size, stream.vocabulary.tokens_per_word
    expected = {
        "log_probability": -per_word * math.log(size),
        "probability": size**-per_word,
        "brier_score": 1 - 1 / size,
        "rank": 2.0,
        "log_probability_in_language": -math.log(3),
        "accuracy_in_language": 0.0,  # a tie
        "accuracy_aligned": 0.0,
        "exact_match_aligned": 0.0,
        "error_other_language": 1.0,
        "num_words": 12.0,
    }
    given = {name: values[name] for name in expected}
    assert given == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_the_words_of_a_tier(kind):
    # Sure and right, but for the first word of the last sentence, 21: sure of
    # C0, which it ranks 1; the right C2 shares ranks 2 and 3 with C1.
    stream = build(kind)
    right = [f"C{a} C{b}" for a, b in SENTENCES]
    greedy = say(stream, [*right[:-1], "C0 C1"])
    sure = np.eye(stream.vocabulary.size, dtype="float32")[greedy]
    answers = answers_of(stream, "A->C", greedy, SENTENCES, sure)
    mask = np.zeros((6, 2), bool)
    mask[4:] = True  # 3 of 4 words, 1 of 2 sentences
    values = score(stream, "A->C", SENTENCES, answers, mask)
    log_tiny = math.log(np.finfo("float32").tiny)
    assert values == pytest.approx(
        {
            "accuracy_aligned": 3 / 4,
            "accuracy_teacher_forced": 3 / 4,
            "exact_match_aligned": 1 / 2,
            "exact_match_teacher_forced": 1 / 2,
            "log_probability": log_tiny / 4,
            "probability": 3 / 4,
            "brier_score": 2 / 4,
            "rank": (3 * 1 + 2.5) / 4,
            "log_probability_in_language": log_tiny / 4,
            "accuracy_in_language": 3 / 4,
            "num_words": 4.0,
            "error_other_target_word": 1 / 4,
            **dict.fromkeys(
                (
                    "error_pivot_word",
                    "error_composed_word",
                    "error_source_copy",
                    "error_other_language",
                    "error_broken_format",
                ),
                0.0,
            ),
        },
        rel=1e-6,
    )
    mask[5, 0] = False  # now some sentences count in part
    values = score(stream, "A->C", SENTENCES, answers, mask)
    assert values["accuracy_aligned"] == 1.0
    assert "exact_match_aligned" not in values
