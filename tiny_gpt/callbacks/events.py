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
from tiny_gpt.analysis.events import DropDetector
from tiny_gpt.analysis.mirages import Event, mark_mirages
from tiny_gpt.callbacks.columns import check_watched
from tiny_gpt.callbacks.copies import WritesFiles
from tiny_gpt.callbacks.schedule import from_config
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.files import write_whole

METHODS = ("cusum", "threshold")
MIN_SIZE = 0.1  # nats, or a share of the answers
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
class LossDropLogger(WritesFiles, keras.callbacks.Callback):
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
        rises: keys watched for rises, e.g. accuracies. A key may be watched
            both ways.
        smooth: continuous partner by key, both watched.
        method: "cusum" or "threshold".
        min_size: smallest change that counts, in the unit of the key; or a
            dictionary of them by key, 0.1 for keys that it does not name.
        window: epochs over which a fall is measured, for "threshold".
        path: file of the events, `.jsonl` or `.csv`, written anew at each
            one; None for no file. A copy (`copy.deepcopy`, as a tuner makes
            them) that begins a training takes a path at which nothing is.
        on_event: called with each new row, e.g. to send a message.
        earlier_logs: logs of the epochs before, if a run continues
            (`read_logs`). Those of epochs that are done again are left out.

    Attributes:
        logs: values watched, of each epoch so far.
        events: the changes so far, a list of `analysis.mirages.Event`.

    Raises:
        ValueError: if nothing is watched, or an argument is out of range; in
            training, if a key is not in `logs`. Keras's "val_" keys may be
            missing in some epochs (`validation_freq`), which are left out.
    """

    def __init__(
        self,
        falls: Sequence[str] = ("loss",),
        rises: Sequence[str] = (),
        smooth: Mapping[str, str] | None = None,
        method: str = "cusum",
        min_size: float | Mapping[str, float] = MIN_SIZE,
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
        self._is_open = False
        self._check()
        self._reset()

    def _check(self) -> None:
        watched = self.watched
        for keys in (self.falls, self.rises):
            if not watched or len(set(keys)) < len(keys):
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
        sizes = self.min_size if isinstance(self.min_size, Mapping) else {}
        if unknown := set(sizes) - set(watched):
            raise ValueError(
                "`min_size` names keys that are watched. "
                f"Received: {sorted(unknown)}, which are not"
            )
        self._detectors = self._make_detectors()  # they check the numbers

    @property
    def watched(self) -> tuple[str, ...]:
        """Keys of `logs` that are read."""
        return tuple(dict.fromkeys(self.falls + self.rises))

    def _make_detectors(self) -> dict[tuple[str, str], Any]:
        """Returns a detector for each key and direction."""
        detectors: dict[tuple[str, str], Any] = {}
        for keys, direction in zip(
            (self.falls, self.rises), DIRECTIONS, strict=True
        ):
            for key in keys:
                size = self.min_size
                if isinstance(size, Mapping):
                    size = size.get(key, MIN_SIZE)
                detectors[key, direction] = (
                    ChangeDetector(direction, size)
                    if self.method == "cusum"
                    else DropDetector(size, self.window)
                )
        return detectors

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
            "min_size": dict(self.min_size)
            if isinstance(self.min_size, Mapping)
            else self.min_size,
            "window": self.window,
            "path": None if self.path is None else str(self.path),
        }

    def _reset(self, last: float = math.inf) -> None:
        """Starts anew, from the earlier logs up to some epoch."""
        self.logs: list[dict[str, float]] = []
        self._seen: set[str] = set()
        self._detectors = self._make_detectors()
        for number, log in enumerate(self.earlier_logs, start=1):
            epoch = int(log.get("epoch", number))
            if epoch <= last:
                self._take(epoch, log)
        self.events: list[Event] = self._all_events()

    def on_train_begin(self, logs=None):
        # A callback may serve several fit() calls; each is a new record. Its
        # place is known with its first epoch.
        self._reset()
        self._is_open = False

    def on_epoch_begin(self, epoch, logs=None):
        self._go_back(epoch)

    def _go_back(self, epoch: int) -> None:
        """Opens the file; leaves out epochs that are done again."""
        if not self._is_open:
            self._is_open = True
            if self.path is not None:
                self.path = self.own_path(self.path, epoch)
            self._write()
        if self.logs and self.logs[-1]["epoch"] > epoch:
            self._reset(epoch)
            self._write()

    def on_epoch_end(self, epoch, logs=None):
        self._go_back(epoch)
        if not self._take(epoch + 1, logs or {}):
            return
        known, self.events = self.events, self._all_events()
        self._write()
        if self.on_event is not None:
            starts = {(e.metric, e.direction, e.change.start) for e in known}
            for event in self.events:
                key = event.metric, event.direction, event.change.start
                if key not in starts:
                    self.on_event(_row(event))

    def _take(self, epoch: int, logs: Mapping[str, Any]) -> bool:
        """Takes the logs of an epoch; tells whether an event has changed."""
        check_watched(self.watched, logs, self._seen)
        values = {key: float(logs.get(key, math.nan)) for key in self.watched}
        self.logs.append({"epoch": epoch, **values})
        found = []
        for (key, direction), detector in self._detectors.items():
            value = values[key]
            if self.method == "threshold" and direction == "rise":
                value = -value
            found.append(detector.update(value, epoch))
        return any(change is not None for change in found)

    def _all_events(self) -> list[Event]:
        changes: dict[str, list[Change]] = {key: [] for key in self.watched}
        for (key, direction), detector in self._detectors.items():
            changes[key] += (
                detector.changes
                if self.method == "cusum"
                else _drops(detector, direction)
            )
        return mark_mirages(changes, self.smooth)

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


def _drops(detector: DropDetector, direction: str) -> list[Change]:
    sign = 1.0 if direction == DIRECTIONS[0] else -1.0
    return [
        Change(
            start=start,
            end=drop.epoch,
            time=drop.epoch,
            size=drop.size,
            before=sign * drop.before,
            after=sign * drop.after,
        )
        for start, drop in detector.drops
    ]


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
