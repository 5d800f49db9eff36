"""Tests for tiny_gpt/multi_seed.py: every run is that of `train.run`."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from tests.tiny_runs import PRETRAINED, TINY
from tiny_gpt import multi_seed
from tiny_gpt.mixture import Component
from tiny_gpt.multi_seed import (
    EpochProgram,
    Job,
    check_trainable,
    run_jobs,
    run_seeds,
)
from tiny_gpt.train import load_finished, run

if keras.backend.backend() != "jax":
    pytest.skip("programs of whole epochs need JAX", allow_module_level=True)

import jax

# 16 windows and more at once, so that a CPU computes them feature-major.
WIDE = dataclasses.replace(
    TINY,
    mixture=dataclasses.replace(
        TINY.mixture, components=(Component("A->B", 90), Component("A->C", 30))
    ),
    train=dataclasses.replace(TINY.train, batch_size=16),
)


def assert_same_run(found, expected, rtol=1e-4):
    left, right = found.metrics, expected.metrics
    pd.testing.assert_frame_equal(
        left.drop(columns="value"), right.drop(columns="value")
    )
    losses = left["metric"].str.startswith("loss")
    np.testing.assert_allclose(
        left["value"][losses], right["value"][losses], rtol=rtol
    )
    pd.testing.assert_frame_equal(found.events, expected.events, rtol=1e-3)
    for a, b in zip(
        found.model.get_weights(), expected.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)


@pytest.fixture(scope="module")
def alone():
    return {seed: run(WIDE, seed) for seed in (1, 2, 3)}


# One after the other, side by side, and as one batch.
@pytest.mark.parametrize(
    "options",
    [{"num_workers": 1}, {"num_workers": 3}, {"pack_size": 3}],
    ids=str,
)
def test_each_run_is_the_one_that_fit_gives(options, alone):
    runs = run_seeds(WIDE, alone, **options)
    for found, expected in zip(runs, alone.values(), strict=True):
        assert_same_run(found, expected)
    losses = [r.metrics.query("metric == 'loss'")["value"] for r in runs]
    assert abs(losses[0].to_numpy() - losses[1].to_numpy()).min() > 1e-3


def train_with_fit_and_with_a_program(make, batches, num_batches, num_epochs):
    """Trains copies of a model both ways; returns losses and weights."""
    inputs, targets, weights = batches
    is_read = weights.ravel() > 0
    one, other = make(), make()
    other.set_weights(one.get_weights())
    flat = [x.reshape(-1, *x.shape[2:])[is_read] for x in (inputs, targets)]
    history = one.fit(
        *flat,
        batch_size=inputs.shape[1],
        epochs=num_epochs,
        shuffle=False,
        verbose=0,
    )
    program = EpochProgram(other)
    state = [
        np.array(v.value)
        for v in (*other.variables, *other.optimizer.variables)
    ]
    losses = []
    for _ in range(num_epochs):
        state, loss = program(state, *batches, num_batches)
        losses.append(loss)
    weights = [np.array(x) for x in state[: len(other.variables)]]
    return history.history["loss"], losses, one.get_weights(), weights


def with_batch_norm():
    return [keras.layers.Dense(7), keras.layers.BatchNormalization()]


def with_dropout():
    return [keras.layers.Dense(7), keras.layers.Dropout(0.2, seed=1)]


def with_two_axes():
    return [keras.layers.Reshape((3, 2)), keras.layers.Dense(4)]


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(1e-2, clipnorm=0.1),
    "sgd": lambda: keras.optimizers.SGD(1e-2, momentum=0.9, nesterov=True),
    "adamw": lambda: keras.optimizers.AdamW(1e-2, global_clipnorm=1.0),
}


def build(layers, optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), *layers()])
    if layers is not with_two_axes:
        model.add(keras.layers.Dense(4))
    model.compile(
        OPTIMIZERS[optimizer](),
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
    )
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "layers", [with_batch_norm, with_dropout, with_two_axes]
)
def test_any_keras_model_and_optimizer(layers, optimizer):
    # Whole batches, as batch normalisation sees what fills one up; 4 of 6
    # batches are to be read, and the others must change nothing.
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(6, 8, 6)).astype("float32")
    shape = (6, 8, 3) if layers is with_two_axes else (6, 8)
    targets = rng.integers(0, 4, shape).astype("int32")
    weights = np.repeat(np.arange(6) < 4, 8).reshape(6, 8).astype("float32")
    expected, found, a, b = train_with_fit_and_with_a_program(
        lambda: build(layers, optimizer), (inputs, targets, weights), 4, 3
    )
    if layers is not with_dropout:  # another seed state per call of `fit`
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        for one, other in zip(a, b, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert expected[0] - found[-1] > 1e-3


def test_a_ragged_batch_counts_what_it_holds():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(3, 8, 6)).astype("float32")
    targets = rng.integers(0, 4, (3, 8)).astype("int32")
    weights = (np.arange(24) < 19).reshape(3, 8).astype("float32")
    inputs[weights == 0] = 1e3  # it would show
    expected, found, a, b = train_with_fit_and_with_a_program(
        lambda: build(lambda: [keras.layers.Dense(7)], "adam"),
        (inputs, targets, weights),
        3,
        3,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_conditions_and_learning_rates_share_a_program(monkeypatch):
    made = []
    original = multi_seed.EpochProgram
    monkeypatch.setattr(
        multi_seed,
        "EpochProgram",
        lambda *args: made.append(args) or original(*args),
    )
    fast = dataclasses.replace(
        WIDE, train=dataclasses.replace(WIDE.train, learning_rate=5e-2)
    )
    other = dataclasses.replace(
        WIDE,
        condition="two",
        mixture=dataclasses.replace(
            WIDE.mixture,
            components=(Component("A->B", 60), Component("A->C", 2)),
        ),
    )
    jobs = [Job(e, 1) for e in (WIDE, fast, other)]
    runs = dict(run_jobs(jobs))
    assert len(made) == 1
    for job in jobs:
        assert_same_run(runs[job], run(job.experiment, 1), rtol=1e-3)
    rates = [
        runs[job].metrics.query("metric == 'loss'")["value"].iloc[-1]
        for job in jobs[:2]
    ]
    assert abs(rates[0] - rates[1]) > 0.01


def test_pretraining_reads_one_phase_after_the_other():
    (found,) = run_seeds(PRETRAINED, [1])
    assert_same_run(found, run(PRETRAINED, 1))


def test_an_interrupted_run_continues(alone, tmp_path):
    records = {seed: tmp_path / f"seed_{seed}" for seed in alone}

    def stop(job, epoch, logs):
        if job.seed == 2 and epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_seeds(
            WIDE,
            alone,
            records.get,
            num_workers=1,
            on_epoch=stop,
            save_every_s=0,
        )
    assert load_finished(WIDE, 1, records[1]) is not None
    assert load_finished(WIDE, 2, records[2]) is None
    epochs = []
    rest = [seed for seed in alone if seed != 1]
    runs = run_seeds(
        WIDE,
        rest,
        records.get,
        num_workers=1,
        on_epoch=lambda job, epoch, logs: epochs.append((job.seed, epoch)),
    )
    # Seed 2 goes on after epoch 2, seed 3 starts; another one is finished.
    assert epochs == [(2, 3), (2, 4), (3, 1), (3, 2), (3, 3), (3, 4)]
    for found, seed in zip(runs, rest, strict=True):
        assert_same_run(found, alone[seed])
    with pytest.raises(ValueError, match="finished run cannot be continued"):
        run_seeds(WIDE, [1], records.get)


def test_an_error_in_a_run_is_raised():
    def fail(job, epoch, logs):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run_seeds(TINY, [0, 1, 2], on_epoch=fail)


def test_in_float64_the_two_ways_are_one():
    jax.config.update("jax_enable_x64", True)  # in the workers' threads, too
    keras.config.set_floatx("float64")
    try:
        (found,) = run_seeds(WIDE, [1], num_workers=1)
        (batched, _) = run_seeds(WIDE, [1, 2], pack_size=2)
        expected = run(WIDE, 1)
    finally:
        jax.config.update("jax_enable_x64", False)
        keras.config.set_floatx("float32")
    for each in (found, batched):
        assert str(each.model.variables[0].dtype) == "float64"
        losses = each.metrics["metric"] == "loss"
        np.testing.assert_allclose(
            each.metrics["value"][losses],
            expected.metrics["value"][losses],
            rtol=1e-8,
        )


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"num_workers": 0}, "num_workers=0"),
        ({"pack_size": 0}, "pack_size=0"),
    ],
)
def test_bad_numbers_are_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        run_seeds(TINY, [0], **options)


def test_a_bad_seed_is_refused_before_anything_is_trained():
    def fail(job, epoch, logs):
        raise AssertionError("trained")

    with pytest.raises(ValueError, match="seed=-1"):
        run_seeds(TINY, [0, -1], on_epoch=fail)


def test_models_that_a_program_cannot_train_are_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", keras.losses.MeanSquaredError())
    with pytest.raises(ValueError, match="mean_with_sample_weight"):
        check_trainable(model)
    model.compile(
        "sgd",
        keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
    )
    with pytest.raises(ValueError, match="must be built"):
        EpochProgram(model)


def test_a_model_of_two_outputs_is_refused():
    x = keras.Input((2,))
    model = keras.Model(x, [keras.layers.Dense(1)(x), x])
    model.compile(
        "sgd",
        keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
    )
    with pytest.raises(ValueError, match="one output"):
        check_trainable(model)


def test_packs_fill_the_memory_of_a_device(monkeypatch):
    class Device:
        platform = "gpu"

        def memory_stats(self):
            return {"bytes_limit": 1000}

    monkeypatch.setattr(jax, "devices", lambda: [Device()])
    # 80 % of 1000 bytes hold 8 runs of 100; a run that does not fit is tried.
    assert multi_seed._pack_size(100, 20) == 8
    assert multi_seed._pack_size(100, 5) == 5
    assert multi_seed._pack_size(2000, 5) == 1
    assert multi_seed._num_workers(100) == 1
    Device.platform = "cpu"
    assert multi_seed._pack_size(100, 20) == 1
    assert multi_seed._num_workers(multi_seed.LARGEST_BESIDE_OTHERS + 1) == 1
