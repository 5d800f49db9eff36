"""Tests for tiny_gpt/callbacks/order.py: the order of callbacks, their keys."""

import copy
import pickle

import keras
import numpy as np
import pytest

from tiny_gpt.callbacks import (
    CheckpointAtEvents,
    LossByTask,
    LossDropLogger,
    MemorisationMeter,
    RunRecorder,
    TaskAccuracy,
    WeightNorms,
    check_order,
    read_logs,
)
from tiny_gpt.callbacks.trackers import (
    MlflowTracker,
    TensorBoardTracker,
    WandbTracker,
)

pytestmark = pytest.mark.backend

X = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
Y = np.array([0, 1])


def test_all_can_be_pickled_before_and_deep_copied_after(tmp_path, fit):
    given = list(callbacks(tmp_path).values())[:6]
    for callback in given:
        pickle.loads(pickle.dumps(callback))
    fit(*given)
    copy.deepcopy([c for c in given if not isinstance(c, CheckpointAtEvents)])


def callbacks(tmp_path):
    """All that belongs together, in the documented order."""
    events = LossDropLogger(["a_loss"], ["a_accuracy"])
    return {
        "tasks": TaskAccuracy({"a": (X, Y)}),
        "losses": LossByTask(X, Y, {"a": Y >= 0}),
        "norms": WeightNorms(),
        "meter": MemorisationMeter(0.1, "a_loss"),
        "events": events,
        "saved": CheckpointAtEvents(tmp_path / "weights", events),
        "best": keras.callbacks.ModelCheckpoint(
            tmp_path / "best.keras", "a_accuracy", mode="max"
        ),
        "stop": keras.callbacks.EarlyStopping("a_loss", mode="min"),
        "slow": keras.callbacks.ReduceLROnPlateau("a_loss", mode="min"),
        "table": keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        "recorder": RunRecorder(tmp_path / "run.jsonl"),
    }


def test_the_documented_order_works(tmp_path, fit):
    listed = list(callbacks(tmp_path).values())
    check_order(listed)
    fit(*listed, epochs=2)
    (first, _) = read_logs(tmp_path / "run.jsonl")
    keys = {"a_accuracy", "a_loss", "weight_norm", "a_loss_above_floor"}
    assert keys < set(first)
    header = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert keys < set(header.split(","))


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ("tasks", "best", "a_accuracy"),
        ("tasks", "events", "a_accuracy"),
        ("losses", "stop", "a_loss"),
        ("losses", "slow", "a_loss"),
        ("losses", "meter", "a_loss"),
        ("norms", "table", "weight_norm"),
        ("meter", "recorder", "a_loss_above_floor"),
        ("events", "saved", None),
    ],
)
def test_a_wrong_order_is_named(first, second, key, tmp_path):
    found = callbacks(tmp_path)
    names = [type(found[name]).__name__ for name in (second, first)]
    rule = f"{names[0]} must be listed after {names[1]}"
    with pytest.raises(ValueError, match=rule + (f".*{key}" if key else "")):
        check_order([found[second], found[first]])
    check_order([found[first], found[second]])


@pytest.mark.parametrize(
    "kind", [TensorBoardTracker, WandbTracker, MlflowTracker]
)
def test_a_tracker_reads_all_of_the_logs(kind):
    tracker = kind.__new__(kind)  # needs no package of its own
    tasks = TaskAccuracy({"a": (X, Y)})
    with pytest.raises(ValueError, match=f"{kind.__name__} must be listed"):
        check_order([tracker, tasks])
    check_order([tasks, tracker])


def test_keys_that_are_hard_to_see(tmp_path, classifier):
    class Table(keras.callbacks.CSVLogger):
        pass

    tasks = TaskAccuracy({"a": (X, Y)})  # its keys are known when fit begins
    path = str(tmp_path / "{epoch}_{a_accuracy:.2f}.keras")
    early = keras.callbacks.EarlyStopping
    for reader, writer in (
        (Table(tmp_path / "log.csv"), tasks),
        (keras.callbacks.ModelCheckpoint(path), tasks),
        (early("weight_norm_dense", mode="min"), WeightNorms(True)),
        (early("a_loss", mode="min"), tasks),
    ):
        check_order([writer, reader])
        with pytest.raises(ValueError, match="must be listed after"):
            check_order([reader, writer])
    with pytest.raises(ValueError, match="Is it 'a_accuracy'"):
        check_order([tasks, early("a_acuracy", mode="max")])
    check_order([tasks, early("something", mode="max")])
    model = classifier()
    fit_keys = ("loss", "val_loss", "a_loss", "weight_norm")
    for key in fit_keys:
        check_order([tasks, WeightNorms(), early(key, mode="min")], model)
    with pytest.raises(ValueError, match="'something', which nobody writes"):
        check_order([tasks, early("something", mode="max")], model)


def test_keras_keys_are_keras_own(fit):
    masks = {"val": Y >= 0}
    with pytest.raises(ValueError, match="'val'"):
        LossByTask(X, Y, masks)
    with pytest.raises(ValueError, match="'val'"):
        TaskAccuracy({"val": (X, Y)})
    one, two = keras.layers.Dense(2, name="one"), keras.layers.Dense(2)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, {"one": one(inputs), "two": two(inputs)})
    model.compile("sgd", {"one": "mse", "two": "mse"})
    labels = {"one": X, "two": X}
    losses = LossByTask(X, Y, {"one": Y >= 0})
    with pytest.raises(ValueError, match=r"own. Received: \['one_loss'\]"):
        model.fit(X, labels, verbose=0, callbacks=[losses])


def test_one_key_of_two_callbacks_is_named():
    with pytest.raises(ValueError, match="'weight_norm' of WeightNorms"):
        check_order([WeightNorms(), WeightNorms()])
