"""Tests for tiny_gpt/evaluation/evaluate.py."""

import itertools
import math

import numpy as np
import pytest

from tiny_gpt.callbacks import LossByTask
from tiny_gpt.evaluation.evaluate import (
    LOSS_KINDS,
    LOSS_TIERS,
    CompiledEvaluation,
    EvaluationConfig,
    evaluation_callbacks,
    task_name,
)
from tiny_gpt.evaluation.every_sentence import Prompt
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.tasks.translation.data import TranslationData
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.prompts import exact_prompts
from tiny_gpt.tasks.translation.stream import build_stream

pytestmark = pytest.mark.backend

MIXTURE = Mixture((Component("A->B", 4), Component("B->C", 4)))
LABELS = ("A->B", "A->C")


def build(config, kind="words", mixture=MIXTURE, length=30):
    stream = build_stream(mixture, kind, length, np.random.default_rng(0))
    network = GPTConfig(
        vocabulary_size=stream.vocabulary.size,
        sequence_length=length,
        num_layers=1,
        num_heads=1,
        head_dim=4,
    )
    model = network.build()
    initialise_weights(model, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    num_tokens = 4 * stream.vocabulary.tokens_per_word
    compiled = CompiledEvaluation(config, model, network, num_tokens)
    data = TranslationData(stream, LABELS)
    callbacks = evaluation_callbacks(config, compiled, data, LABELS, rng)
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


@pytest.mark.slow
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
    metrics = {f"a_to_{x}_{m}" for x in "bc" for m in config.metrics}
    assert set(again) - metrics == loss_keys("a_to_b", "b_to_c")


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


def set_logits(model, stream, **logits):
    """Gives all words of a language one logit, and returns the ln of the sum.

    Everything else has 0, whatever is read.
    """
    bias = np.zeros(stream.vocabulary.size + 1)
    for name, logit in logits.items():
        symbols = stream.vocabulary.ids(stream.languages[name], np.arange(8))
        bias[symbols] = logit
    model.get_layer("head").set_weights([np.zeros((4, len(bias))), bias])
    return math.log(np.exp(bias).sum())


def loss_keys(*names):
    return {
        f"{name}_{tier}_{kind}_loss"
        for name in names
        for tier in LOSS_TIERS
        for kind in LOSS_KINDS
    }


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_losses_by_mapping_and_kind_of_word(kind):
    # The model ignores what it reads: A words have logit 2, B words 1, all
    # else 0, so that a target costs ln(sum of exp) minus its own. A
    # window is one pair but for its first token, which is not a target.
    mixture = Mixture(
        (Component("A->B", 70), Component("B->C", 3), Component("A->C", 0))
    )
    per_word = 2 if kind == "characters" else 1
    length = 10 * per_word - 1
    config = EvaluationConfig("cached", 1, 0, num_fresh_sentences=0)
    stream, model, callbacks = build(config, kind, mixture, length)
    total = set_logits(model, stream, A=2.0, B=1.0)
    num_targets = 4 * per_word - 1  # source tokens but the first,
    num_words = 4 if per_word == 2 else 3  # a space mark or a word
    expected = {}
    for name, source, answer in (("a_to_b", 2.0, 1.0), ("b_to_c", 1.0, 0.0)):
        means = {
            "source_words": source * num_words / num_targets,
            "answer_words": answer / per_word,
            "all_tokens": (source * num_words + answer * 4) / length,
        }
        for tier, (words, mean) in itertools.product(LOSS_TIERS, means.items()):
            expected[f"{name}_{tier}_{words}_loss"] = total - mean
    logs = ask(callbacks)
    given = {key: value for key, value in logs.items() if key[-5:] == "_loss"}
    assert given == pytest.approx(expected, rel=1e-5)
    assert set(given) == loss_keys("a_to_b", "b_to_c")


def test_losses_are_of_each_mappings_own_words():
    # 3 pairs and a half fill a window of 35 words, so that the joint of two
    # mappings lies in one; B words have logit 1. Only B->C has B sources, and
    # only A->B has B answers.
    mixture = Mixture((Component("A->B", 5), Component("B->C", 5)))
    config = EvaluationConfig("cached", 1, 0, num_fresh_sentences=0)
    stream, model, callbacks = build(config, "words", mixture, 34)
    is_joint = [len(set(row) - {-1}) == 2 for row in stream.components]
    assert sum(is_joint) == 1
    total = set_logits(model, stream, B=1.0)
    logs = ask(callbacks)
    for tier in LOSS_TIERS:
        losses = {
            (name, kind): logs[f"{name}_{tier}_{kind}_loss"]
            for name in ("a_to_b", "b_to_c")
            for kind in ("source_words", "answer_words")
        }
        expected = dict.fromkeys(losses, total)
        expected["b_to_c", "source_words"] = total - 1
        expected["a_to_b", "answer_words"] = total - 1
        assert losses == pytest.approx(expected, rel=1e-5)


def test_losses_can_be_left_out():
    config = EvaluationConfig("cached", 1, 0, 0, num_loss_windows=0)
    callbacks = build(config)[2]
    assert not any(isinstance(c, LossByTask) for c in callbacks)


def test_other_prompts_are_asked_where_they_can_mislead():
    labels = ("A->B", "B->C", "A->C", "A->D")
    asked = labels, (2, 1, 0)
    assert exact_prompts("B->C", *asked, False) == [Prompt(2)]
    own = [Prompt(2), Prompt(1), Prompt(0)]
    assert exact_prompts("A->C", *asked, False) == own
    assert exact_prompts("B->C", *asked, True) == [Prompt(2)]
    others = [Prompt(2, "A->B"), Prompt(2, "A->D")]
    assert exact_prompts("A->C", *asked, True) == own + others
    assert exact_prompts("A->C", labels, (), True) == []


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
        ({"num_loss_windows": -1}, "num_loss_windows=-1"),
        ({"exact_demonstrations": (1, -1)}, r"exact_demonstrations=\(1, -1\)"),
    ],
)
def test_an_impossible_evaluation_is_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        EvaluationConfig(**arguments)
