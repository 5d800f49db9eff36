"""Hangul is learned and asked by every network, and varied by sweeps."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from experiments.hangul import SAYS, STUDY, UPDATES, network
from experiments.networks import NETWORKS
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import (
    Experiment,
    TrainConfig,
    config_of,
    updates_per_epoch,
)
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.sweep.cell import content_of, key_of
from tiny_gpt.sweep.grid import Success, Sweep
from tiny_gpt.tasks.hangul.task import Hangul
from tiny_gpt.train import run

pytestmark = pytest.mark.backend

TASK = Hangul(2, num_majority=60, num_sparse=20)
SHORT = Experiment(
    "hangul",
    "short",
    TASK,
    GPTConfig(
        vocabulary_size=TASK.vocabulary_size,
        sequence_length=42,
        num_layers=1,
        num_heads=2,
        head_dim=8,
        dropout=0.0,
        normalization="pre",
    ),
    TrainConfig(num_epochs=2, batch_size=16, learning_rate=0.01),
    EvaluationConfig("cached", 8, 2, 0, exact_demonstrations=(2,)),
)


def check_run(found, num_epochs):
    frame = found.metrics
    losses = frame[frame["metric"] == "loss"]["value"].to_numpy()
    assert len(losses) == num_epochs
    assert losses[-1] < losses[0]
    last = frame[frame["epoch"] == num_epochs].set_index(
        ["mapping", "tier", "metric"]
    )["value"]
    # Four of eight syllables are shown, both places, three letters.
    assert last["A->C", "unseen_words", "num_words"] == 4 * 2 * 3
    for label in TASK.eval_mappings:
        assert 1 <= last[label, "all_sentences", "rank"] <= 2
    above = frame[frame["metric"] == "loss_above_floor"]["value"]
    floor = TASK.floors(42)["inferred"]
    np.testing.assert_allclose(losses - floor, above, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt", *NETWORKS])
def test_every_network_reads_and_answers(name):
    if keras.backend.backend() != "jax" and name not in SAYS:
        pytest.skip("half a minute each; their own tests have them")
    model = SHORT.model
    if name != "gpt":
        model = dataclasses.replace(
            NETWORKS[name],
            vocabulary_size=TASK.vocabulary_size,
            sequence_length=42,
            num_layers=1,
        )
    check_run(run(dataclasses.replace(SHORT, model=model), seed=1), 2)


@pytest.mark.slow
def test_jamo_are_spelled_by_a_small_network():
    # One to one for each place: enough updates teach every letter.
    task = Hangul(2, ("B->C",), num_majority=60, num_sparse=0)
    train = TrainConfig(num_epochs=60, batch_size=8, learning_rate=0.01)
    short = dataclasses.replace(SHORT, task=task, train=train)
    found = run(short, seed=1).metrics
    last = found[found["epoch"] == 60].set_index(["mapping", "tier", "metric"])
    at = "B->C", "all_sentences", "accuracy_aligned"
    assert last["value"][at] > 0.9  # chance 1/2


def test_its_fields_are_axes_and_part_of_the_key():
    axes = {"num_sparse": [10, 20], "num_jamo": [2]}
    success = Success("A->C", tier="unseen_words")
    sweep = Sweep("hangul", {"short": SHORT}, axes, (1,), success)
    keys = [key_of(content_of(c.experiment, "float32")) for c in sweep.cells]
    assert len(set(keys)) == 2
    config = config_of(SHORT)
    assert config["task"] == "tiny_gpt.tasks.hangul.task.Hangul"
    assert config["num_sparse"] == 20


def test_networks_of_the_study_have_the_same_size():
    gpt, gru = (network(name, 507).build() for name in ("gpt", "gru"))
    assert math.isclose(gru.count_params(), gpt.count_params(), rel_tol=0.02)


@pytest.mark.parametrize("condition", STUDY.conditions)
def test_conditions_have_as_many_updates(condition):

    built = STUDY.build("quick", condition)
    updates = updates_per_epoch(built) * built.train.num_epochs
    assert abs(updates - UPDATES) <= updates_per_epoch(built) / 2
