"""Targets that are not scored: the loss, in both ways to train a run."""

import dataclasses

import keras
import numpy as np
import pytest

from benchmarks.tiny_runs import TINY
from tests.helpers.forward import forward
from tests.helpers.packed_runs import (
    CASES,
    EVALUATION,
    QUESTIONS,
    changed,
    loss_by_hand,
)
from tiny_gpt.evaluation.data import NOT_SCORED
from tiny_gpt.experiment import TrainConfig
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.train import run, run_all
from tiny_gpt.training.compiled_model import shape_of
from tiny_gpt.training.replicas import LOSS_METRIC, FilledWindows
from tiny_gpt.training.run_setup import Job, draw_phases, set_up_run
from tiny_gpt.training.update import compile_gpt
from tiny_gpt.training.windows import ShuffledWindows

pytestmark = pytest.mark.backend

# One update.

SMALL = GPTConfig(7, 5, 1, 2, 4, num_unused_classes=0)
INPUTS = np.random.default_rng(0).integers(0, 7, (4, 5)).astype("int32")
TARGETS = np.array(
    [[3, -1, -1, 0, 6], [-1] * 5, [-1, -1, 2, -1, -1], [1, 5, 4, -1, -1]],
    "int32",
)


def compiled(has_unscored=True, placement=None, **changes):
    model = SMALL.build()
    initialise_weights(model, np.random.default_rng(1))
    config = TrainConfig(learning_rate=0.1, **changes)
    compile_gpt(model, config, placement, has_unscored)
    return model


def test_the_loss_is_the_mean_over_scored_targets():
    model = compiled()
    expected = loss_by_hand(forward(model, INPUTS), TARGETS)
    found = model.train_on_batch(INPUTS, TARGETS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_targets_that_are_not_scored_have_no_gradient():
    # One target of all is scored, and then one of the tokens up to it alone.
    weights = []
    for inputs, targets in (
        (INPUTS, np.where(np.arange(4)[:, None] == 2, TARGETS, NOT_SCORED)),
        (INPUTS[2:3, :3], np.array([[NOT_SCORED, NOT_SCORED, 2]], "int32")),
    ):
        model = compiled(optimizer="sgd", clipnorm=None)
        model.train_on_batch(inputs, targets)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_batch_without_a_scored_target_has_no_loss():
    model = compiled(optimizer="sgd")
    before = model.get_weights()
    assert model.train_on_batch(INPUTS, np.full_like(TARGETS, -1)) == 0
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_where_all_targets_are_scored_nothing_is_ignored():
    targets = np.abs(TARGETS)
    models = compiled(False), compiled(True)
    assert models[0].loss.get_config()["ignore_class"] is None
    losses = [model.train_on_batch(INPUTS, targets) for model in models]
    np.testing.assert_allclose(*losses, rtol=1e-6)


# Weights of the tokens, on several devices.


class TwoBatches(keras.utils.PyDataset):
    """All of `TARGETS`, and then its first and last row."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        rows = ([0, 1, 2, 3], [0, 3])[index]
        return INPUTS[rows], TARGETS[rows]


def test_weights_of_a_batch_add_up_to_its_tokens():
    windows = FilledWindows(TwoBatches(), 4, 2)
    for index, num_scored, num_tokens in ((0, 7, 20), (1, 6, 10)):
        _, targets, weights = windows[index]
        assert targets.shape == weights.shape == (4, 5)
        np.testing.assert_allclose(
            weights[weights > 0], num_tokens / num_scored, rtol=1e-6
        )
        assert (weights > 0).sum() == num_scored
        assert (targets[weights > 0] != NOT_SCORED).all()
    whole = FilledWindows(ShuffledWindows([(INPUTS, INPUTS)], [1], 3, 0), 3, 2)
    for index, num_windows in ((0, 3), (1, 1)):
        expected = np.repeat(np.arange(4) < num_windows, 5).reshape(4, 5)
        np.testing.assert_array_equal(whole[index][2], expected)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_replicas_have_the_updates_of_one_device(optimizer):
    # Of a strategy with one replica; the last batch is filled up.
    strategy = None
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()
    placement = Placement("cpu", ("a", "b"), strategy)
    one = compiled(optimizer=optimizer)
    other = compiled(placement=placement, optimizer=optimizer)
    options = {"epochs": 2, "shuffle": False, "verbose": 0}
    expected = one.fit(TwoBatches(), **options).history["loss"]
    filled = FilledWindows(TwoBatches(), 4, 2)
    found = other.fit(filled, **options).history[LOSS_METRIC]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(  # a bias without a gradient makes no difference
        forward(other, INPUTS), forward(one, INPUTS), rtol=1e-3, atol=1e-3
    )
    assert expected[1] < expected[0] - 0.01


# Runs.


def losses_of(done):
    return done.metrics.query("metric == 'loss'")["value"].to_list()


@pytest.mark.parametrize("case", ["answers", "prompt"])
def test_both_ways_to_train_give_the_same(case):
    # Two seeds in one program where there is one; the last batch is filled.
    experiment = CASES[case]
    alone = run(experiment, 1)
    options = {}
    if keras.backend.backend() == "jax":
        options = {"seeds_per_batch": 2}
    jobs = [Job(experiment, 1), Job(experiment, 2)]
    together = dict(run_all(jobs, num_workers=1, **options))
    found, expected = together[jobs[0]], alone
    np.testing.assert_allclose(losses_of(found), losses_of(expected), rtol=1e-4)
    for a, b in zip(
        found.model.get_weights(), expected.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3)
    assert losses_of(together[jobs[1]])[0] != losses_of(found)[0]
    assert losses_of(found)[-1] < losses_of(found)[0] - 0.05
    exact = found.metrics.query("tier == 'unseen_sentences'")
    assert exact["value"].notna().all()
    assert "2_demonstrations" in set(exact["prompt"])


def test_the_first_loss_is_the_one_of_the_initial_weights():
    # One batch without an update to speak of: the mean by hand.
    experiment = changed(
        "answers", QUESTIONS, batch_size=14, learning_rate=1e-9, num_epochs=1
    )
    (data,) = draw_phases(experiment, 1)
    setup = set_up_run(experiment, 1)
    model = experiment.model.build()
    setup.start(model)
    expected = loss_by_hand(forward(model, data.inputs), data.targets)
    (job,) = [Job(experiment, 1)]
    for done in (run(experiment, 1), dict(run_all([job]))[job]):
        np.testing.assert_allclose(losses_of(done), [expected], rtol=1e-5)


def test_runs_that_leave_targets_out_have_programs_of_their_own():
    stream, full, answers = TINY, CASES["full"], CASES["answers"]
    stream = dataclasses.replace(stream, evaluation=EVALUATION)
    assert shape_of(stream) != shape_of(full)
    assert shape_of(full) == shape_of(answers)
    assert shape_of(answers) != shape_of(CASES["pairs"])
