"""Tests for tiny_gpt/evaluate.py."""

import numpy as np
import pytest

from tiny_gpt.evaluate import EvaluationConfig, evaluation_callbacks, task_name
from tiny_gpt.mixture import Component, Mixture
from tiny_gpt.model import GPTConfig, build_gpt, initialise_weights
from tiny_gpt.stream import build_stream

pytestmark = pytest.mark.backend

MIXTURE = Mixture((Component("A->B", 4), Component("B->C", 4)))
LABELS = ("A->B", "A->C")


def build(config, kind="words"):
    stream = build_stream(MIXTURE, kind, 30, np.random.default_rng(0))
    model = build_gpt(
        GPTConfig(
            vocabulary_size=stream.vocabulary.size,
            sequence_length=30,
            num_layers=1,
            num_heads=1,
            head_dim=4,
        )
    )
    initialise_weights(model, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    callbacks = evaluation_callbacks(config, model, stream, LABELS, rng)
    for callback in callbacks:
        callback.set_model(model)
        callback.set_params({"epochs": 9})
    return stream, model, callbacks


def ask(callbacks, epoch=0):
    logs = {}
    for callback in callbacks:
        callback.on_epoch_end(epoch, logs)
    return logs


def answer_always(model, stream, language, symbol):
    """Makes a words model answer one word, whatever it is asked."""
    word = stream.languages[language].symbols[symbol]
    head = model.get_layer("head")
    kernel, bias = head.get_weights()
    bias[stream.vocabulary.tokens.index(word)] = 1e6
    head.set_weights([kernel, bias])


def test_one_word_for_all_is_chance():
    # A right answer holds a given word of its language with probability 1/2,
    # so always that word is right in 1/8 of the places: 1000 sentences have
    # standard error sqrt(1/2 * 1/2 / 1000) / 4 = 0.0040. No sentence is right.
    config = EvaluationConfig("cached", 1000, 1, num_fresh_sentences=0)
    stream, model, callbacks = build(config)
    answer_always(model, stream, "B", 3)
    logs = ask(callbacks)
    assert abs(logs["a_to_b_accuracy_aligned"] - 1 / 8) < 4 * 0.0040
    assert logs["a_to_b_exact_match_aligned"] == 0.0
    assert logs["a_to_c_accuracy_aligned"] == 0.0  # no C word


def test_the_fixed_sample_stays_and_the_fresh_one_changes():
    config = EvaluationConfig("published", 40, 1, num_fresh_sentences=40)
    stream, model, callbacks = build(config)
    answer_always(model, stream, "B", 3)
    epochs = [ask(callbacks, epoch) for epoch in range(3)]
    fixed = [log["a_to_b_accuracy_published"] for log in epochs]
    fresh = [log["a_to_b_accuracy_published_40"] for log in epochs]
    assert len(set(fixed)) == 1
    assert len(set(fresh)) > 1
    again = ask(build(config)[2], 0)  # not the same model: only the keys
    assert set(again) == set(epochs[0])


def test_fresh_sentences_are_a_function_of_the_epoch():
    # A continued run asks what the first would have asked.
    config = EvaluationConfig("published", 1, 0, num_fresh_sentences=5)
    first, second = build(config)[2][1], build(config)[2][1]
    first._tasks_at(1)
    for name in ("a_to_b", "a_to_c"):
        for a, b in zip(
            first._tasks_at(2)[name], second._tasks_at(2)[name], strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_names_say_how_it_was_decoded():
    assert EvaluationConfig("cached").metrics == (
        "accuracy_aligned",
        "exact_match_aligned",
        "accuracy_aligned_5",
    )
    assert EvaluationConfig().accuracy == "accuracy_published"
    assert EvaluationConfig().prompt == "6_demonstrations"
    assert task_name("A->C") == "a_to_c"


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"decoding": "beam"}, "decoding='beam'"),
        ({"num_sentences": 0}, "num_sentences=0"),
        ({"num_demonstrations": -1}, "num_demonstrations=-1"),
        ({"num_fresh_sentences": -1}, "num_fresh_sentences=-1"),
        ({"every": 0}, "every=0"),
    ],
)
def test_an_impossible_evaluation_is_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        EvaluationConfig(**arguments)
