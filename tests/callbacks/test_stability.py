"""Tests for tiny_gpt/callbacks/stability.py and analysis/spikes.py."""

import json
import math

import keras
import numpy as np
import pytest

from tiny_gpt.analysis.spikes import SpikeDetector
from tiny_gpt.callbacks import (
    CheckpointAtEvents,
    LossSpikeLogger,
    TaskAccuracy,
    check_order,
)

pytestmark = pytest.mark.backend

X = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
FLAT = [1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.0, 1.01]


class Scripted(keras.callbacks.Callback):
    """Gives `logs` a curve, and the model weights that say the epoch."""

    def __init__(self, curve):
        super().__init__()
        self.curve = curve

    def on_epoch_end(self, epoch, logs=None):
        logs["curve"] = self.curve[epoch]
        self.model.set_weights([np.full((2, 2), epoch + 1.0), np.zeros(2)])


def fit(curve, *callbacks, rate=0.5):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    options = {"epochs": len(curve), "verbose": 0}
    listed = [Scripted(curve), *callbacks]
    return model, model.fit(X, X, callbacks=listed, **options)


def kinds(logger):
    return [(row["kind"], row["epoch"]) for row in logger.rows]


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([*FLAT, 2.0, 1.0, 1.0], [("spike", 9)]),
        ([*FLAT, 2.0, 2.0, 1.0, 2.0], [("spike", 9), ("spike", 12)]),
        ([*FLAT, 1.05, 1.0], []),  # below the smallest that counts
        (list(np.exp(-np.arange(20) / 4)), []),  # a loss that decays
        ([*FLAT, math.nan, math.nan, 1.0], [("not_finite", 9)]),
        ([*FLAT, math.inf], [("not_finite", 9)]),
        # Epochs 6 to 11 rise, and end 0.26 above the lowest.
        (
            [1, 1.1, 0.9, 1, 1.1, 0.9, 1, 1.1, 1.12, 1.14, 1.16, 1.18, 1.2],
            [("runaway", 11)],
        ),
        ([1.0] * 3, []),
    ],
)
def test_each_kind_is_named_once_for_a_spell(curve, expected):
    logger = LossSpikeLogger(["curve"])
    fit(curve, logger)
    assert kinds(logger) == expected


def test_the_level_is_what_was_expected(tmp_path):
    told = []
    path = tmp_path / "new" / "spikes.jsonl"
    logger = LossSpikeLogger(["curve"], path=path, on_event=told.append)
    fit([*FLAT, 2.0, math.nan], logger)
    spike, nan = told
    assert (spike["metric"], spike["value"]) == ("curve", 2.0)
    assert spike["level"] == pytest.approx(1.0, abs=0.02)
    assert nan["level"] == 0.99  # the lowest so far
    saved = [json.loads(line) for line in path.read_text().splitlines()]
    assert saved[0] == spike
    assert saved[1]["value"] is None


def test_it_can_stop_and_lower_the_rate():
    logger = LossSpikeLogger(
        ["curve"], action={"not_finite": "stop", "spike": "lower"}, factor=0.25
    )
    model, history = fit([*FLAT, 2.0, math.nan, 1.0], logger)
    assert len(history.epoch) == 10
    rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
    assert float(rate) == 0.125
    assert [row["action"] for row in logger.rows] == ["lower", "stop"]


def test_it_can_go_back_to_the_last_checkpoint(tmp_path):
    saved = CheckpointAtEvents(tmp_path, schedule=3)
    logger = LossSpikeLogger(["curve"], action="restore", checkpoints=saved)
    model, _ = fit([*FLAT, math.nan], saved, logger)
    # Epochs 3, 6 and the last are saved; the last is the broken one.
    assert model.get_weights()[0][0, 0] == 6.0
    assert logger.rows[0]["action"] == "restore"
    early = LossSpikeLogger(["curve"], action="restore", checkpoints=saved)
    fit([math.nan], CheckpointAtEvents(tmp_path / "other"), early)
    assert early.rows[0]["action"] is None  # there was nothing to go back to
    with pytest.raises(ValueError, match="must be listed after"):
        check_order([logger, saved])


def test_nan_of_an_epoch_without_a_measurement_is_none():
    tasks = TaskAccuracy({"t": (X, X)}, every=2)
    logger = LossSpikeLogger(["t_loss"])
    fit([1.0] * 4, tasks, logger)
    assert logger.rows == []


def test_a_schedule_of_the_rate_cannot_be_lowered():
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    with pytest.raises(ValueError, match="follows a schedule"):
        fit([1.0], LossSpikeLogger(action="lower"), rate=rate)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"keys": "loss"}, "list of keys"),
        ({"keys": []}, "list of keys"),
        ({"min_size": 0}, "min_size=0"),
        ({"min_size": {"a": 1}}, r"\['a'\]"),
        ({"patience": 1}, "patience=1"),
        ({"factor": 1.0}, "factor=1.0"),
        ({"action": "pray"}, "action='pray'"),
        ({"action": {"fire": "stop"}}, "kind='fire'"),
        ({"action": "restore"}, "needs `checkpoints`"),
        ({"path": "spikes.csv"}, r"spikes\.csv"),
    ],
)
def test_impossible_loggers_are_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        LossSpikeLogger(**arguments)


def test_a_higher_level_becomes_the_normal_one():
    detector = SpikeDetector()
    curve = [*FLAT, *[3.0, 3.01, 2.99] * 5, 6.0]
    found = [i for i, v in enumerate(curve) if detector.update(v, i)]
    # Nine values on end, then the level is known; and the last.
    assert found == [*range(8, 17), 23]


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_the_curve_is_no_spike(seed):
    rng = np.random.default_rng(seed)
    detector = SpikeDetector(min_size=0.001, threshold=6.0)
    values = 1 + 0.05 * rng.normal(size=200)
    assert not any(detector.update(v, i) for i, v in enumerate(values))
    assert detector.update(2.0, 200) is not None  # 20 standard deviations
