"""Prefix language models beside causal ones with the same text and loss."""

import dataclasses

import numpy as np
import pytest

from experiments import composition, prefix_lm
from experiments.prefix_lm import PAIRS, PROMPT, QUESTIONS, STUDY
from tiny_gpt.experiment import config_of, updates_per_epoch
from tiny_gpt.tasks.translation.vocabulary import (
    tokens_per_pair,
    tokens_per_query,
)
from tiny_gpt.training.run_setup import draw_phases
from tiny_gpt.training.visible import check_visible

CONTROLS = {"prefix_pairs": "causal_answers", "prefix_prompt": "causal_last"}


def build(condition):
    return STUDY.build("quick", condition)


def test_masks_are_of_questions_and_of_the_prompt():
    task = build("prefix_pairs_50").task
    question, pair = (
        count(task.mixture, task.tokens)
        for count in (tokens_per_query, tokens_per_pair)
    )
    starts = [i * pair for i in range(3)]
    assert tuple((at, at + question) for at in starts) == QUESTIONS
    assert ((0, starts[-1] + question),) == PROMPT


@pytest.mark.parametrize("condition", STUDY.conditions)
def test_conditions_change_what_they_say_and_no_more(condition):
    built = build(condition)
    reading, num_pairs = prefix_lm.CONDITIONS[condition]
    change = composition.Change("", held_out=0, num_sparse=num_pairs)
    expected = composition.build(prefix_lm.NAME, condition, change)
    task = dataclasses.replace(
        expected.task,
        window_packing=reading.window_packing,
        scored=reading.scored,
    )
    model = dataclasses.replace(
        expected.model, bidirectional=reading.bidirectional
    )
    train = dataclasses.replace(
        expected.train, num_epochs=built.train.num_epochs
    )
    assert built == dataclasses.replace(
        expected, task=task, model=model, train=train
    )
    per_epoch = updates_per_epoch(built)
    updates = per_epoch * built.train.num_epochs
    assert abs(updates - 390) <= per_epoch / 2  # the nearest number of epochs


def test_every_number_of_pairs_has_all_conditions_but_the_stream():
    names = [name for name in prefix_lm.READINGS if name != "stream"]
    expected = {f"{name}_{n}" for name in names for n in PAIRS}
    assert set(STUDY.conditions) == expected | {"stream_50"}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_has_the_same_windows_and_targets(name):
    for n in PAIRS:
        prefix, control = build(f"{name}_{n}"), build(f"{CONTROLS[name]}_{n}")
        assert prefix.task == control.task
        assert prefix.train == control.train
        assert control.model.bidirectional == ()
        assert prefix.model.bidirectional
        phases = draw_phases(prefix, 1000)
        check_visible(prefix, phases)
    full = draw_phases(build("causal_full_50"), 1000)[0]
    np.testing.assert_array_equal(phases[0].inputs, full.inputs)


def test_the_stream_is_the_text_of_the_other_studies():
    change = composition.Change("", held_out=0)
    expected = composition.build(prefix_lm.NAME, "stream_50", change)
    assert config_of(build("stream_50")) == config_of(expected)
