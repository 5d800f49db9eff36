"""Tests for tiny_gpt/evaluation/every_sentence.py."""

import functools
import itertools

import numpy as np
import pytest
from keras import ops

from tiny_gpt.evaluation import every_sentence
from tiny_gpt.evaluation.every_sentence import (
    CompiledAnswers,
    ExactEvaluator,
    Prompt,
    readable_ids,
)
from tiny_gpt.evaluation.greedy import GreedyDecoder
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.runtime.programs import compile_for_model as compile_it
from tiny_gpt.tasks.translation.every_sentence import SentenceEvaluator
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import all_sentences, build_stream

pytestmark = pytest.mark.backend

# 4 words, sentences of 2: 12 questions; a pair is 6 words.
MIXTURE = Mixture(
    (Component("A->B", 4), Component("A->C", 4)),
    alphabet_size=4,
    sentence_length=2,
)
ONE = Prompt(1)
# A pair, a query of 3 words and an answer of 2, but for its last token.
FITS = {"words": 10, "characters": 21}


@functools.cache
def built(kind, sequence_length):
    """As `build`; nobody may change it."""
    return build(kind, sequence_length)


@functools.cache
def answers_of(model, num_tokens, sizes):
    return CompiledAnswers(model, num_tokens, *sizes)


def build(kind, sequence_length):
    """A random network far from uniform, whose unused class often wins."""
    rng = np.random.default_rng(0)
    stream = build_stream(MIXTURE, kind, sequence_length, rng)
    config = GPTConfig(
        vocabulary_size=stream.vocabulary.size,
        sequence_length=sequence_length,
        num_layers=1,
        num_heads=2,
        head_dim=4,
        normalization="pre",
    )
    model = config.build()
    initialise_weights(model, np.random.default_rng(1))
    rng = np.random.default_rng(3)
    for v in model.variables:
        if v.name in ("kernel", "token_table"):
            v.assign(rng.normal(scale=0.8, size=v.shape))
    head = model.get_layer("head")
    kernel, bias = head.get_weights()
    bias[stream.vocabulary.size] = 2.0
    head.set_weights([kernel, bias])
    return stream, model


def sizes_of(stream):
    return stream.vocabulary.size, stream.inputs.shape[1]


def evaluator_of(model, stream, **options):
    per_word = stream.vocabulary.tokens_per_word
    num_tokens = MIXTURE.sentence_length * per_word
    compiled = answers_of(model, num_tokens, sizes_of(stream))
    evaluator = ExactEvaluator(compiled, model, **options)
    return SentenceEvaluator(evaluator, stream)


def ask(evaluator, label="A->C", prompt=ONE):
    return evaluator.ask(label, prompt, np.random.default_rng(3))


def questions(evaluator, label="A->C", prompt=ONE):
    rng = np.random.default_rng(3)
    return evaluator.questions(label, prompt, rng, all_sentences(4, 2))


@pytest.mark.parametrize("kind", FITS)
def test_greedy_answers_are_those_of_the_decoder(kind):
    stream, model = built(kind, FITS[kind])
    evaluator = evaluator_of(model, stream, batch_size=5)
    answers, prompts = ask(evaluator), questions(evaluator)
    target = answers.target
    num_tokens = target.shape[1]
    decoder = GreedyDecoder(model, "aligned", num_tokens, *sizes_of(stream))
    expected = decoder(prompts)
    np.testing.assert_array_equal(answers.greedy, expected)
    # It can fail: the own answer is read, and differs from the right one.
    is_unused = expected == stream.vocabulary.size
    assert is_unused[:, :-1].any()
    assert (expected != answers.probabilities.argmax(axis=-1)).any()

    # Answers that are declared right are not generated, and stay.
    are_right = ~is_unused.any(axis=1)
    assert 0 < are_right.sum() < len(target)
    target = np.where(are_right[:, None], expected, target)
    again = evaluator.evaluator.answer(prompts, target)
    np.testing.assert_array_equal(again.greedy, expected)
    np.testing.assert_array_equal(
        again.probabilities[are_right].argmax(axis=-1), expected[are_right]
    )

    # An answer may go wrong before a token that would have been right.
    forced = answers.probabilities.argmax(axis=-1)
    target = np.where(np.arange(target.shape[1]) > 0, forced, answers.target)
    target[target == stream.vocabulary.size] = 0
    again = evaluator.evaluator.answer(prompts, target)
    np.testing.assert_array_equal(again.greedy, expected)


