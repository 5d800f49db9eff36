"""Tests for the rows of tiers.py, of a model that translates."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.translator import MIXTURE, Answering, build, rows_of
from tiny_gpt.evaluation.evaluate import EvaluationConfig, evaluate_exactly
from tiny_gpt.evaluation.every_sentence import Prompt
from tiny_gpt.tasks.translation.data import TranslationData
from tiny_gpt.tasks.translation.every_sentence import SentenceEvaluator
from tiny_gpt.tasks.translation.pivots import pivot_rows
from tiny_gpt.tasks.translation.stream import build_stream
from tiny_gpt.tasks.translation.tiers import (
    COMPOSED_METRICS,
    SHORT_METRICS,
    SHORT_TIERS,
    exact_rows,
)

pytestmark = pytest.mark.backend

KINDS = ("words", "characters")


@pytest.mark.parametrize("has_tag", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_who_translates_gets_full_marks(kind, has_tag):
    _, evaluator = build(kind, has_tag=has_tag)
    rows = rows_of(evaluator, "B->C", Prompt(1))
    metrics = {
        metric: value
        for (tier, prompt, metric), value in rows.items()
        if (tier, prompt) == ("all_sentences", "1_demonstrations")
    }
    for how in ("aligned", "teacher_forced"):
        assert metrics.pop(f"accuracy_{how}") == 1.0
        assert metrics.pop(f"exact_match_{how}") == 1.0
    # A softmax in float32, whose last digit differs between processors.
    assert metrics.pop("probability") == pytest.approx(1.0, abs=1e-6)
    assert metrics.pop("rank") == 1.0
    assert metrics.pop("accuracy_in_language") == 1.0
    assert metrics.pop("num_words") == 12.0
    assert metrics.pop("bayes_probability") == 1.0
    assert metrics.pop("bayes_accuracy") == 1.0
    assert len(metrics) == 3 + 6  # log-probabilities, Brier score and errors
    assert list(metrics.values()) == pytest.approx([0.0] * 9, abs=1e-6)
    # One pair of B->C was read: 2 words.
    counts = {t: v for (t, _, m), v in rows.items() if m == "num_words"}
    assert counts["seen_sentences"] == 2.0
    assert counts["unseen_sentences"] == 10.0


@pytest.mark.parametrize("kind", KINDS)
def test_who_answers_with_the_pivot_gets_none(kind):
    rows = rows_of(build(kind)[1], "A->C", Prompt(1))
    for tier in ("all_sentences", "seen_sentences", "unseen_sentences"):
        assert rows[tier, "1_demonstrations", "accuracy_aligned"] == 0.0
        assert rows[tier, "1_demonstrations", "error_pivot_word"] == 1.0


def test_other_prompts_have_fewer_rows():
    rows = rows_of(build()[1], "A->C", Prompt(2), Prompt(0))
    main = {(t, m) for t, p, m in rows if p == "2_demonstrations"}
    short = {(t, m) for t, p, m in rows if p == "0_demonstrations"}
    assert short < main
    errors = {m for _, m in main if m.startswith("error_")}
    bayes = {"bayes_probability", "bayes_accuracy"}
    assert short == {
        *((t, m) for t in SHORT_TIERS for m in (*SHORT_METRICS, *errors)),
        *(("all_sentences", m) for m in bayes),
    }
    for metric in SHORT_METRICS[3:]:
        tiers = {t for t, m in main if m == metric}
        assert {"seen_sentences", "unseen_word_positions"} < tiers


def test_a_scrambled_mapping_has_composed_scores_for_every_prompt():
    mixture = dataclasses.replace(MIXTURE, scrambled=("A->C",))
    _, evaluator = build(mixture=mixture)
    rows = rows_of(evaluator, "A->C", Prompt(2), Prompt(0))
    for prompt in ("2_demonstrations", "0_demonstrations"):
        for tier in SHORT_TIERS:
            for metric in COMPOSED_METRICS:
                assert (tier, prompt, metric) in rows
    others = rows_of(evaluator, "A->B", Prompt(1))
    assert not {m for _, _, m in others if m in COMPOSED_METRICS}


def test_every_prompt_starts_from_the_same_state(monkeypatch):
    _, evaluator = build()
    ask, states = SentenceEvaluator.ask, []

    def spy(self, label, prompt, rng):
        states.append(rng.bit_generator.state)
        return ask(self, label, prompt, rng)

    monkeypatch.setattr(SentenceEvaluator, "ask", spy)
    rng = np.random.default_rng(1)
    for label in ("A->B", "A->C"):
        exact_rows(evaluator, label, [Prompt(2), Prompt(0)], rng)
    assert states[0] == states[1] != states[2] == states[3]


# Words right of 3, and sentences of 6, after A->B and then B->C.
PIVOTS = {
    "both steps right": ({}, 1.0, 1.0),
    "first step wrong in two words": ({"A": "B1 B0 B2"}, 1 / 3, 0.0),
    "second step wrong in two words": ({"B": "C1 C0 C2"}, 1 / 3, 0.0),
    # A0 -> B1 -> C0: what counts is the end.
    "errors undone": ({"A": "B1 B0 B2", "B": "C1 C0 C2"}, 1.0, 1.0),
    # A0 -> no token, read as unknown; sentences without A0 are 12 and 21.
    "no token": ({"A": "? B1 B2"}, 2 / 3, 1 / 3),
    # The second step reads what the first said, and copies a C word.
    "too far": ({"A": "C0 B1 C1"}, 2 / 3, 1 / 3),
}


@pytest.mark.parametrize("has_tag", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("answers", "accuracy", "exact"), PIVOTS.values())
def test_two_steps_count_at_the_end(kind, has_tag, answers, accuracy, exact):
    _, evaluator = build(kind, has_tag=has_tag, **answers)
    rng = np.random.default_rng(1)
    rows = pivot_rows(evaluator, "A->B->C", Prompt(1), rng)
    at = "A->B->C", "all_sentences", "1_demonstrations"
    assert [row[:4] for row in rows] == [
        (*at, "accuracy_aligned"),
        (*at, "exact_match_aligned"),
    ]
    assert [row[4] for row in rows] == pytest.approx([accuracy, exact])


def test_a_scrambled_step_counts_as_it_is():
    # A0 -> C2 or C1 -> B2 or B1, whatever the given mappings say of A -> B.
    mixture = dataclasses.replace(MIXTURE, scrambled=("A->C",))
    stream = build()[1].stream
    rng = np.random.default_rng(0)
    scrambled = build_stream(mixture, "words", 40, rng).mapping("A->C")
    assert scrambled.permutation != stream.mapping("A->C").permutation
    said = " ".join(f"C{i}" for i in scrambled.permutation)
    _, evaluator = build(mixture=mixture, A=said, C="B0 B1 B2")
    rng = np.random.default_rng(1)
    rows = pivot_rows(evaluator, "A->C->B", Prompt(1), rng)
    assert [row[4] for row in rows] == [1.0, 1.0]


def test_the_exact_evaluation_asks_every_mapping_and_pivot():
    # Two mappings start from A, so A is asked with other prompts, too.
    model, evaluator = build()
    config = EvaluationConfig(
        exact_demonstrations=(2, 0), is_asked_after_others=True
    )
    compiled = SimpleNamespace(answers=Answering(model, 2, 40))
    rows = evaluate_exactly(
        config,
        compiled,
        model,
        TranslationData(
            evaluator.stream, ("A->B", "B->C", "A->C"), ("A->B->C",)
        ),
        np.random.default_rng(1),
    )
    prompts = {}
    for mapping, _, prompt, _, _ in rows:
        prompts.setdefault(mapping, {})[prompt] = None
    own = ["2_demonstrations", "0_demonstrations"]
    assert {mapping: list(names) for mapping, names in prompts.items()} == {
        "A->B": [*own, "2_demonstrations_of_A->C"],
        "B->C": own[:1],
        "A->C": [*own, "2_demonstrations_of_A->B"],
        "A->B->C": own[:1],
    }


def test_no_demonstrations_to_choose_from_leave_it_out():
    model, evaluator = build()
    config = EvaluationConfig(exact_demonstrations=())
    rng = np.random.default_rng(1)
    data = TranslationData(evaluator.stream, ("A->B",), ("A->B->C",))
    assert evaluate_exactly(config, None, model, data, rng) == []
