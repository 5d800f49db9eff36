"""Tests for experiments/measurements/contexts_by_epoch.py and repeated.py."""

import dataclasses
import math
from functools import cache
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from experiments.measurements import contexts, contexts_by_epoch, repeated
from experiments.measurements.contexts_by_epoch import MAPPINGS, PLACE
from tests.experiments.measurements.test_contexts import (
    NUM_CLASSES,
    experiment_of,
    say_always,
    shown,
    trained_runs,
)
from tiny_gpt.commands.measured import (
    MeasuredFiles,
    measure_all,
    read_measurements,
)
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import TrainConfig, updates_per_epoch
from tiny_gpt.sweep.store import Store
from tiny_gpt.train import run
from tiny_gpt.training.finished import Trained
from tiny_gpt.training.many_seeds import run_jobs
from tiny_gpt.training.run_setup import Job

pytestmark = pytest.mark.backend

EPOCHS, SEED = 3, 0
TIER = contexts.tier_of(PLACE, 1)


@pytest.fixture(autouse=True)
def _few_questions(monkeypatch):
    monkeypatch.setattr(contexts, "NUM_QUESTIONS", 16)


def train(num_epochs):
    """Trains with much to be asked, as `make theory` does."""
    experiment = dataclasses.replace(
        experiment_of(PLACE),
        train=TrainConfig(num_epochs, batch_size=16, learning_rate=0.01),
        evaluation=EvaluationConfig(
            "cached",
            num_sentences=8,
            num_demonstrations=1,
            num_fresh_sentences=0,
            exact_demonstrations=(),
            has_gradients=True,
        ),
    )
    if keras.backend.backend() == "jax":
        ((_, done),) = run_jobs([Job(experiment, SEED)], 1)
    else:
        done = run(experiment, SEED)
    return Trained(experiment, SEED, done.model, done.data)


@cache
def trained():
    return train(EPOCHS)


@cache
def weights():
    return repeated.weights_by_epoch(trained())


def by_key(rows):
    values = {row[:-1]: row[-1] for row in rows}
    assert len(values) == len(rows)  # a key once
    return values


@pytest.mark.slow
def test_the_run_that_is_made_again_is_the_same():
    found = weights()
    assert len(found) == EPOCHS
    for mine, expected in zip(
        found[-1], trained().model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, expected)
    # What ended after its first epoch is the first epoch of what goes on.
    for mine, expected in zip(
        found[0], train(1).model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, expected)
    moved = [np.abs(a - b).max() for a, b in zip(*found[:2], strict=True)]
    assert max(moved) > 1e-3


@pytest.mark.slow
def test_another_end_is_an_error():
    model = trained().experiment.model.build()
    others = [weight + 1e-6 for weight in trained().model.get_weights()]
    model.set_weights(others)
    other = dataclasses.replace(trained(), model=model)
    with pytest.raises(repeated.NotRepeatedError, match="theory/count_50"):
        repeated.weights_by_epoch(other)


@pytest.mark.slow
def test_the_last_epoch_is_what_the_trained_model_shows(monkeypatch):
    monkeypatch.setattr(
        contexts_by_epoch, "weights_by_epoch", lambda trained: weights()
    )
    found = by_key(contexts_by_epoch.measure({PLACE: trained()}, SEED))
    # 3 epochs, 3 mappings, 0 to 2 demonstrations, 4 metrics.
    assert len(found) == 3 * 3 * 3 * 4
    step = EPOCHS * updates_per_epoch(trained().experiment)
    runs = trained_runs() | {PLACE: trained(), contexts.SPARSE: trained()}
    expected = {row[:4]: row[4] for row in contexts.measure(runs, SEED)}
    first = contexts.tier_of(contexts.SPARSE, 1)
    for label in ("A->B", "A->C"):
        for num in range(3):
            for metric in contexts_by_epoch.METRICS:
                is_of_all = metric in ("kl_from_bayes", "outside_right_words")
                mapping = "all" if is_of_all else label
                prompt = shown(num, label)
                value = found[EPOCHS, step, label, TIER, prompt, metric]
                other = expected[mapping, first, prompt, metric]
                assert value == pytest.approx(other, rel=1e-12, abs=1e-300)
    # Other epochs show something else.
    key = "A->C", TIER, shown(2), "kl_from_bayes"
    assert found[1, step // EPOCHS, *key] != found[EPOCHS, step, *key]


@pytest.mark.slow
def test_a_uniform_model_is_as_far_as_the_logarithm_of_its_classes():
    model = trained().experiment.model.build()
    say_always(model, np.full(NUM_CLASSES, 1 / NUM_CLASSES))
    by_epoch = [model.get_weights()] * 2
    rows = [*contexts_by_epoch.read_epochs(trained(), by_epoch, SEED)]
    found = by_key(rows)
    updates = updates_per_epoch(trained().experiment)
    assert {row[:2] for row in rows} == {(1, updates), (2, 2 * updates)}
    # Bayes is certain, but for A without a demonstration: 50 pairs of A->C
    # beside 60 of A->B, whose entropy is missing then.
    share = 50 / 110
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    weight = {"A->B": 1 - share, "A->C": share, "B->C": 1.0}
    for label in MAPPINGS:
        num_right = 1 if label == "B->C" else 2  # contexts of B, of A
        for num in range(3):
            is_open = num == 0 and label != "B->C"
            values = {
                metric: found[2, 2 * updates, label, TIER, prompt, metric]
                for prompt in [shown(num, label)]
                for metric in contexts_by_epoch.METRICS
            }
            nats = math.log(NUM_CLASSES) - (entropy if is_open else 0)
            assert values == pytest.approx(
                {
                    "kl_from_bayes": nats,
                    "bayes_posterior": weight[label] if num == 0 else 1.0,
                    "right_word_mass": 1 / NUM_CLASSES,
                    "outside_right_words": 1 - num_right / NUM_CLASSES,
                },
                rel=1e-6,
            )


def test_epochs_are_kept_and_what_cannot_be_repeated_stops_nothing(tmp_path):
    key = "A->C", "all", "all", "number"

    def by_epoch(trained, seed):
        if seed == 1:
            raise repeated.NotRepeatedError("Received: others")
        return [(1, 26, *key, 0.5), (2, 52, *key, 0.25)]

    modules = [
        SimpleNamespace(NAME="one", NEEDS=(), measure=by_epoch),
        SimpleNamespace(
            NAME="two", NEEDS=(), measure=lambda trained, seed: [(*key, 1.0)]
        ),
    ]
    told, files = [], MeasuredFiles(Store(tmp_path), {})
    lines = measure_all(
        modules, (0, 1), files, None, lambda *done: told.append(done)
    )
    assert lines == ["one: seed 1 missing. Received: others"]
    assert told == [("one", 0, False), ("two", 0, False), ("two", 1, False)]
    found = read_measurements(modules, (0, 1), files)
    assert found.missing == {"one": [1]}
    columns = ["condition", "seed", "epoch", "step", "mapping", "value"]
    assert found.metrics[columns].to_numpy().tolist() == [
        ["one", 0, 1, 26, "A->C", 0.5],
        ["one", 0, 2, 52, "A->C", 0.25],
        ["two", 0, 0, 0, "A->C", 1.0],
        ["two", 1, 0, 0, "A->C", 1.0],
    ]
