"""Tests for the scores of chains, of a model that answers step by step."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.translator import MIXTURE, Answering, build, rows_of
from tiny_gpt.evaluation.evaluate import (
    EvaluationConfig,
    evaluate_exactly,
    evaluation_callbacks,
)
from tiny_gpt.evaluation.every_sentence import Prompt
from tiny_gpt.tasks.translation.data import TranslationData
from tiny_gpt.tasks.translation.mixture import Component

pytestmark = pytest.mark.backend

KINDS = ("words", "characters")
LABEL = "A->B->C"
CHAINS = dataclasses.replace(
    MIXTURE, components=(*MIXTURE.components, Component(LABEL, 1))
)
ONE = Prompt(1)
# Right of 3 words: C greedy and after the right B words, B greedy.
CASES = {
    "all right": ({}, 1, 1, 1),
    "two B words wrong": ({"A": "B1 B0 B2"}, 1 / 3, 1, 1 / 3),
    "two C words wrong": ({"B": "C1 C0 C2"}, 1 / 3, 1 / 3, 1),
    # A0 -> B1 -> C0: what counts is the end.
    "errors undone": ({"A": "B1 B0 B2", "B": "C1 C0 C2"}, 1, 1 / 3, 1 / 3),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("said", "own", "forced", "way"), CASES.values())
def test_the_end_of_a_chain_counts(kind, said, own, forced, way):
    _, evaluator = build(kind, CHAINS, num_words=5, **said)
    rows = rows_of(evaluator, LABEL, ONE, Prompt(0))
    at = "all_sentences", ONE.name
    assert rows[*at, "accuracy_aligned"] == pytest.approx(own)
    assert rows[*at, "accuracy_teacher_forced"] == pytest.approx(forced)
    # A table has no memory: its first step is the same, forced or not.
    for how in ("aligned", "teacher_forced"):
        found = rows[*at, f"intermediate_accuracy_{how}"]
        assert found == pytest.approx(way)
    assert rows[*at, "error_other_target_word"] == pytest.approx(1 - own)
    assert rows[*at, "num_words"] == 12
    # One sentence was shown: 2 words, and 2 of the way.
    assert rows["seen_sentences", "1_demonstrations", "num_words"] == 2
    short = {m for t, p, m in rows if p == "0_demonstrations"}
    assert "intermediate_accuracy_aligned" in short


@pytest.mark.parametrize("kind", KINDS)
def test_shorter_answers_are_cut(kind):
    # A direct question, to a model that answers every question with 5 words.
    short, long = (build(kind, CHAINS, num_words=n)[1] for n in (2, 5))
    for label in ("A->B", "A->C"):
        rows = rows_of(long, label, ONE)
        assert rows == pytest.approx(rows_of(short, label, ONE), abs=1e-6)
        assert not any("intermediate" in metric for _, _, metric in rows)
    assert rows["all_sentences", ONE.name, "error_pivot_word"] == 1.0


def test_the_last_tokens_of_an_answer():
    _, evaluator = build("words", CHAINS, num_words=5)
    answers = evaluator.ask(LABEL, ONE, np.random.default_rng(1))
    assert answers.target.shape == (6, 5)
    np.testing.assert_array_equal(answers.greedy, answers.target)
    last = answers.last(2)
    np.testing.assert_array_equal(last.target, answers.target[:, 3:])
    assert last.probabilities.shape[:2] == last.greedy.shape == (6, 2)


def sampled(said, label, **answers):
    """Scores of the questions of each epoch, of a model that says `said`."""
    model, evaluator = build("words", CHAINS, num_words=5, **answers)
    data = TranslationData(evaluator.stream, (label,))
    config = EvaluationConfig("cached", 60, 1, 0, num_loss_windows=0)
    compiled = SimpleNamespace(decode=said or Answering(model, 5, 40).generate)
    (callback,) = evaluation_callbacks(
        config, compiled, data, (label,), np.random.default_rng(0)
    )
    callback.set_model(model)
    callback.set_params({"epochs": 1})
    logs = {}
    callback.on_epoch_end(0, logs)
    return list(logs.values())  # accuracy, exact match


def test_sampled_questions_score_the_end_of_a_chain():
    assert sampled(None, LABEL) == [1.0, 1.0]
    assert sampled(None, "A->B") == [1.0, 1.0]  # of the first two of 5 words
    undone = {"A": "B1 B0 B2", "B": "C1 C0 C2"}
    assert sampled(None, LABEL, **undone) == [1.0, 1.0]
    # Only A2 and C2 are right: 1 word of 3, and no sentence.
    found = sampled(None, LABEL, B="C1 C0 C2")
    assert found[0] == pytest.approx(1 / 3, abs=4 * 0.05)
    assert found[1] == 0.0


def test_bayes_has_no_rows_of_chains():
    _, evaluator = build("words", CHAINS, num_words=5)
    after = Prompt(1, LABEL)

    def has_bayes(label, prompt):
        rows = rows_of(evaluator, label, prompt)
        return any(metric.startswith("bayes") for _, _, metric in rows)

    assert not has_bayes(LABEL, ONE)
    assert not has_bayes("A->C", after)
    # A question may be the beginning of a chain; demonstrations settle it.
    assert not has_bayes("A->C", Prompt(0))
    assert has_bayes("A->C", ONE)
    assert has_bayes("A->C", Prompt(1, "A->B"))


def test_bayes_knows_that_pairs_stand_together():
    components = (
        Component("A->B", 9),
        Component("B->C", 9),
        Component("A->C", 1),
    )
    mixture = dataclasses.replace(
        MIXTURE, components=components, together=("A->B", "B->C")
    )
    _, evaluator = build("words", mixture)
    name = "all_sentences", ONE.name, "bayes_accuracy"
    assert name not in rows_of(evaluator, "A->B", ONE)
    assert name not in rows_of(evaluator, "B->C", ONE)
    assert rows_of(evaluator, "A->C", ONE)[name] == 1.0
    none = "all_sentences", "0_demonstrations", "bayes_probability"
    assert rows_of(evaluator, "A->B", Prompt(0))[none] == 9 / 10


def test_the_exact_evaluation_asks_direct_and_step_by_step():
    model, evaluator = build("words", CHAINS, num_words=5)
    config = EvaluationConfig(
        exact_demonstrations=(1, 0), is_asked_after_others=True
    )
    rows = evaluate_exactly(
        config,
        SimpleNamespace(answers=Answering(model, 5, 40)),
        model,
        TranslationData(evaluator.stream, ("A->C", LABEL)),
        np.random.default_rng(1),
    )
    prompts = {}
    for mapping, _, prompt, _, _ in rows:
        prompts.setdefault(mapping, {})[prompt] = None
    own = ["1_demonstrations", "0_demonstrations"]
    assert {mapping: list(names) for mapping, names in prompts.items()} == {
        "A->C": [*own, f"1_demonstrations_of_{LABEL}"],
        LABEL: [*own, "1_demonstrations_of_A->C"],
    }
