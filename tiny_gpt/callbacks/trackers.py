"""Scores and events where people look: TensorBoard, Weights & Biases, MLflow.

Each needs a package of its own, an extra of tiny_gpt.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from tiny_gpt.callbacks.copies import WritesFiles
from tiny_gpt.callbacks.measuring import Measuring, callbacks_of_fit
from tiny_gpt.runtime.checks import check_installed

TABLE = ("metric", "event", "start", "epoch", "found", "before", "after")


class _Tracker(keras.callbacks.Callback):
    """What the trackers share: which callbacks are listed with them."""

    def on_train_begin(self, logs=None):
        listed = callbacks_of_fit()
        self._loggers = [
            c for c in listed if hasattr(c, "rows") and _has_events(c)
        ]
        self._measures = [c for c in listed if isinstance(c, Measuring)]
        self._told: set[tuple[str, str, int]] = set()

    def _split(
        self, logs: Mapping[str, float]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Returns what was trained and what was validated, finite numbers.

        Scores of our callbacks are validated, as are Keras's "val_" keys,
        which lose their prefix. NaN is an epoch without a measurement.
        """
        scores = {k for c in self._measures for k in c.log_keys}
        trained, validated = {}, {}
        for key, value in logs.items():
            if not math.isfinite(float(value)):
                continue
            if key in scores or key.startswith("val_"):
                validated[key.removeprefix("val_")] = float(value)
            else:
                trained[key] = float(value)
        return trained, validated

    def _new_events(self) -> list[dict[str, Any]]:
        """Returns the events that were not told yet, as rows of `TABLE`."""
        new = []
        for row in self._events():
            key = row["metric"], row["event"], row["start"]
            if key not in self._told:
                self._told.add(key)
                new.append(row)
        return new

    def _events(self) -> list[dict[str, Any]]:
        return [event_row(row) for c in self._loggers for row in c.rows]


def _has_events(callback: Any) -> bool:
    from tiny_gpt.callbacks.events import LossDropLogger
    from tiny_gpt.callbacks.stability import LossSpikeLogger

    return isinstance(callback, (LossDropLogger, LossSpikeLogger))


