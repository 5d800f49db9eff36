"""Tests for the rows of tiny_gpt/tasks/translation/bayes.py."""

import dataclasses

import numpy as np
import pytest

from tests.helpers.translator import MIXTURE, build, rows_of
from tiny_gpt.evaluation.every_sentence import Prompt
from tiny_gpt.tasks.translation.mixture import Component
from tiny_gpt.tasks.translation.task import Translation

pytestmark = pytest.mark.backend


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


def bayes_of(rows):
    """Probabilities by prompt, where there are any."""
    return {p: v for (_, p, m), v in rows.items() if m == "bayes_probability"}


def test_an_impossible_prompt_has_no_bayes_rows():
    # C->A has no pairs, A->D is not even a component: nobody demonstrates
    # them. Asked without demonstrations they have probability 0.
    mixture = dataclasses.replace(
        MIXTURE,
        components=(Component("A->B", 9), Component("A->C", 0)),
        given=("A->B", "B->C", "C->D"),
    )
    _, evaluator = build(mixture=mixture)
    none, own, other = Prompt(0), Prompt(1), Prompt(1, "A->B")
    for label in ("A->C", "A->D"):
        rows = rows_of(evaluator, label, own, none, other)
        assert bayes_of(rows) == {none.name: 0.0, other.name: 0.0}
        names = {(p, m) for _, p, m in rows if m.startswith("bayes")}
        assert len(names) == 4  # the accuracies with them
    rows = rows_of(evaluator, "A->B", own, Prompt(1, "A->C"), none)
    assert bayes_of(rows) == {own.name: 1.0, none.name: 1.0}


def test_a_tag_tells_bayes_the_mapping():
    # Whatever is demonstrated; a tag of a mapping without pairs never occurs.
    mixture = dataclasses.replace(
        MIXTURE, components=(*MIXTURE.components[:2], Component("A->C", 0))
    )
    possible = Prompt(2), Prompt(0), Prompt(1, "B->C")
    impossible = Prompt(1, "A->C")
    for components in (mixture, MIXTURE):
        _, evaluator = build(mixture=components, has_tag=True)
        rows = rows_of(evaluator, "A->B", *possible, impossible)
        asked = possible
        if components is MIXTURE:
            asked = (*possible, impossible)
        assert bayes_of(rows) == {prompt.name: 1.0 for prompt in asked}
    _, evaluator = build(mixture=mixture, has_tag=True)
    assert bayes_of(rows_of(evaluator, "A->C", *possible)) == {}


def test_bayes_follows_the_text_after_pretraining():
    # Pairs of A->B in the pre-training alone: the later text has none.
    counts = {"pretraining": (9, 0), "mixture": (0, 9)}
    mixtures = {
        name: dataclasses.replace(
            MIXTURE,
            components=tuple(map(Component, ("A->B", "A->C"), numbers)),
        )
        for name, numbers in counts.items()
    }
    task = Translation(**mixtures, eval_mappings=("A->B",), tokens="words")
    data = task.draw(40, np.random.default_rng(0))[-1]
    _, evaluator = build()
    evaluator = dataclasses.replace(evaluator, stream=data.stream)
    own, none, other = Prompt(1), Prompt(0), Prompt(1, "A->C")
    rows = rows_of(evaluator, "A->B", own, none, other)
    assert bayes_of(rows) == {none.name: 0.0, other.name: 0.0}
    assert ("seen_sentences", own.name, "rank") in rows  # of both phases
    rows = rows_of(evaluator, "A->C", own, none)
    assert bayes_of(rows) == {own.name: 1.0, none.name: 1.0}
