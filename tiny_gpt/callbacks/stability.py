"""Spikes of a loss, NaN, and losses that run away."""

import itertools
import json
import math
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from tiny_gpt.analysis.spikes import SpikeDetector
from tiny_gpt.callbacks.checkpoints import CheckpointAtEvents, load_checkpoint
from tiny_gpt.callbacks.columns import check_watched
from tiny_gpt.callbacks.copies import WritesFiles
from tiny_gpt.callbacks.measuring import callbacks_of_fit
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.files import write_whole

KINDS = ("spike", "not_finite", "runaway")
ACTIONS = ("stop", "restore", "lower")


class LossSpikeLogger(WritesFiles, keras.callbacks.Callback):
    """Records spikes of losses, NaN and runaway, and may act on them.

    ```python
    saved = CheckpointAtEvents("weights")
    spikes = LossSpikeLogger(
        action={"not_finite": "restore", "runaway": "lower"}, checkpoints=saved
    )
    model.fit(x, y, epochs=100, callbacks=[saved, spikes])
    spikes.rows  # [{"metric": "loss", "kind": "spike", "epoch": 12, ...}]
    ```

    There are three kinds of events, each named once for a spell of epochs:

    - "spike": a value far above the line through the last values, by
      `min_size` and beyond the curve's own noise
      (`analysis.spikes.SpikeDetector`). A rise that lasts is a rise, too:
      `LossDropLogger(rises=["loss"])`.
    - "not_finite": NaN or infinity. NaN of a key that one of our callbacks
      writes means an epoch without a measurement, and is left out.
    - "runaway": `patience` epochs one after the other are each higher than
      the one before, and end `min_size` above the lowest value so far.

    It looks at the end of epochs only; `keras.callbacks.TerminateOnNaN` looks
    at each batch, and stops. Reads the watched keys, so it must be listed
    after the callbacks that write them. Writes nothing into `logs`. Starts
    anew with each `fit`.

    Args:
        keys: keys of `logs`, e.g. losses.
        min_size: smallest rise that counts, in the unit of the key; or a
            dictionary of them by key, 0.1 for keys that it does not name.
        patience: epochs of a runaway.
        action: what is done at an event, or a dictionary by kind. "stop" ends
            the training; "restore" gives the model the weights of the last
            checkpoint from before the event; "lower" multiplies the learning
            rate with `factor`. None for nothing.
        factor: of "lower", between 0 and 1.
        checkpoints: of "restore"; listed before this callback.
        path: file of the events, `.jsonl`, written anew at each one; None for
            no file. A copy (`copy.deepcopy`, as a tuner makes them) that
            begins a training takes a path at which nothing is.
        on_event: called with each new row, e.g. to send a message.

    Attributes:
        rows: the events so far, dictionaries of "metric", "kind", "epoch",
            "value", "level" (what was expected, or the lowest value) and
            "action" (what was done, None for nothing).

    Raises:
        ValueError: if nothing is watched, or an argument is out of range; when
            training begins, if the rate cannot be lowered; in training, if a
            key is not in `logs`.
    """

    def __init__(
        self,
        keys: Sequence[str] = ("loss",),
        min_size: float | Mapping[str, float] = 0.1,
        patience: int = 5,
        action: str | Mapping[str, str | None] | None = None,
        factor: float = 0.5,
        checkpoints: CheckpointAtEvents | None = None,
        path: str | os.PathLike[str] | None = None,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ):
        super().__init__()
        self.watched = tuple(keys)
        if isinstance(keys, str) or not keys:
            raise ValueError(f"`keys` is a list of keys. Received: {keys!r}")
        sizes = min_size if isinstance(min_size, Mapping) else {}
        default = 0.1 if isinstance(min_size, Mapping) else min_size
        self._sizes = {key: sizes.get(key, default) for key in keys}
        if unknown := set(sizes) - set(keys):
            raise ValueError(
                "`min_size` names keys that are watched. "
                f"Received: {sorted(unknown)}, which are not"
            )
        if patience < 2 or not 0 < factor < 1:
            raise ValueError(
                "`patience` is at least 2, `factor` between 0 and 1. "
                f"Received: patience={patience}, factor={factor}"
            )
        actions = (
            action
            if isinstance(action, Mapping)
            else dict.fromkeys(KINDS, action)
        )
        for kind, act in actions.items():
            check_choice("kind", kind, KINDS)
            if act is not None:
                check_choice("action", act, ACTIONS)
        self._actions = dict(actions)
        if "restore" in actions.values() and checkpoints is None:
            raise ValueError(
                'The action "restore" needs `checkpoints`. '
                "Received: checkpoints=None"
            )
        self.patience, self.factor = patience, factor
        self.checkpoints = checkpoints
        self.path = None if path is None else Path(path)
        if self.path is not None and self.path.suffix != ".jsonl":
            raise ValueError(
                f"`path` must end in .jsonl. Received: path={str(path)!r}"
            )
        self.on_event = on_event
        self._is_open = False
        self._reset()

    def _reset(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._seen: set[str] = set()
        self._curves = {
            key: _Curve(size, self.patience)
            for key, size in self._sizes.items()
        }

    def on_train_begin(self, logs=None):
        self._reset()
        self._is_open = False
        self._sparse = {
            key
            for callback in callbacks_of_fit()
            for key in getattr(callback, "log_keys", ())
        }
        if "lower" in self._actions.values():
            self._rate()

    def _rate(self) -> float:
        optimizer = self.model.optimizer
        if not isinstance(
            getattr(optimizer, "_learning_rate", None), keras.Variable
        ):
            raise ValueError(
                "A learning rate that follows a schedule cannot be lowered. "
                f"Received: optimizer {type(optimizer).__name__}"
            )
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))

    def on_epoch_begin(self, epoch, logs=None):
        if not self._is_open:  # the place is known with the first epoch
            self._is_open = True
            if self.path is not None:
                self.path = self.own_path(self.path, epoch)
            self._write()

    def on_epoch_end(self, epoch, logs=None):
        self.on_epoch_begin(epoch)
        logs = logs or {}
        check_watched(self.watched, logs, self._seen)
        new = []
        for key, curve in self._curves.items():
            value = float(logs.get(key, math.nan))
            is_missing = key not in logs or (
                math.isnan(value) and key in self._sparse
            )
            if is_missing:
                continue
            for kind, level in curve.update(value, epoch + 1):
                new.append(
                    {
                        "metric": key,
                        "kind": kind,
                        "epoch": epoch + 1,
                        "value": value,
                        "level": level,
                        "action": None,
                    }
                )
        for action in dict.fromkeys(self._actions.get(r["kind"]) for r in new):
            if action is not None and self._act(action, epoch + 1):
                for row in new:
                    if self._actions.get(row["kind"]) == action:
                        row["action"] = action
        self.rows += new
        if new:
            self._write()
        if self.on_event is not None:
            for row in new:
                self.on_event(row)

    def _act(self, action: str, epoch: int) -> bool:
        """Does something about an event; tells whether it could."""
        if action == "stop":
            self.model.stop_training = True
        elif action == "lower":
            self.model.optimizer.learning_rate = self._rate() * self.factor
        else:
            saved = self.checkpoints.saved if self.checkpoints else []
            before = [path for number, path in saved if number < epoch]
            if not before:
                return False
            load_checkpoint(before[-1], self.model)
            for curve in self._curves.values():
                curve.forget()
        return True

    def _write(self) -> None:
        if self.path is not None:
            text = "".join(
                json.dumps(
                    {
                        k: v
                        if not isinstance(v, float) or math.isfinite(v)
                        else None
                        for k, v in row.items()
                    }
                )
                + "\n"
                for row in self.rows
            )
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, text.encode())


class _Curve:
    """What is known of one key."""

    def __init__(self, min_size: float, patience: int):
        self._min_size, self._patience = min_size, patience
        self._detector = SpikeDetector(min_size)
        self.forget()

    def forget(self) -> None:
        """Begins anew, e.g. with other weights."""
        self._detector.reset()
        self._last: deque[float] = deque(maxlen=self._patience + 1)
        self._lowest = math.inf
        self._going: set[str] = set()

    def update(self, value: float, epoch: int) -> list[tuple[str, float]]:
        """Returns the kinds of events that begin here, and their levels."""
        found = {}
        if not math.isfinite(value):
            found["not_finite"] = (
                self._lowest if math.isfinite(self._lowest) else math.nan
            )
        else:
            expected = self._detector.update(value, epoch)
            if expected is not None:
                found["spike"] = expected
            self._last.append(value)
            self._lowest = min(self._lowest, value)
            values = list(self._last)
            is_rising = len(values) > self._patience and all(
                a < b for a, b in itertools.pairwise(values)
            )
            if is_rising and value - self._lowest >= self._min_size:
                found["runaway"] = self._lowest
        new = [(k, level) for k, level in found.items() if k not in self._going]
        self._going = set(found)
        return new
