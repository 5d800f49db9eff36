"""Tests for chains, "A->B->C": text that is translated step by step."""

import dataclasses

import numpy as np
import pytest

from tiny_gpt.evaluation.data import ANSWER, BETWEEN, NOT_SCORED, SOURCE
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.evaluation.every_sentence import Prompt
from tiny_gpt.tasks.translation.languages import (
    Language,
    Mapping,
    chain,
    names_in,
    steps_of,
)
from tiny_gpt.tasks.translation.mixture import (
    LETTERS_DIGITS_PUNCTUATION,
    Component,
    Mixture,
)
from tiny_gpt.tasks.translation.prompts import exact_prompts, sample_prompts
from tiny_gpt.tasks.translation.stream import build_stream
from tiny_gpt.tasks.translation.task import Translation
from tiny_gpt.tasks.translation.tiers import find_tiers
from tiny_gpt.tasks.translation.vocabulary import (
    Vocabulary,
    tokens_per_answer,
    tokens_per_pair,
)

A = Language("A", ("a", "b", "c"))
B = Language("B", ("p", "q", "r"))
C = Language("C", ("x", "y", "z"))
A_TO_B = Mapping(A, B, (1, 2, 0))  # a->q, b->r, c->p
B_TO_C = Mapping(B, C, (2, 1, 0))  # p->z, q->y, r->x
STEPS = chain([A_TO_B, B_TO_C])
SENTENCES = np.array([[0, 2], [1, 0]])  # a c, b a
KINDS = ("words", "characters")
LABEL = "A->B->C"
MIXTURE = Mixture(
    (Component("A->B", 3), Component(LABEL, 4), Component("A->C", 2))
)
TASK = Translation(MIXTURE, ("A->B", "A->C", LABEL), tokens="words")


def build(mixture=MIXTURE, kind="words", length=29):
    return build_stream(mixture, kind, length, np.random.default_rng(0))


def test_a_chain_is_the_composition_with_its_steps():
    # a->q->y, b->r->x, c->p->z.
    assert STEPS.label == LABEL
    assert (STEPS.source, STEPS.target) == (A, C)
    assert STEPS.permutation == (1, 0, 2)
    assert [step.label for step in STEPS.before] == ["A->B"]
    assert chain([A_TO_B]) == A_TO_B
    home = chain([A_TO_B, B_TO_C, STEPS.inverse()])
    assert home.label == "A->B->C->A"
    assert home.permutation == (0, 1, 2)
    assert [step.permutation for step in home.before] == [(1, 2, 0), (1, 0, 2)]


