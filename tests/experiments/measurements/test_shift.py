"""Lemma 2 on embeddings whose deltas are known, and on a miniature stream."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops

from experiments.measurements import linear_models, shift
from experiments.measurements.shifted_prompts import (
    derange,
    draw_prompts,
    gpt_forward,
    greedy_answers,
    leave_one_out,
    lsa_forward,
    place,
    token_table,
    word_shifts,
)
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.linear_attention import build_linear_gpt
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import build_stream

pytestmark = pytest.mark.backend
LENGTH = 3


def draw_stream(**pairs):
    given = {"A->B": 60, "B->C": 60, "A->C": 10} | pairs
    components = tuple(Component(*item) for item in given.items())
    mixture = Mixture(components, alphabet_size=5, sentence_length=LENGTH)
    return build_stream(mixture, "words", 24, np.random.default_rng(0))


@pytest.fixture(scope="module")
def stream():
    return draw_stream()


def randomise(model):
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.normal(size=variable.shape) / 2)
    return model


def b_tokens(prompts, stream):
    """The prompt of B->C that answers the same."""
    mapping = stream.mapping("A->B")
    tokens = prompts.tokens.copy()
    words = mapping.translate(prompts.words)
    tokens[:, prompts.places] = stream.vocabulary.ids(mapping.target, words)
    return tokens


def test_prompts_hold_the_words_where_they_say(stream):
    rng = np.random.default_rng(0)
    prompts = draw_prompts(stream, 20, 1, rng)
    mapping, ids = stream.mapping("A->C"), stream.vocabulary.ids
    found = prompts.tokens[:, prompts.places]
    np.testing.assert_array_equal(found, ids(mapping.source, prompts.words))
    # a a a . c c c | a a a . c c: answers are given at 11, 12, 13.
    assert prompts.tokens.shape == (20, 14)
    np.testing.assert_array_equal(prompts.places, [0, 1, 2, 8, 9, 10])
    np.testing.assert_array_equal(prompts.answers, [11, 12, 13])
    asked = prompts.words[:, LENGTH:]
    expected = ids(mapping.target, mapping.translate(asked))
    np.testing.assert_array_equal(prompts.target, expected)
    shown = stream.sentences["A->C"].tolist()
    assert not any(words in shown for words in asked.tolist())


@pytest.mark.parametrize("kind", ["gpt", "lsa"])
def test_exact_deltas_are_the_prompt_of_b(stream, kind):
    size, length = stream.vocabulary.size, stream.inputs.shape[1]
    if kind == "lsa":
        model = randomise(build_linear_gpt(size, length, 8))
        forward = lsa_forward(model)
    else:
        config = GPTConfig(size, length, 1, 2, 4, num_unused_classes=0)
        model = randomise(config.build())
        forward = gpt_forward(model)
    prompts = draw_prompts(stream, 8, 1, np.random.default_rng(0))
    shifts = word_shifts(token_table(model), stream)
    exact = place(shifts[np.arange(5), np.arange(5)], prompts)
    for delta, tokens in (
        (np.zeros_like(exact), prompts.tokens),
        (exact, b_tokens(prompts, stream)),
    ):
        expected = ops.convert_to_numpy(model(tokens))
        found = forward(prompts.tokens, delta)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def nearest_word_model(table, stream):
    """Answers with the translation of the nearest word: A to B, B to C."""
    ids = stream.vocabulary.ids
    answers = np.zeros(len(table), int)
    for label in ("A->B", "B->C"):
        mapping, words = stream.mapping(label), np.arange(5)
        answers[ids(mapping.source, words)] = ids(
            mapping.target, mapping.translate(words)
        )

    def forward(tokens, delta):
        z = table[tokens] + delta
        distances = ((z[:, :, None] - table) ** 2).sum(axis=-1)
        nearest = distances.argmin(axis=-1)
        logits = np.zeros((*tokens.shape, len(table)))
        for position in range(LENGTH + 1, tokens.shape[1] + 1):
            source = answers[nearest[:, position - LENGTH - 1]]
            logits[np.arange(len(tokens)), position - 1, source] = 1
        return logits

    return forward


@pytest.mark.parametrize("has_one_delta", [True, False])
def test_one_delta_helps_where_there_is_one(stream, has_one_delta):
    rng = np.random.default_rng(1)
    table = rng.normal(size=(stream.vocabulary.size, 40))
    mapping, ids = stream.mapping("A->B"), stream.vocabulary.ids
    words = np.arange(5)
    a = table[ids(mapping.source, words)]
    b_ids = ids(mapping.target, mapping.translate(words))
    vector = 3 * rng.normal(size=40)
    if has_one_delta:
        table[b_ids] = a + vector
    else:
        # The mean over the other words leads to the middle of them.
        table[b_ids] = 10 * rng.normal(size=(5, 40))
    forward = nearest_word_model(table, stream)
    rows = shift.shift_rows("x", forward, table, stream, rng, vector)
    found = {row[2:4]: row[4] for row in rows}
    for prompt in ("0_demonstrations", "2_demonstrations"):
        assert found[prompt, "greedy_none"] == 0  # B words
        assert found[prompt, "greedy_exact"] == 1
        assert found[prompt, "greedy_other_word"] == 0
        assert found[prompt, "greedy_shuffled"] < 0.5
        if has_one_delta:
            assert found[prompt, "greedy_mean"] == 1
            assert found[prompt, "greedy_solved"] == 1
        else:
            assert found[prompt, "greedy_mean"] < 0.5


def test_greedy_answers_read_themselves(stream):
    # A model that says the id after the one it reads.
    def forward(tokens, delta):
        return np.eye(40)[tokens + 1]

    prompts = draw_prompts(stream, 4, 0, np.random.default_rng(0))
    delta = np.zeros((4, prompts.tokens.shape[1], 1))
    answers = greedy_answers(forward, prompts, delta, 40)
    separator = prompts.tokens[:, LENGTH]
    expected = separator[:, None] + np.arange(1, LENGTH + 1)
    np.testing.assert_array_equal(answers, expected)


def test_the_word_itself_is_left_out():
    exact = np.array([[0.0], [3.0], [9.0]])
    np.testing.assert_allclose(leave_one_out(exact), [[6], [4.5], [1.5]])


def test_a_derangement_moves_everything():
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = derange(4, rng)
        assert sorted(moved) == [0, 1, 2, 3]
        assert not np.any(moved == np.arange(4))


@pytest.mark.slow
def test_linear_attention_learns_a_mapping():
    # A positive control of the training: one mapping, sentences not shown.
    rng = np.random.default_rng(0)
    mixture = Mixture(
        (Component("A->B", 200),), alphabet_size=6, sentence_length=LENGTH
    )
    stream = build_stream(mixture, "words", 24, rng)
    model = linear_models.train_linear_gpt(stream, 300, rng)
    accuracy = linear_models.teacher_forced_accuracy(
        model, stream, "A->B", 1, 100, rng
    )
    assert accuracy > 0.8  # 0.89 to 0.91 by the seed; rounding moves it, too
    fresh = build_linear_gpt(stream.vocabulary.size, 24)
    untrained = linear_models.teacher_forced_accuracy(
        fresh, stream, "A->B", 1, 100, rng
    )
    assert untrained < 0.5


def test_nothing_is_unseen_where_all_was_shown():
    stream = draw_stream(**{"A->C": 2000})
    with pytest.raises(ValueError, match="all of 60 shown in A->C"):
        draw_prompts(stream, 10, 1, np.random.default_rng(0))


@pytest.mark.slow
def test_measures_a_miniature(monkeypatch, stream):
    models = {
        "lsa": (True, "linear", 1),
        "softmax": (True, "softmax", 1),
    }
    monkeypatch.setattr(shift, "MODELS", models)
    monkeypatch.setattr(shift, "NUM_UPDATES", 30)
    config = GPTConfig(
        stream.vocabulary.size, 24, 1, 2, 4, num_unused_classes=0
    )
    data = SimpleNamespace(stream=stream)
    run = SimpleNamespace(model=randomise(config.build()), data=data)
    rows = shift.measure({shift.NEEDS[0]: run}, 3)
    found = {row[:4]: row[4] for row in rows}
    assert len(found) == len(rows)
    assert all(
        math.isfinite(x) and isinstance(x, float) for x in found.values()
    )
    two = "2_demonstrations"
    for label in shift.LABELS:
        for tier in models:
            key = label, tier, two, "accuracy_teacher_forced"
            assert 0 <= found[key] <= 1
    for kind in ("matched", "shuffled"):
        assert 0 < found["A->C", "lsa", kind, "residual"] <= 1
        for name in ("residual_over_f_answers", "output_difference"):
            assert found["A->C", "lsa", kind, name] > 0
    # Far below what a vector of this length leaves that was not solved for.
    solved, mean = (
        found["A->C", "lsa", kind, "residual_over_f"]
        for kind in ("solved", "mean")
    )
    assert solved < mean / 10
    for prompt in ("0_demonstrations", two):
        assert ("A->C", "gpt", prompt, "greedy_mean") in found
        assert ("A->C", "lsa", prompt, "greedy_solved") in found
    assert shift.measure({shift.NEEDS[0]: run}, 3) == rows
