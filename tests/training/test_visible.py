"""Tests for training/visible.py: no word is seen where it is predicted."""

import dataclasses

import keras
import numpy as np
import pytest

from benchmarks.tiny_runs import PRETRAINED, TINY
from tests.helpers.forward import forward
from tests.helpers.packed_runs import (
    CASES,
    EVALUATION,
    PROMPT,
    QUESTIONS,
    changed,
    loss_by_hand,
)
from tiny_gpt.evaluation.data import ANSWER, NOT_SCORED, OTHERS, SOURCE
from tiny_gpt.evaluation.evaluate import (
    CompiledEvaluation,
    evaluation_callbacks,
)
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.train import run, run_all
from tiny_gpt.training.run_setup import Job, draw_phases, set_up_run
from tiny_gpt.training.update import compile_gpt
from tiny_gpt.training.visible import check_targets, check_visible

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("case", CASES)
def test_what_is_scored_depends_on_nothing_that_comes_later(case):
    # Each token is changed: no target at or before it changes its logits.
    experiment = CASES[case]
    (data,) = draw_phases(experiment, 1)
    rows = [0, len(data.inputs) // 2, -2, -1]  # the last has one pair alone
    inputs, is_scored = data.inputs[rows], data.targets[rows] != NOT_SCORED
    model = experiment.model.build()
    initialise_weights(model, np.random.default_rng(1))
    own = forward(model, inputs)
    is_leaking = False
    for place in range(1, 20):
        tokens = inputs.copy()
        tokens[:, place] = (tokens[:, place] + 3) % 15
        is_changed = (forward(model, tokens) != own).any(axis=-1)
        before = np.arange(20) < place
        assert not (is_changed & is_scored)[:, before].any()
        is_leaking |= is_changed[:, before].any()
        assert is_changed[:, place].all()
    assert is_leaking == (case in ("pairs", "prompt"))  # it could be seen
    assert is_scored.any()


@pytest.mark.parametrize(
    ("scored", "spans", "places"),
    [
        ("all", QUESTIONS, r"\[1, 2, 7, 8, 13, 14\]"),
        ("answers", PROMPT, r"\[3, 4, 9, 10\]"),
        ("last_answer", ((0, 16),), r"\[15\]"),
        ("answers", ((14, 20),), r"\[15, 16\]"),
    ],
)
def test_a_scored_target_that_a_span_shows_is_refused(scored, spans, places):
    experiment = changed(scored, spans)
    with pytest.raises(ValueError, match=f"in the loss at positions {places}"):
        set_up_run(experiment, 1)


def test_a_refused_run_does_not_begin(tmp_path):
    experiment = changed("answers", PROMPT)
    jobs = [Job(CASES["answers"], 1), Job(experiment, 1, tmp_path / "run")]
    with pytest.raises(ValueError, match="may not be visible"):
        run(experiment, 1, tmp_path / "run")
    if keras.backend.backend() == "jax":
        with pytest.raises(ValueError, match="may not be visible"):
            next(run_all(jobs))
    assert list(tmp_path.iterdir()) == []


def test_spans_are_for_windows_of_whole_pairs():
    model = dataclasses.replace(TINY.model, bidirectional=QUESTIONS)
    stream = dataclasses.replace(TINY, model=model, evaluation=EVALUATION)
    with pytest.raises(ValueError, match="may not be visible"):
        set_up_run(stream, 1)


@pytest.mark.parametrize("phase", [0, 1])
def test_both_phases_are_checked(phase):
    experiment = changed("answers", QUESTIONS, PRETRAINED)
    phases = draw_phases(experiment, 1)
    check_visible(experiment, phases)
    phases[phase] = dataclasses.replace(phases[phase], scored="all")
    with pytest.raises(ValueError, match="may not be visible"):
        check_visible(experiment, phases)


@pytest.mark.parametrize(
    "evaluation",
    [
        {"num_demonstrations": 1},
        {"num_demonstrations": 0},
        {"exact_demonstrations": (2, 1)},
    ],
)
def test_a_question_that_ends_in_a_span_is_refused(evaluation):
    experiment = CASES["prompt"]
    experiment = dataclasses.replace(
        experiment,
        evaluation=dataclasses.replace(EVALUATION, **evaluation),
    )
    with pytest.raises(ValueError, match=r"a prompt of (3|9) tokens"):
        set_up_run(experiment, 1)
    causal = dataclasses.replace(experiment, model=TINY.model)
    set_up_run(causal, 1)


def test_a_sliding_window_is_refused():
    experiment = CASES["pairs"]
    evaluation = dataclasses.replace(EVALUATION, decoding="published")
    experiment = dataclasses.replace(experiment, evaluation=evaluation)
    with pytest.raises(ValueError, match="slides the window"):
        run(experiment, 1)


def test_a_task_says_that_it_leaves_targets_out():
    @dataclasses.dataclass(frozen=True)
    class Silent(type(TINY.task)):
        has_unscored_targets = False

    task = Silent(**vars(CASES["answers"].task))
    experiment = dataclasses.replace(CASES["answers"], task=task)
    with pytest.raises(ValueError, match="`has_unscored_targets` is True"):
        set_up_run(experiment, 1)


def test_visible_targets_that_are_not_scored_are_not_refused():
    is_scored = np.zeros((2, 5), bool)
    is_scored[0, 2] = is_scored[1, 4] = True
    for spans in ((), ((0, 3),), ((3, 5),), ((0, 3), (3, 5))):
        check_targets(spans, is_scored)
    for spans in (((2, 4),), ((0, 4),), ((1, 4),)):
        with pytest.raises(ValueError, match=r"positions \[3\]"):
            check_targets(spans, is_scored)


# Losses by mapping, and gradients.


@pytest.mark.parametrize("case", ["answers", "pairs"])
def test_losses_by_mapping_leave_out_what_a_span_shows(case):
    experiment = CASES[case]
    evaluation = dataclasses.replace(
        EVALUATION, num_loss_windows=100, has_gradients=True
    )
    (data,) = draw_phases(experiment, 1)
    model = experiment.model.build()
    initialise_weights(model, np.random.default_rng(1))
    compile_gpt(model, experiment.train, None, True)
    callbacks = evaluation_callbacks(
        evaluation,
        CompiledEvaluation(
            evaluation, model, experiment.model, experiment.task.answer_length
        ),
        data,
        experiment.task.eval_mappings,
        np.random.default_rng(0),
    )
    logs = {}
    for callback in callbacks[1:]:  # no questions
        callback.set_model(model)
        callback.set_params({"epochs": 1})
        callback.on_epoch_end(0, logs)
    windows = data.windows()["A->C"]
    logits = forward(model, windows.inputs)
    # Target t is token t + 1: a question has tokens 0, 1, 2 of 6.
    shown = np.isin(np.arange(1, 21) % 6, [1, 2]) & (np.arange(1, 21) < 15)
    is_seen = shown if case == "pairs" else np.zeros(20, bool)
    for kind, is_of_kind in (
        ("all_tokens", windows.kinds != OTHERS),
        ("source_words", windows.kinds == SOURCE),
        ("answer_words", windows.kinds == ANSWER),
    ):
        measured = is_of_kind & ~is_seen
        targets = np.where(measured, windows.targets, NOT_SCORED)
        np.testing.assert_allclose(
            logs[f"a_to_c_training_windows_{kind}_loss"],
            loss_by_hand(logits, targets),
            rtol=1e-5,
        )
    assert 0 < logs["a_to_c_gradient_norm"] < np.inf
