"""A training is the same, to the bit, with and without our callbacks."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tiny_gpt.callbacks import (
    CheckpointAtEvents,
    LossByTask,
    LossDropLogger,
    LossSpikeLogger,
    RunRecorder,
    Schedule,
    TaskAccuracy,
    WeightNorms,
)

pytestmark = pytest.mark.backend

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Noise(keras.layers.Layer):
    """Random whether it trains or not, from a generator of its own."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, inputs):
        shape = keras.ops.shape(inputs)
        return inputs + 0.1 * keras.random.normal(shape, seed=self.seeds)


def make_layers(kind):
    layers = keras.layers
    return {
        "dropout": lambda: [layers.Dense(6), layers.Dropout(0.5)],
        "norm": lambda: [layers.Dense(6), layers.BatchNormalization()],
        "noise": lambda: [layers.Dense(6), Noise()],
        "states": lambda: [
            layers.Reshape((2, 2)),
            layers.GRU(6, stateful=True, return_sequences=True),
            layers.Bidirectional(layers.LSTM(3, stateful=True)),
        ],
        "averages": lambda: [layers.Dense(6)],
        "unbuilt": lambda: [layers.Dense(6), layers.Dropout(0.5)],
    }[kind]()


def train(kind, callbacks, **options):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 4)).astype("float32")
    y = (x.sum(1) > 0).astype(int)
    keras.utils.set_random_seed(0)
    start = [] if kind == "unbuilt" else [keras.Input(batch_shape=(8, 4))]
    model = keras.Sequential(
        [*start, *make_layers(kind), keras.layers.Dense(2)]
    )
    has_ema = kind == "averages"
    optimizer = keras.optimizers.Adam(0.05, use_ema=has_ema, ema_momentum=0.9)
    model.compile(optimizer, LOSS, metrics=["accuracy"])
    swap = [keras.callbacks.SwapEMAWeights()] if has_ema else []
    history = model.fit(
        x,
        y,
        batch_size=8,
        epochs=3,
        shuffle=kind != "states",
        verbose=0,
        callbacks=[*swap, *callbacks(x, y)],
        **options,
    ).history
    seeds = [v for v in model.non_trainable_variables if "seed" in v.path]
    values = [*model.get_weights(), *(np.asarray(v.value) for v in seeds)]
    return values, history, (x, y)


@pytest.mark.parametrize(
    "kind",
    [
        "dropout",
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in ("norm", "noise", "states", "averages", "unbuilt")
        ),
    ],
)
def test_weights_are_equal_to_the_bit(kind, tmp_path):
    if kind == "states" and keras.backend.backend() == "torch":
        pytest.skip("Keras cannot train it on PyTorch")

    def ours(x, y):
        events = LossDropLogger(["loss"])
        saved = CheckpointAtEvents(tmp_path / "weights", events)
        return [
            TaskAccuracy({"a": (x[:8], y[:8]), "b": (x, y)}, batch_size=8),
            TaskAccuracy(
                {"c": (x, y)}, every=Schedule(1, "step"), batch_size=8
            ),
            LossByTask(x, y, {"d": y > 0}, batch_size=8),
            WeightNorms(),
            events,
            LossSpikeLogger(),
            saved,
            RunRecorder(tmp_path / "run.jsonl", tmp_path / "run.json"),
        ]

    expected, plain, _ = train(kind, lambda x, y: [])
    found, history, _ = train(kind, ours)
    assert history["loss"] == plain["loss"]
    assert history["accuracy"] == plain["accuracy"]
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_averaged_weights_are_those_that_keras_validates():
    def ours(x, y):
        return [
            TaskAccuracy({"a": (x, y)}, batch_size=8),
            LossByTask(x, y, {"b": y >= 0}),
        ]

    _, plain, data = train("averages", lambda x, y: [])
    _, history, _ = train("averages", ours, validation_data=data)
    assert history["a_accuracy"] == pytest.approx(history["val_accuracy"])
    for key in ("a_loss", "b_loss"):
        assert history[key] == pytest.approx(history["val_loss"], rel=1e-5)
    assert history["a_loss"] != pytest.approx(plain["loss"], rel=1e-3)


PROGRAM = """
import keras, numpy as np, sys
from tiny_gpt.callbacks import LossByTask, TaskAccuracy
kind = sys.argv[1]
if kind == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()
else:
    import contextlib
    if kind == "jax":
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    scope = contextlib.nullcontext()
rng = np.random.default_rng(0)
x = rng.normal(size=(24, 4)).astype("float32")
y = (x.sum(1) > 0).astype(int)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
with scope:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"])
ours = [
    TaskAccuracy({"a": (x[:12], y[:12])}, batch_size=4),
    TaskAccuracy({"b": (x, y)}, scores={"acc": "accuracy"}, batch_size=8),
    TaskAccuracy({"c": (x, y)}, scores={"n": lambda o, y: o.sum()}),
    LossByTask(x, y, {"d": y > 0}),
]
history = model.fit(x, y, batch_size=8, epochs=2, verbose=0, shuffle=False,
                    callbacks=ours).history
print([round(v[-1], 5) for k, v in sorted(history.items())])
"""


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="no distribution of Keras"
)
def test_on_two_devices_the_numbers_are_those_of_one(tmp_path):
    backend = keras.backend.backend()
    flags = "--xla_force_host_platform_device_count="

    def numbers(kind, count):
        variables = {"XLA_FLAGS": flags + count, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, kind],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        return eval(done.stdout.splitlines()[-1])

    assert numbers(backend, "2") == pytest.approx(numbers("one", "1"), abs=2e-5)