def test_a_label_has_languages_and_steps():
    assert names_in(LABEL) == ("A", "B", "C")
    assert steps_of(LABEL) == ("A->B", "B->C")
    assert steps_of("A->B") == ("A->B",)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_writes_every_step(kind):
    vocabulary = Vocabulary(kind, (A, B, C))
    pairs = vocabulary.encode_pairs(STEPS, SENTENCES)
    assert vocabulary.decode(pairs[0]) == "a c . q p . y z |"
    query = vocabulary.encode_queries(STEPS, SENTENCES)
    assert vocabulary.decode(query[1]) == "b a ."
    answer = vocabulary.encode_answers(STEPS, SENTENCES)
    assert vocabulary.decode(answer[1]) == "r q . x y"
    end = vocabulary.tokens_per_word
    np.testing.assert_array_equal(
        np.concatenate([query, answer], axis=1), pairs[:, :-end]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_last_sentence(kind):
    by_word = [SOURCE] * 2 + [BETWEEN] * 4 + [ANSWER] * 2 + [BETWEEN]
    vocabulary = Vocabulary(kind, (A, B, C))
    per_word = vocabulary.tokens_per_word
    kinds = vocabulary.kinds_by_place(STEPS, 2)
    np.testing.assert_array_equal(kinds, np.repeat(by_word, per_word))


@pytest.mark.parametrize(
    ("kind", "per_word"), [("words", 1), ("characters", 2)]
)
def test_lengths_of_chains(kind, per_word):
    # Sentences of 4: 5 words for each but the last, and 5 with its end.
    for num_steps in (1, 2, 3):
        answer, pair = (
            function(MIXTURE, kind, num_steps=num_steps)
            for function in (tokens_per_answer, tokens_per_pair)
        )
        assert answer == (5 * num_steps - 1) * per_word
        assert pair == (5 * num_steps + 5) * per_word
    stream = build(kind=kind)
    shown = stream.vocabulary.encode_pairs(
        stream.mapping(LABEL), stream.sentences[LABEL]
    )
    assert shown.shape == (4, tokens_per_pair(MIXTURE, kind, num_steps=2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [13, 29, 50])
def test_every_target_has_its_place(kind, length):
    # 3 pairs of 10 words, 4 chains of 15, 2 pairs of 10.
    stream = build(kind=kind, length=length)
    per_word = stream.vocabulary.tokens_per_word
    expected = [
        (index, place)
        for index, (number, size) in enumerate([(3, 10), (4, 15), (2, 10)])
        for _ in range(number)
        for place in range(size * per_word)
    ]
    (num_windows,) = dataclasses.replace(TASK, tokens=kind).num_windows(length)
    missing = num_windows * (length + 1) - len(expected)
    full = (num_windows - 1) * (length + 1)
    expected[full:full] = [(-1, -1)] * missing
    expected = np.reshape(expected, (num_windows, length + 1, 2))[:, 1:]
    given = np.stack([stream.components, stream.places], axis=-1)
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_windows_of_a_chain(kind):
    # 3 pairs of 10 words fill 2 windows, and each chain one of its own.
    per_word = 2 if kind == "characters" else 1
    by_word = [SOURCE] * 4 + [BETWEEN] * 6 + [ANSWER] * 4 + [BETWEEN]
    expected = np.repeat(by_word, per_word)[1:]
    task = dataclasses.replace(TASK, tokens=kind)
    rng = np.random.default_rng(1)
    (data,) = task.draw(15 * per_word - 1, rng)
    fresh = data.fresh_windows(LABEL, 6, rng)
    for windows, number in ((data.windows()[LABEL], 4), (fresh, 6)):
        kinds = np.tile(expected, (number, 1))
        np.testing.assert_array_equal(windows.kinds, kinds)

    steps = [data.stream.mapping(step) for step in steps_of(LABEL)]
    rows = np.concatenate([fresh.inputs[:, :1], fresh.targets], axis=1)
    for row in rows:
        text = data.stream.vocabulary.decode(row).removesuffix(" |")
        sentences = [part.split() for part in text.split(" . ")]
        assert len(sentences) == 3
        for step, before, after in zip(
            steps, sentences[:2], sentences[1:], strict=True
        ):
            words = step.translate(
                [step.source.symbols.index(w) for w in before]
            )
            assert [step.target.symbols[i] for i in words] == after


def test_held_out_words_occur_in_no_sentence_of_a_chain():
    component = Component(LABEL, 90, num_held_out=3)
    mixture = Mixture((Component("B->C", 9), component))
    stream = build(mixture)
    shown = stream.targets[stream.components == 1]
    # Given mappings pair words by position.
    for name in "ABC":
        words = stream.vocabulary.ids(stream.languages[name], np.arange(8))
        assert set(shown) & set(words) == set(words[3:])
    sentences = np.arange(8).reshape(2, 4)
    for label in (LABEL, "A->C", "B->C"):
        mask = find_tiers(stream, label, sentences)["held_out_words"]
        np.testing.assert_array_equal(mask, sentences < 3)


def test_a_chain_takes_its_steps_as_they_are():
    mixture = dataclasses.replace(
        MIXTURE,
        given=("A->D", "D->B", "B->C"),
        scrambled=("A->B", "A->C"),
        characters=LETTERS_DIGITS_PUNCTUATION,
    )
    stream = build(mixture)
    steps = stream.mapping(LABEL)
    assert steps.before == (stream.scrambled["A->B"],)
    # B->C pairs by position, A->C is another mapping.
    assert steps.permutation == stream.scrambled["A->B"].permutation
    assert steps.permutation != stream.mapping("A->C").permutation


def test_a_question_scores_the_last_sentence():
    (data,) = TASK.draw(45, np.random.default_rng(0))
    again = [np.random.default_rng(1) for _ in range(2)]
    questions, answers = data.sample_questions(LABEL, 5, 1, again[0])
    prompts, right = sample_prompts(data.stream, LABEL, 5, 1, again[1])
    assert questions.shape == (5, 15 + 5)
    assert answers.shape == (5, TASK.answer_length) == (5, 9)
    np.testing.assert_array_equal(questions, prompts)
    np.testing.assert_array_equal(answers[:, 5:], right[:, 5:])
    assert (answers[:, :5] == NOT_SCORED).all()
    _, direct = data.sample_questions("A->C", 5, 1, again[0])
    assert direct.shape == (5, 4)
    assert (direct != NOT_SCORED).all()


@pytest.mark.parametrize(
    ("tokens", "needed"), [("words", 28), ("characters", 57)]
)
def test_a_chain_needs_a_wider_window(tokens, needed):
    # 15 + 5 + 9 words, but for the last token of the answer.
    task = dataclasses.replace(TASK, tokens=tokens)
    config = EvaluationConfig("cached", 8, 1, exact_demonstrations=(1,))
    task.check(needed, config)
    with pytest.raises(ValueError, match=f"= {needed}"):
        task.check(needed - 1, config)
    # Shown and not asked, it needs nothing: 10 + 5 + 4 words.
    shown = dataclasses.replace(task, eval_mappings=("A->C",))
    shown.check(18 if tokens == "words" else 37, config)


def test_direct_and_step_by_step_are_rivals():
    labels = ("B->C", "A->C", LABEL)
    asked = labels, (1,), True
    assert exact_prompts("A->C", *asked) == [Prompt(1), Prompt(1, LABEL)]
    assert exact_prompts(LABEL, *asked) == [Prompt(1), Prompt(1, "A->C")]
    assert exact_prompts("B->C", *asked) == [Prompt(1)]


def test_no_floor_is_known_of_chains():
    assert TASK.floors(45) == {}
    with pytest.raises(ValueError, match=f"Received: .*{LABEL}"):
        TASK.packing(45)
    # A chain without pairs is not in the text.
    components = (Component("A->B", 3), Component(LABEL, 0))
    mixture = dataclasses.replace(MIXTURE, components=components)
    assert dataclasses.replace(TASK, mixture=mixture).floors(45)["told"] > 0


def test_a_chain_has_baselines_of_its_own():
    # 1680 sentences, 4 of them shown; chance is 1/8.
    found = TASK.baselines()
    share = 1 - (1 - 1 / 1680) ** 4
    memoriser = found["memoriser"]
    assert memoriser[LABEL] == pytest.approx(share + (1 - share) / 8)
    assert memoriser["A->B"] != memoriser[LABEL] != memoriser["A->C"]
    assert found["chance"][LABEL] == 1 / 8


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"pivots": (LABEL,)}, f"one name. Received: '{LABEL}'"),
        ({"pivots": (LABEL,), "eval_mappings": ("A->C",)}, "one name"),
        ({"has_target_tag": True}, "first step"),
        ({"eval_mappings": ("A->B->D",)}, "'B->D'"),
        ({"eval_mappings": ("A->B->",)}, "labelled 'X->Y'"),
    ],
)
def test_what_a_chain_cannot_be_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(TASK, **changes)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"components": (Component("A->B->D", 1),)}, "'B->D'"),
        ({"scrambled": (LABEL,)}, "labelled 'X->Y'"),
        ({"given": ("A->B", LABEL)}, "labelled 'X->Y'"),
    ],
)
def test_an_impossible_mixture_of_chains_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(MIXTURE, **changes)
