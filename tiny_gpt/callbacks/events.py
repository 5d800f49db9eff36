"""Training events: falls of losses and jumps of accuracies."""

import csv
import dataclasses
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from tiny_gpt.analysis.changes import (
    DIRECTIONS,
    Change,
    ChangeDetector,
)
from tiny_gpt.analysis.events import find_loss_drops
from tiny_gpt.analysis.mirages import Event, mark_mirages
from tiny_gpt.callbacks.schedule import from_config
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.files import write_whole

METHODS = ("cusum", "threshold")
FIELDS = (
    "metric",
    "direction",
    "start",
    "epoch",
    "found",
    "size",
    "before",
    "after",
    "together",
    "is_suspect",
)


@keras.saving.register_keras_serializable("tiny_gpt")
class LossDropLogger(keras.callbacks.Callback):
    """Records where losses drop and accuracies jump.

    ```python
    events = LossDropLogger(
        falls=["loss", "letters_loss"],
        rises=["letters_accuracy"],
        smooth={"letters_accuracy": "letters_loss"},
        path="events.jsonl",
    )
    model.fit(x, y, epochs=100, callbacks=[TaskAccuracy(tasks), events])
    events.rows  # [{"metric": "loss", "start": 8, "epoch": 12, ...}]
    ```

    There are two methods. "cusum" detects change points while the model
    trains. It forecasts the curve from its own recent trend and noise, and
    adds up the errors (Page 1954; `analysis.changes.ChangeDetector`).
    "threshold" finds a fall of `min_size` within `window` epochs
    (`find_loss_drops`). Both look only backwards, so saved logs give the same
    events. A jump of a score is suspect if its continuous partner in `smooth`
    does not change: the ability may have grown smoothly (Schaeffer et al.
    2023).

    Reads the watched keys, so it must be listed after the callbacks that
    write them. Writes nothing into `logs`. Starts anew with each `fit`.

    Args:
        falls: keys of `logs` watched for falls, e.g. losses.
        rises: keys watched for rises, e.g. accuracies.
        smooth: continuous partner by key, both watched.
        method: "cusum" or "threshold".
        min_size: smallest change that counts, in the unit of the key.
        window: epochs over which a fall is measured, for "threshold".
        path: file of the events, `.jsonl` or `.csv`, written anew at each
            one; None for no file.
        on_event: called with each new row, e.g. to send a message.
        earlier_logs: logs of the epochs before, if a run continues
            (`read_logs`).

    Attributes:
        logs: values watched, of each epoch so far.
        events: the changes so far, a list of `analysis.mirages.Event`.

    Raises:
        ValueError: if nothing is watched, or an argument is out of range; in
            training, if a key is not in `logs`.
    """

    def __init__(
        self,
        falls: Sequence[str] = ("loss",),
        rises: Sequence[str] = (),
        smooth: Mapping[str, str] | None = None,
        method: str = "cusum",
        min_size: float = 0.1,
        window: int = 5,
        path: str | os.PathLike[str] | None = None,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        earlier_logs: Sequence[Mapping[str, float]] = (),
    ):
        super().__init__()
        if isinstance(falls, str) or isinstance(rises, str):
            raise ValueError(
                "`falls` and `rises` are lists of keys. "
                f"Received: falls={falls!r}, rises={rises!r}"
            )
        self.falls, self.rises = tuple(falls), tuple(rises)
        self.smooth = dict(smooth or {})
        self.method, self.min_size, self.window = method, min_size, window
        self.path = None if path is None else Path(path)
        self.on_event = on_event
        self.earlier_logs = [dict(log) for log in earlier_logs]
        self._check()
        self._reset()

    def _check(self) -> None:
        watched = self.watched
        if not watched or len(set(watched)) < len(watched):
            raise ValueError(
                "There must be keys to watch, each once. "
                f"Received: falls={self.falls}, rises={self.rises}"
            )
        unknown = {*self.smooth, *self.smooth.values()} - set(watched)
        if unknown:
            raise ValueError(
                "`smooth` names keys that are watched. "
                f"Received: {sorted(unknown)}, which are not"
            )
        check_choice("method", self.method, METHODS)
        if self.path is not None and self.path.suffix not in (".jsonl", ".csv"):
            raise ValueError(
                "`path` must end in .jsonl or .csv. "
                f"Received: path={str(self.path)!r}"
            )
        # They check the numbers.
        ChangeDetector(min_size=self.min_size)
        find_loss_drops([], self.min_size, self.window)

    @property
    def watched(self) -> tuple[str, ...]:
        """Keys of `logs` that are read."""
        return self.falls + self.rises

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The events so far, as dictionaries with the keys `FIELDS`.

        "start" is the last epoch before a change, "epoch" the one at which the
        change was complete, "found" the one at which it was detected.
        """
        return [_row(event) for event in self.events]

    def frame(self) -> Any:
        """Returns the events as a pandas frame, columns `FIELDS`."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(FIELDS))

    from_config = classmethod(from_config)

    def get_config(self) -> dict[str, Any]:
        return {
            "falls": list(self.falls),
            "rises": list(self.rises),
            "smooth": self.smooth,
            "method": self.method,
            "min_size": self.min_size,
            "window": self.window,
            "path": None if self.path is None else str(self.path),
        }

    def _reset(self) -> None:
        self.logs: list[dict[str, float]] = []
        self.events: list[Event] = []
        self._detectors = {
            key: ChangeDetector(direction, self.min_size)
            for keys, direction in zip(
                (self.falls, self.rises), DIRECTIONS, strict=True
            )
            for key in keys
        }
        for epoch, log in enumerate(self.earlier_logs, start=1):
            self._take(epoch, log)
        self.events = self._all_events()

    def on_train_begin(self, logs=None):
        # A callback may serve several fit() calls; each is a new record.
        self._reset()
        self._write()

    def on_epoch_end(self, epoch, logs=None):
        self._take(epoch + 1, logs or {})
        known, self.events = self.events, self._all_events()
        if self.events == known:
            return
        self._write()
        if self.on_event is not None:
            starts = {(e.metric, e.change.start) for e in known}
            for event in self.events:
                if (event.metric, event.change.start) not in starts:
                    self.on_event(_row(event))

    def _take(self, epoch: int, logs: Mapping[str, Any]) -> None:
        missing = [key for key in self.watched if key not in logs]
        if missing:
            raise ValueError(
                "A key that is watched must be in the logs, so the callback "
                f"that writes it is listed before; they have {sorted(logs)}. "
                f"Received: {missing}"
            )
        values = {key: float(logs[key]) for key in self.watched}
        self.logs.append({"epoch": epoch, **values})

        if self.method == "cusum":
            for key, value in values.items():
                self._detectors[key].update(value, epoch)

    def _all_events(self) -> list[Event]:
        changes = {
            key: list(self._detectors[key].changes)
            if self.method == "cusum"
            else self._drops(key)
            for key in self.watched
        }
        return mark_mirages(changes, self.smooth)

    def _drops(self, key: str) -> list[Change]:
        logs = [log for log in self.logs if math.isfinite(log[key])]
        times = [log["epoch"] for log in logs]
        sign = 1.0 if key in self.falls else -1.0
        drops = find_loss_drops(
            [sign * log[key] for log in logs], self.min_size, self.window
        )
        return [
            Change(
                start=times[drop.epoch - 1 - self.window],
                end=times[drop.epoch - 1],
                time=times[drop.epoch - 1],
                size=drop.size,
                before=sign * drop.before,
                after=sign * drop.after,
            )
            for drop in drops
        ]

    def _write(self) -> None:
        if self.path is None:
            return
        rows = self.rows
        if self.path.suffix == ".jsonl":
            text = "".join(json.dumps(row) + "\n" for row in rows)
        else:
            table = io.StringIO()
            writer = csv.DictWriter(table, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(
                {**row, "together": " ".join(row["together"])} for row in rows
            )
            text = table.getvalue()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, text.encode())


def _row(event: Event) -> dict[str, Any]:
    change = dataclasses.asdict(event.change)
    for name, of_change in (
        ("start", "start"),
        ("epoch", "end"),
        ("found", "time"),
    ):
        change[name] = int(change.pop(of_change))
    values = {
        **change,
        "metric": event.metric,
        "direction": event.direction,
        "together": list(event.together),
        "is_suspect": event.is_suspect,
    }
    return {field: values[field] for field in FIELDS}
