"""Tests for tiny_gpt/callbacks/trackers.py: what the tools read back."""

import copy
import json
import math

import keras
import numpy as np
import pytest

from tiny_gpt.callbacks import LossDropLogger, LossSpikeLogger, TaskAccuracy
from tiny_gpt.callbacks.trackers import (
    MlflowTracker,
    TensorBoardTracker,
    WandbTracker,
    sentence,
)

pytestmark = pytest.mark.backend

X = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
Y = np.array([0, 1])
# Falls after epoch 6; NaN in epoch 13.
CURVE = [2.0] * 6 + [1.0] * 6 + [math.nan]
FALL = {"metric": "curve", "event": "fall", "start": 6, "epoch": 7}
BROKEN = {"metric": "curve", "event": "not_finite", "start": 13, "epoch": 13}


class Scripted(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["curve"] = CURVE[epoch]


def fit(*callbacks):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.layers[0].set_weights([np.eye(2), np.zeros(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=["accuracy"])
    listed = [
        Scripted(),
        TaskAccuracy({"task": (X, 1 - Y)}, every=5),
        LossDropLogger(["curve"]),
        LossSpikeLogger(["curve"]),
        *callbacks,
    ]
    options = {"epochs": len(CURVE), "verbose": 0}
    model.fit(X, Y, validation_data=(X, Y), callbacks=listed, **options)


def test_tensorboard_shows_scores_beside_val_and_events(tmp_path):
    tool = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="make test-callbacks has it",
    )
    tracker = TensorBoardTracker(tmp_path / "logs")
    fit(tracker)
    fit(copy.deepcopy(tracker))  # as a tuner: into a place of its own
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "logs_2"}

    def read(run, folder="logs"):
        found = tool.EventAccumulator(str(tmp_path / folder / run))
        found.Reload()
        return found

    train, validation = read("train"), read("validation")
    assert read("train", "logs_2").Tags() == train.Tags()
    assert set(validation.Tags()["scalars"]) == {
        "epoch_loss",
        "epoch_accuracy",
        "epoch_task_loss",
        "epoch_task_accuracy",
    }
    scores = validation.Scalars("epoch_task_accuracy")
    assert [s.step for s in scores] == [4, 9, 12]  # epochs 5, 10 and the last
    assert [s.value for s in scores] == [0.0] * 3
    assert {s.value for s in validation.Scalars("epoch_accuracy")} == {1.0}
    tags = set(train.Tags()["scalars"])
    assert tags == {
        "epoch_loss",
        "epoch_accuracy",
        "epoch_curve",
        "events/curve fall",
    }
    (marker,) = train.Scalars("events/curve fall")
    assert (marker.step, marker.value) == (6, 1.0)
    text = train.Tensors("events in words/curve not_finite")
    (said,) = text[0].tensor_proto.string_val
    assert said.decode() == "not_finite of curve in epoch 13: nan"


def records_of(data):
    """Records of an offline run, which is written in LevelDB's log format."""
    place, parts = 7, []  # after the file's own header
    while place + 7 <= len(data):
        left = -place % 32768  # of the block; no header is cut
        if left < 7:
            place += left
            continue
        length = int.from_bytes(data[place + 4 : place + 6], "little")
        kind = data[place + 6]  # whole, first, middle, last
        parts.append(data[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []


def test_wandb_has_a_table_and_a_summary(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="make test-callbacks has it")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with wandb.init(project="test", dir=str(tmp_path)) as run:
        fit(WandbTracker(run))
    (path,) = tmp_path.rglob("*.wandb")
    rows, summary = [], {}
    for data in records_of(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            rows.append(
                {
                    item.key or "/".join(item.nested_key): item.value_json
                    for item in record.history.item
                }
            )
        elif record.WhichOneof("record_type") == "summary":
            for item in record.summary.update:
                key = item.key or "/".join(item.nested_key)
                summary[key] = item.value_json
    scores = [r for r in rows if "validation/task_accuracy" in r]
    assert [json.loads(r["epoch"]) for r in scores] == [5, 10, 13]
    assert [json.loads(r["epoch"]) for r in rows[:-1]] == [*range(1, 14)]
    assert json.loads(summary["events/curve fall/count"]) == 1
    assert json.loads(summary["events/curve fall/first"]) == 7
    (table,) = tmp_path.rglob("*.table.json")
    found = json.loads(table.read_text())
    events = [
        dict(zip(found["columns"], row, strict=True)) for row in found["data"]
    ]
    assert [{k: e[k] for k in FALL} for e in events] == [FALL, BROKEN]


def test_mlflow_has_metrics_and_an_artifact(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="make test-callbacks has it")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as run:
        fit(MlflowTracker())
    client = mlflow.MlflowClient()
    history = client.get_metric_history(
        run.info.run_id, "validation/task_accuracy"
    )
    assert [(m.step, m.value) for m in history] == [(5, 0), (10, 0), (13, 0)]
    (path,) = (tmp_path / "runs").rglob("events.json")
    events = json.loads(path.read_text())["events"]
    assert [{k: e[k] for k in FALL} for e in events] == [FALL, BROKEN]


def test_events_in_words():
    row = {**FALL, "found": 9, "before": 2.0, "after": 1.0}
    expected = "fall of curve from epoch 6 (2) to 7 (1), found at 9"
    assert sentence(row) == expected