def event_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row of `LossDropLogger` or `LossSpikeLogger` as one of `TABLE`.

    A spike has one epoch: it starts, is complete and is found there.
    """
    if "direction" in row:
        values = {**row, "event": row["direction"]}
    else:
        epoch = row["epoch"]
        values = {
            **row,
            "event": row["kind"],
            "start": epoch,
            "found": epoch,
            "before": row["level"],
            "after": row["value"],
        }
    return {name: values[name] for name in TABLE}


def sentence(row: Mapping[str, Any]) -> str:
    """Returns an event, a row of `TABLE`, in words."""
    text = f"{row['event']} of {row['metric']}"
    if row["start"] == row["epoch"]:
        return f"{text} in epoch {row['epoch']}: {row['after']:.4g}"
    return (
        f"{text} from epoch {row['start']} ({row['before']:.4g}) to "
        f"{row['epoch']} ({row['after']:.4g}), found at {row['found']}"
    )


class TensorBoardWriter:
    """Writes scalars and texts for TensorBoard, without TensorFlow.

    Args:
        folder: of one curve; TensorBoard calls it a run.

    Raises:
        MissingExtraError: without the package tensorboard.
    """

    def __init__(self, folder: Path):
        check_installed("tensorboard")
        from tensorboard.summary.writer.event_file_writer import (
            EventFileWriter,
        )

        self._writer = EventFileWriter(str(folder))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Writes one number of a curve."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        self._add(summary, step)

    def text(self, tag: str, text: str, step: int) -> None:
        """Writes a text, for the tab TEXT."""
        from tensorboard.plugins.text.summary_v2 import text_pb

        self._add(text_pb(tag, text), step)

    def _add(self, summary: Any, step: int) -> None:
        import time

        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time(), step=step, summary=summary)
        self._writer.add_event(event)

    def event(self, row: Mapping[str, Any], step: int) -> None:
        """Writes an event, a row of `TABLE`: a text and a marker.

        Args:
            row: the event.
            step: of its last epoch. The marker is a point there, as high as
                the change is large.
        """
        name = f"{row['metric']} {row['event']}"
        size = row["after"] - row["before"]
        self.text(f"events in words/{name}", sentence(row), step)
        if math.isfinite(size):
            self.scalar(f"events/{name}", abs(size), step)

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()


class TensorBoardTracker(WritesFiles, _Tracker):
    """Shows logs, task scores and events in TensorBoard.

    ```python
    model.fit(x, y, callbacks=[tasks, events, TensorBoardTracker("logs")])
    # tensorboard --logdir logs
    ```

    In place of `keras.callbacks.TensorBoard`: it needs no TensorFlow. Training
    is the run "train"; Keras's "val_" keys and the scores of our callbacks are
    the run "validation", under the same tags, "epoch_{key}". Events are texts
    and markers in "train", "events/loss fall". An epoch without a measurement
    has no point. Steps are epochs, counted from 0 as Keras counts them.

    Args:
        log_dir: folder; of the two runs "train" and "validation". Copies, as a
            tuner makes them, write into "logs_2", "logs_3", ... beside it:
            `tensorboard --logdir .` shows all.

    Raises:
        MissingExtraError: without the package tensorboard.
    """

    def __init__(self, log_dir: str | Path = "logs"):
        super().__init__()
        check_installed("tensorboard")
        self.log_dir = Path(log_dir)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._writers: dict[str, TensorBoardWriter] = {}
        self._is_open = False

    def on_epoch_begin(self, epoch, logs=None):
        if not self._is_open:
            self._is_open = True
            self.log_dir = self.own_path(self.log_dir, epoch, "")

    def _writer(self, run: str) -> TensorBoardWriter:
        if run not in self._writers:
            self._writers[run] = TensorBoardWriter(self.log_dir / run)
        return self._writers[run]

    def on_epoch_end(self, epoch, logs=None):
        trained, validated = self._split(logs or {})
        for run, values in (("train", trained), ("validation", validated)):
            for key, value in values.items():
                self._writer(run).scalar(f"epoch_{key}", value, epoch)
        for row in self._new_events():
            self._writer("train").event(row, row["epoch"] - 1)

    def on_train_end(self, logs=None):
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


class WandbTracker(_Tracker):
    """Shows logs, task scores and events in Weights & Biases.

    ```python
    run = wandb.init(project="digits")
    model.fit(x, y, callbacks=[tasks, events, WandbTracker(run)])
    ```

    Logs are "train/{key}" and "validation/{key}" against "epoch", counted
    from 1. When the training ends, the table "events" has all events; the
    summary has, for each kind, its number and its first epoch, e.g.
    "events/loss fall/first". It needs no TensorFlow.

    Args:
        run: a run of `wandb.init`; None for the current one.

    Raises:
        MissingExtraError: without the package wandb.
        ValueError: when training begins, if there is no run.
    """

    def __init__(self, run: Any = None):
        super().__init__()
        check_installed("wandb")
        self._run = run

    def on_train_begin(self, logs=None):
        import wandb

        super().on_train_begin(logs)
        self._run = self._run or wandb.run
        if self._run is None:
            raise ValueError(
                "There must be a run: call `wandb.init()`. Received: run=None"
            )

    def on_epoch_end(self, epoch, logs=None):
        trained, validated = self._split(logs or {})
        self._run.log(
            {
                "epoch": epoch + 1,
                **{f"train/{key}": v for key, v in trained.items()},
                **{f"validation/{key}": v for key, v in validated.items()},
            }
        )

    def on_train_end(self, logs=None):
        send_events(self._run, self._events())


def send_events(run: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Sends events, rows of `TABLE`, to a run of Weights & Biases."""
    import wandb

    data: list[Any] = [[row[name] for name in TABLE] for row in rows]
    run.log({"events": wandb.Table(columns=list(TABLE), data=data)})
    for name, value in summary_of(rows).items():
        run.summary[name] = value


def summary_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Returns the number and the first epoch of each kind of event."""
    summary: dict[str, int] = {}
    for row in rows:
        name = f"events/{row['metric']} {row['event']}"
        summary[f"{name}/count"] = summary.get(f"{name}/count", 0) + 1
        first = summary.get(f"{name}/first", row["epoch"])
        summary[f"{name}/first"] = min(first, row["epoch"])
    return summary


class MlflowTracker(_Tracker):
    """Shows logs, task scores and events in the current run of MLflow.

    ```python
    with mlflow.start_run():
        model.fit(x, y, callbacks=[tasks, events, MlflowTracker()])
    ```

    Metrics are "train/{key}" and "validation/{key}"; the artifact
    "events.json" has all events.

    Raises:
        MissingExtraError: without the package mlflow.
    """

    def __init__(self):
        super().__init__()
        check_installed("mlflow")

    def on_epoch_end(self, epoch, logs=None):
        import mlflow

        trained, validated = self._split(logs or {})
        metrics = {f"train/{key}": v for key, v in trained.items()}
        metrics |= {f"validation/{key}": v for key, v in validated.items()}
        mlflow.log_metrics(metrics, step=epoch + 1)

    def on_train_end(self, logs=None):
        import mlflow

        rows = self._events()
        mlflow.log_dict({"events": rows}, "events.json")
        mlflow.log_metrics({k: float(v) for k, v in summary_of(rows).items()})