@pytest.mark.parametrize("kind", FITS)
def test_probabilities_follow_the_right_answer_so_far(kind):
    stream, model = built(kind, FITS[kind] + 1)
    evaluator = evaluator_of(model, stream)
    answers = ask(evaluator)
    prompts = questions(evaluator)
    tokens = np.concatenate([prompts, answers.target], axis=1)
    logits = model.predict_on_batch(tokens).astype("float64")
    exponentials = np.exp(logits[:, prompts.shape[1] - 1 : -1])
    expected = exponentials / exponentials.sum(axis=-1, keepdims=True)
    assert answers.probabilities.shape == expected.shape
    np.testing.assert_allclose(
        answers.probabilities, expected, rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("kind", FITS)
def test_what_stands_on_the_right_changes_nothing(kind):
    # The same network with positions to spare, and other batches.
    stream, model = built(kind, FITS[kind])
    wide_stream, wide = build(kind, FITS[kind] + 6)
    for one, other in zip(model.variables, wide.variables, strict=True):
        value = ops.convert_to_numpy(one)
        table = ops.convert_to_numpy(other).copy()
        table[: len(value)] = value
        other.assign(table)
    answers = ask(evaluator_of(model, stream, batch_size=5))
    filled = ask(evaluator_of(wide, wide_stream, batch_size=12))
    np.testing.assert_array_equal(answers.greedy, filled.greedy)
    np.testing.assert_allclose(
        answers.probabilities, filled.probabilities, rtol=1e-4, atol=1e-7
    )
    assert answers.probabilities.std() > 0.01


@pytest.mark.slow
def test_prompts_of_one_length_are_compiled_once(monkeypatch):
    traced = []

    def compile_for_model(model, function):
        def spy(*arguments):
            traced.append(arguments)
            return function(*arguments)

        return compile_it(model, spy)

    monkeypatch.setattr(every_sentence, "compile_for_model", compile_for_model)
    stream, model = build("words", 30)
    evaluator = evaluator_of(model, stream, batch_size=5)
    for number in (3, 1, 3, 1):
        ask(evaluator, prompt=Prompt(number))
    assert len(traced) == 2


def test_every_sentence_is_asked_once():
    stream, model = built("words", FITS["words"])
    evaluator = evaluator_of(model, stream)
    answers, asked = ask(evaluator), evaluator.sentences()
    sentences = {tuple(row) for row in asked}
    assert len(asked) == len(sentences) == 4 * 3
    assert all(len(set(row)) == 2 for row in sentences)
    vocabulary, a_to_c = stream.vocabulary, stream.mapping("A->C")
    for sentence, target in zip(asked, answers.target, strict=True):
        given = vocabulary.decode(target).split()
        translated = a_to_c.translate(sentence)
        assert given == [a_to_c.target.symbols[i] for i in translated]


@pytest.mark.parametrize("kind", FITS)
def test_fewer_demonstrations_are_the_last_of_more(kind):
    stream, model = built(kind, 60)
    evaluator = evaluator_of(model, stream)
    prompts = [
        questions(evaluator, prompt=Prompt(number)) for number in range(4)
    ]
    pair = prompts[1].shape[1] - prompts[0].shape[1]
    for few, more in itertools.pairwise(prompts):
        np.testing.assert_array_equal(more[:, pair:], few)
    # Demonstrations differ from question to question, and from each other.
    assert len({tuple(row) for row in prompts[1][:, :pair]}) > 1
    assert (prompts[2][:, :pair] != prompts[2][:, pair : 2 * pair]).any()


def test_another_mapping_is_demonstrated_with_the_same_sentences():
    stream, model = built("words", FITS["words"])
    evaluator = evaluator_of(model, stream)
    own = questions(evaluator, "A->C")
    other = questions(evaluator, "A->C", Prompt(1, "A->B"))
    same = [0, 1, 2, 5, 6, 7, 8]  # `a a . x x | a a .`
    np.testing.assert_array_equal(own[:, same], other[:, same])
    for prompts, name in ((own, "C"), (other, "B")):
        ids = stream.vocabulary.ids(stream.languages[name], np.arange(4))
        assert np.isin(prompts[:, 3:5], ids).all()
    np.testing.assert_array_equal(
        other, questions(evaluator, "A->B", Prompt(1))
    )


def test_a_prompt_has_a_name():
    assert Prompt(0).name == "0_demonstrations"
    assert Prompt(2, "A->B").name == "2_demonstrations_of_A->B"


def test_an_id_beyond_the_vocabulary_is_read_as_unknown():
    ids = readable_ids(np.array([[0, 10], [11, 12]]), 11)
    np.testing.assert_array_equal(ids, [[0, 10], [0, 0]])


@pytest.mark.parametrize("kind", FITS)
def test_what_does_not_fit_is_refused(kind):
    stream, model = built(kind, FITS[kind] - 1)
    with pytest.raises(ValueError, match=f"- 1 = {FITS[kind]}"):
        ask(evaluator_of(model, stream))
