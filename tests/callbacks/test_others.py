"""Tests for meters, the recorder, copies of callbacks, and their import."""

import copy
import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest

from tiny_gpt.callbacks import (
    CheckpointAtEvents,
    LossDropLogger,
    LossSpikeLogger,
    MemorisationMeter,
    RunRecorder,
    Schedule,
    TaskAccuracy,
    WeightNorms,
    read_logs,
)
from tiny_gpt.runtime.files import (
    hash_arrays,
)

pytestmark = pytest.mark.backend

X = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
Y = np.array([0, 1])


def test_norms_are_those_of_all_weights_and_of_each_layer(fit):
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
    with pytest.raises(ValueError, match=r"Received: \['loss'\]"):
        meter.on_epoch_end(0, {"other": 1.0})
    validated = MemorisationMeter(0.5, "val_loss")  # every second epoch
    logs = [{}, {"val_loss": 0.75}]
    for epoch, each in enumerate(logs):
        validated.on_epoch_end(epoch, each)
    assert math.isnan(logs[0]["val_loss_above_floor"])
    assert logs[1]["val_loss_above_floor"] == 0.25
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


def test_copies_write_into_places_of_their_own(tmp_path, fit):
    # As a tuner: each trial trains with a deep copy.
    events = LossDropLogger(["loss"], path=tmp_path / "drops.csv")
    given = [
        events,
        CheckpointAtEvents(tmp_path / "w", events),
        LossSpikeLogger(path=tmp_path / "spikes.jsonl"),
        RunRecorder(tmp_path / "run.jsonl", tmp_path / "run.json"),
    ]
    for _ in range(3):
        copies = copy.deepcopy(given)
        assert copies[1].events is copies[0]
        fit(Scripted([0.0]), *copies)
    names = {path.name for path in tmp_path.iterdir()}
    expected = {"w", "w_2", "w_3"}
    for number in ("", "_2", "_3"):
        expected |= {f"run{number}.jsonl", f"run{number}.json"}
        expected |= {f"drops{number}.csv", f"spikes{number}.jsonl"}
    assert names == expected
    own = [copies[0].path, copies[1].folder, copies[2].path, copies[3].path]
    assert [path.stem for path in own] == [
        "drops_3",
        "w_3",
        "spikes_3",
        "run_3",
    ]
    with pytest.raises(ValueError, match="not replaced unless"):
        fit(given[3])


def test_a_copy_that_continues_goes_on_where_the_original_is(tmp_path, fit):
    def listed():
        events = LossDropLogger(["loss"], path=tmp_path / "drops.csv")
        return copy.deepcopy(
            [
                events,
                CheckpointAtEvents(tmp_path / "w", events),
                LossSpikeLogger(path=tmp_path / "spikes.jsonl"),
                RunRecorder(tmp_path / "run.jsonl"),
            ]
        )

    fit(*listed(), epochs=2)
    fit(*listed(), epochs=3, initial_epoch=2)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"drops.csv", "w", "spikes.jsonl", "run.jsonl"}
    assert len(read_logs(tmp_path / "run.jsonl")) == 3


def test_a_recorder_leaves_a_log_and_a_manifest(tmp_path, fit):
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
    assert saved["precision"] == "float32"
    assert saved["optimizer"]["learning_rate_at_first"] == 0.0
    assert saved["loss"]["class"] == "SparseCategoricalCrossentropy"
    kernel, bias = np.diag([3.0, 4.0]), np.array([0.0, 12.0])
    weights = [kernel.astype("float32"), bias.astype("float32")]
    assert saved["weights_hash"] == hash_arrays(weights)

    # Nothing is replaced, unless that is asked for.
    with pytest.raises(ValueError, match="not replaced unless"):
        fit(RunRecorder(log))
    assert len(read_logs(log)) == 3
    fit(RunRecorder(log, overwrite=True))
    assert len(read_logs(log)) == 1


def test_a_training_that_failed_at_once_is_in_nobodys_way(tmp_path, fit):
    class Fails(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            raise RuntimeError("broken")

    log = tmp_path / "run.jsonl"
    with pytest.raises(RuntimeError, match="broken"):
        fit(RunRecorder(log), Fails())
    assert not log.exists()
    log.touch()  # as an earlier version left it
    fit(RunRecorder(log))
    assert len(read_logs(log)) == 1


def test_a_model_that_is_built_by_fit_has_a_manifest(tmp_path, fit):
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    manifest = tmp_path / "manifest.json"
    recorder = RunRecorder(tmp_path / "run.jsonl", manifest)
    model.fit(X, X, verbose=0, callbacks=[recorder])
    assert json.loads(manifest.read_text())["num_parameters"] == 6


def test_a_log_goes_on_where_a_training_continues(tmp_path, fit):
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


def test_layers_that_are_frozen_between_two_fits(fit, classifier):
    model = classifier()
    norms = WeightNorms(by_layer=True)
    options = {"verbose": 0, "callbacks": [norms]}
    assert "weight_norm_dense" in model.fit(X, Y, **options).history
    model.layers[0].trainable = False
    model.compile("sgd", model.loss)
    history = model.fit(X, Y, **options).history
    assert set(history) == {"loss", "weight_norm"}
    assert history["weight_norm"] == [0.0]


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
    names = ["changes", "events", "mirages", "spikes"]
    expected = ["", ".analysis", *(f".analysis.{n}" for n in names)]
    names = ["checks", "files"]
    expected += [".runtime", *(f".runtime.{n}" for n in names)]
    assert tops == "['tiny_gpt']"
    assert ours == str([f"tiny_gpt{m}" for m in expected])
