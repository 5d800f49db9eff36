"""Tests for the rows of tiers.py, of a model that translates."""

import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from tiny_gpt.evaluation.evaluate import EvaluationConfig, evaluate_exactly
from tiny_gpt.evaluation.every_sentence import ExactEvaluator, Prompt
from tiny_gpt.tasks.translation.data import TranslationData
from tiny_gpt.tasks.translation.every_sentence import SentenceEvaluator
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import build_stream
from tiny_gpt.tasks.translation.tiers import (
    SHORT_METRICS,
    SHORT_TIERS,
    exact_rows,
    pivot_rows,
)

pytestmark = pytest.mark.backend

# 3 words, sentences of 2: 6 questions. Two pairs of A->C leave one word at
# least that has not stood first, and one that has not stood second.
MIXTURE = Mixture(
    (
        Component("A->B", 2500),
        Component("B->C", 1),
        Component("A->C", 2, is_distinct=True),
    ),
    alphabet_size=3,
    sentence_length=2,
)
KINDS = ("words", "characters")
RIGHT = {"A": "B0 B1 B2", "B": "C0 C1 C2"}  # as given: word by position


class Translator(keras.layers.Layer):
    """Answers every word of a question with one word, and copies marks.

    It looks half a pair back, where the word to translate stands.
    """

    def __init__(self, table, half_pair):
        super().__init__()
        self.table, self.half_pair = table, half_pair

    def call(self, tokens):
        shift = self.half_pair - 1  # an output is the token that follows
        padded = ops.pad(tokens, ((0, 0), (shift, 0)))
        read = padded[:, :-shift]
        answer = ops.take(ops.convert_to_tensor(self.table), read, axis=0)
        return 1e4 * ops.one_hot(answer, len(self.table) + 1)


class Answering:
    """What `CompiledAnswers` gives, of a model without blocks."""

    def __init__(self, model, num_tokens, sequence_length):
        self.num_tokens, self.sequence_length = num_tokens, sequence_length
        self.model = model

    def probabilities(self, model, tokens):
        logits = model(tokens)[:, -self.num_tokens - 1 : -1]
        return ops.softmax(logits, axis=-1)

    def generate(self, prompts, model):
        tokens = prompts
        for _ in range(self.num_tokens):
            logits = ops.convert_to_numpy(model(tokens))[:, -1:]
            own = np.minimum(logits.argmax(axis=-1), logits.shape[-1])
            tokens = np.concatenate([tokens, own.astype("int32")], axis=1)
        return tokens[:, prompts.shape[1] :]


def build(kind="words", mixture=MIXTURE, **answers):
    """A model that says these words, e.g. A="B0 C0 ?", and its evaluator."""
    stream = build_stream(mixture, kind, 40, np.random.default_rng(0))
    tokens = stream.vocabulary.tokens
    table = np.arange(len(tokens), dtype="int32")
    for name, words in (RIGHT | answers).items():
        for symbol, word in zip(
            stream.languages[name].symbols, words.split(), strict=True
        ):
            said = len(tokens)  # no token
            if word != "?":
                symbols = stream.languages[word[0]].symbols
                said = tokens.index(symbols[int(word[1])])
            table[tokens.index(symbol)] = said
    token_ids = keras.Input((None,), dtype="int32")
    half_pair = 3 * stream.vocabulary.tokens_per_word
    logits = Translator(table, half_pair)(token_ids)
    model = keras.Model(token_ids, logits)
    answering = Answering(model, 2 * stream.vocabulary.tokens_per_word, 40)
    evaluator = ExactEvaluator(answering, model, batch_size=4)
    return model, SentenceEvaluator(evaluator, stream)


def rows_of(evaluator, label, *prompts):
    rows = exact_rows(evaluator, label, prompts, np.random.default_rng(1))
    values = {row[1:4]: row[4] for row in rows}
    assert len(values) == len(rows)
    assert {row[0] for row in rows} == {label}
    return values


@pytest.mark.parametrize("kind", KINDS)
def test_who_translates_gets_full_marks(kind):
    _, evaluator = build(kind)
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
    assert metrics.pop("num_words") == 12.0
    assert metrics.pop("bayes_probability") == 1.0
    assert metrics.pop("bayes_accuracy") == 1.0
    assert len(metrics) == 2 + 6  # log-probability, Brier score and errors
    assert list(metrics.values()) == pytest.approx([0.0] * 8, abs=1e-6)
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
    tiers = {t for t, m in main if m == "rank"}
    assert {"seen_sentences", "unseen_word_positions"} < tiers


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


def test_bayes_answers_as_the_prompt_says():
    # 2500 of 2502 A sentences are translated into B; demonstrations settle it.
    names = {
        Prompt(1): 1.0,
        Prompt(0): 2 / 2502,
        Prompt(1, "A->B"): 0.0,
        Prompt(1, "A->C"): 1.0,
    }
    rows = rows_of(build()[1], "A->C", *names)
    for prompt, probability in names.items():
        at = "all_sentences", prompt.name
        assert rows[*at, "bayes_probability"] == probability
        assert rows[*at, "bayes_accuracy"] == float(probability == 1.0)
    rows = rows_of(build()[1], "A->B", Prompt(0))
    at = "all_sentences", "0_demonstrations"
    assert rows[*at, "bayes_probability"] == 2500 / 2502
    assert rows[*at, "bayes_accuracy"] == 1.0


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("answers", "accuracy", "exact"), PIVOTS.values())
def test_two_steps_count_at_the_end(kind, answers, accuracy, exact):
    _, evaluator = build(kind, **answers)
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
