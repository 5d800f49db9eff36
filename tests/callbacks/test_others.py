"""Tests for the other callbacks: meters, checkpoints, recorder, order."""

import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest

from tiny_gpt.callbacks import (
    CheckpointAtEvents,
    LossByTask,
    LossDropLogger,
    MemorisationMeter,
    RunRecorder,
    Schedule,
    TaskAccuracy,
    WeightNorms,
    check_order,
    load_checkpoint,
    read_logs,
)
from tiny_gpt.runtime.files import (
    DamagedFileError,
    hash_arrays,
    read_checkpoint,
)

pytestmark = pytest.mark.backend

X = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
Y = np.array([0, 1])


def classifier(rate=0.0):
    """Kernel (3 0; 0 4), bias (0, 12): norms 5 and 12, together 13."""
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2, name="dense")]
    )
    model.layers[0].set_weights([np.diag([3.0, 4.0]), np.array([0.0, 12.0])])
    model.compile(
        keras.optimizers.SGD(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def fit(*callbacks, epochs=1, rate=0.0, **options):
    return classifier(rate).fit(
        X, Y, epochs=epochs, callbacks=list(callbacks), verbose=0, **options
    )


def test_norms_are_those_of_all_weights_and_of_each_layer():
    history = fit(WeightNorms(by_layer=True), epochs=2).history
    # sqrt(9 + 16 + 144)
    assert history["weight_norm"] == [13.0, 13.0]
    assert history["weight_norm_dense"] == [13.0, 13.0]
    history = fit(WeightNorms(every=2), epochs=3).history
    is_nan = [math.isnan(value) for value in history["weight_norm"]]
    assert is_nan == [True, False, False]
    assert set(history) == {"loss", "weight_norm"}


def test_the_meter_says_when_the_loss_passes_its_floor():
    meter = MemorisationMeter(0.5)
    meter.on_train_begin()
    rows = [{"loss": loss} for loss in (0.75, 0.5, 0.25, 0.75)]
    for epoch, logs in enumerate(rows):
        meter.on_epoch_end(epoch, logs)
    assert [logs["loss_above_floor"] for logs in rows] == [0.25, 0, -0.25, 0.25]
    assert meter.first_below == 3
    meter.on_train_begin()
    assert meter.first_below is None
    with pytest.raises(ValueError, match="monitor='loss'"):
        meter.on_epoch_end(0, {"other": 1.0})
    with pytest.raises(ValueError, match="floor=nan"):
        MemorisationMeter(math.nan)


class Scripted(keras.callbacks.Callback):
    """Gives `logs` another loss, and the model weights that say the epoch."""

    def __init__(self, losses):
        super().__init__()
        self.losses = losses

    def on_epoch_end(self, epoch, logs=None):
        logs["curve"] = self.losses[epoch]
        kernel, bias = np.full((2, 2), epoch + 1.0), np.zeros(2)
        self.model.set_weights([kernel, bias])


def epochs_of(saved):
    return [read_checkpoint(path)[1]["epoch"] for path in saved.paths]


def test_weights_are_saved_ever_less_often_and_around_events(tmp_path):
    # 10^(i/2) = 1, 3.2, 10, 31.6; the curve falls after epoch 20.
    losses = [2.0] * 20 + [1.5] + [1.0] * 19
    events = LossDropLogger(["curve"])
    saved = CheckpointAtEvents(tmp_path, events, Schedule(per_decade=2))
    fit(Scripted(losses), events, saved, epochs=40)
    (row,) = events.rows
    found = row["found"]
    assert row["start"] == 20
    # From the last epoch before it to the first after it was found.
    around = range(20, found + 2)
    assert epochs_of(saved) == [1, 3, 10, *around, 32, 40]
    values, info = read_checkpoint(saved.paths[3])
    assert info["reason"] == "around a change of curve"
    assert (info["epoch"], info["step"]) == (20, 20)  # one update an epoch
    assert values[0][0, 0] == 20.0  # those of that epoch, not of its finding
    assert info["weights_hash"] == hash_arrays(values)

    model = classifier()
    assert load_checkpoint(saved.paths[0], model)["reason"] == "on schedule"
    np.testing.assert_array_equal(model.get_weights()[0], np.ones((2, 2)))
    whole = saved.paths[0].read_bytes()
    saved.paths[0].write_bytes(whole[:-1])
    with pytest.raises(DamagedFileError):
        load_checkpoint(saved.paths[0], model)
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="of shapes"):
        load_checkpoint(saved.paths[1], other)


def test_a_checkpoint_is_never_replaced_by_other_weights(tmp_path):
    for _ in range(2):  # the same again is no harm
        fit(CheckpointAtEvents(tmp_path))
    with pytest.raises(ValueError, match="never replaced"):
        fit(Scripted([0.0]), CheckpointAtEvents(tmp_path))
    with pytest.raises(ValueError, match="num_before=-1"):
        CheckpointAtEvents(tmp_path, num_before=-1)
    with pytest.raises(ValueError, match="num_kept=0"):
        CheckpointAtEvents(tmp_path, num_kept=0)


def test_a_recorder_leaves_a_log_and_a_manifest(tmp_path):
    log, manifest = tmp_path / "log" / "run.jsonl", tmp_path / "manifest.json"
    tasks = TaskAccuracy({"all": (X, Y)}, every=2)
    recorder = RunRecorder(log, manifest, {"data": "two points"})
    history = fit(tasks, recorder, epochs=3).history
    logs = read_logs(log)
    assert [one["epoch"] for one in logs] == [1, 2, 3]
    assert [one["loss"] for one in logs] == history["loss"]
    assert math.isnan(logs[0]["all_accuracy"])
    assert "NaN" not in log.read_text()
    saved = json.loads(manifest.read_text())
    assert saved["status"] == "finished"
    assert (saved["data"], saved["num_parameters"]) == ("two points", 6)
    assert saved["backend"] == keras.backend.backend()
    kernel, bias = np.diag([3.0, 4.0]), np.array([0.0, 12.0])
    weights = [kernel.astype("float32"), bias.astype("float32")]
    assert saved["weights_hash"] == hash_arrays(weights)

    # Nothing is replaced, unless that is asked for.
    with pytest.raises(ValueError, match="not replaced unless"):
        fit(RunRecorder(log))
    assert len(read_logs(log)) == 3
    fit(RunRecorder(log, overwrite=True))
    assert len(read_logs(log)) == 1


def test_a_log_goes_on_where_a_training_continues(tmp_path):
    log = tmp_path / "run.jsonl"
    fit(RunRecorder(log), epochs=3)
    first = read_logs(log)
    log.write_text(log.read_text() + '{"epoch": 4, "lo')  # as a crash leaves it
    assert read_logs(log) == first
    fit(RunRecorder(log), epochs=4, initial_epoch=2)
    assert [one["epoch"] for one in read_logs(log)] == [1, 2, 3, 4]
    assert read_logs(log)[:2] == first[:2]
    log.write_text('{"epoch": 1}\nnothing\n')
    with pytest.raises(ValueError, match="line 2"):
        read_logs(log)
    # Logs that are kept elsewhere need no file.
    fit(RunRecorder(log, earlier_logs=first), epochs=3, initial_epoch=2)
    assert [one["epoch"] for one in read_logs(log)] == [1, 2, 3]
    with pytest.raises(ValueError, match=r"run\.txt"):
        RunRecorder(tmp_path / "run.txt")


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


def test_the_documented_order_works(tmp_path):
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


def test_one_key_of_two_callbacks_is_named():
    with pytest.raises(ValueError, match="'weight_norm' of WeightNorms"):
        check_order([WeightNorms(), WeightNorms()])


@pytest.mark.parametrize(
    "callback",
    [
        WeightNorms(True, Schedule(per_decade=3)),
        MemorisationMeter(0.5, "val_loss"),
        CheckpointAtEvents("weights", LossDropLogger(["a"]), 5, num_after=2),
        RunRecorder("run.jsonl", "manifest.json", {"a": 1}),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_they_can_be_saved_and_built_again(callback):
    config = keras.saving.serialize_keras_object(callback)
    again = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(config))
    )
    assert keras.saving.serialize_keras_object(again) == config
    assert type(again) is type(callback)


@pytest.mark.slow
def test_the_import_is_light():
    # Beside what keras imports itself: nothing but ours and the standard
    # library, and of ours only what the callbacks need.
    code = (
        "import sys, keras; before = set(sys.modules); "
        "import tiny_gpt.callbacks; new = set(sys.modules) - before; "
        "tops = {m.split('.')[0] for m in new} - sys.stdlib_module_names; "
        "print(sorted(tops)); "
        "print(sorted(m for m in new if 'callbacks' not in m "
        "and m.startswith('tiny_gpt')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    tops, ours = done.stdout.splitlines()
    names = ["changes", "events", "mirages"]
    expected = ["", ".analysis", *(f".analysis.{n}" for n in names)]
    names = ["checks", "files", "moved"]
    expected += [".runtime", *(f".runtime.{n}" for n in names)]
    assert tops == "['tiny_gpt']"
    assert ours == str([f"tiny_gpt{m}" for m in expected])
