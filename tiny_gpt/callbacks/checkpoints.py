"""Checkpoints of the weights, on a schedule and around events."""

import os
from collections import deque
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tiny_gpt.callbacks.events import LossDropLogger
from tiny_gpt.callbacks.schedule import Clock, Schedule, from_config
from tiny_gpt.callbacks.tasks import epochs_only
from tiny_gpt.runtime.files import (
    hash_arrays,
    read_checkpoint,
    write_checkpoint,
)

QUARTERS = Schedule(per_decade=4)


@keras.saving.register_keras_serializable("tiny_gpt")
class CheckpointAtEvents(keras.callbacks.Callback):
    """Saves weights on a sparse schedule, and around every event.

    ```python
    events = LossDropLogger(falls=["loss"])
    saved = CheckpointAtEvents("weights", events)
    model.fit(x, y, epochs=1000, callbacks=[events, saved])
    load_checkpoint("weights/epoch_000012.checkpoint", model)
    ```

    A file holds the weights, their epoch and step, the reason why they were
    saved, and their SHA-256. No score chooses among the epochs. An event is
    found only after it has begun, so the last weights are kept in memory.

    Must be listed after `events`. Writes nothing into `logs`.

    Args:
        folder: where the files go, "epoch_000012.checkpoint"; made if
            missing.
        events: the callback that finds events; None for none.
        schedule: further epochs; by default 1, 2, 3, 6, 10, 18, 32, ...
        num_before: epochs saved before the change began, as far as they are
            in memory.
        num_after: epochs saved after the change was found.
        num_kept: last epochs whose weights are kept in memory.

    Attributes:
        paths: files of this `fit`, in order of their epochs.

    Raises:
        ValueError: if a number is negative, or `num_kept` is below 1; in
            training, if a file exists with other weights.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        events: LossDropLogger | None = None,
        schedule: int | Schedule = QUARTERS,
        num_before: int = 1,
        num_after: int = 1,
        num_kept: int = 8,
    ):
        super().__init__()
        for name, value, least in (
            ("num_before", num_before, 0),
            ("num_after", num_after, 0),
            ("num_kept", num_kept, 1),
        ):
            if value < least:
                raise ValueError(
                    f"`{name}` must be at least {least}. "
                    f"Received: {name}={value}"
                )
        self.folder = Path(folder)
        self.events = events
        self.num_before, self.num_after = num_before, num_after
        self.num_kept = num_kept
        self._clock = Clock(epochs_only(schedule))
        self._forget()

    def _forget(self) -> None:
        self._paths: dict[int, Path] = {}
        # (epoch, step, names, values) of the last epochs.
        self._kept: deque[tuple[int, int | None, list[str], list]] = deque(
            maxlen=self.num_kept
        )
        self._known: set[tuple[str, float]] = set()
        self._until = 0

    @property
    def paths(self) -> list[Path]:
        """Files saved so far, in order of their epochs."""
        return [self._paths[epoch] for epoch in sorted(self._paths)]

    def on_train_begin(self, logs=None):
        self._forget()
        if self.events is not None:  # those before a break are not new
            self._known = set(map(_key, self.events.events))

    def on_epoch_end(self, epoch, logs=None):
        number = epoch + 1
        weights = self.model.weights
        steps = (self.params or {}).get("steps")
        step = None if steps is None else number * steps
        values = [
            np.array(keras.ops.convert_to_numpy(w.value)) for w in weights
        ]
        names = [w.path for w in weights]
        self._kept.append((number, step, names, values))
        new = []
        if self.events is not None:
            new = [e for e in self.events.events if _key(e) not in self._known]
            self._known |= set(map(_key, new))
        for event in new:
            first = event.change.start + 1 - self.num_before
            reason = f"around a change of {event.metric}"
            for kept in self._kept:
                if kept[0] >= first:
                    self._save(kept, reason)
            self._until = max(self._until, number + self.num_after)
        if number <= self._until:
            self._save(self._kept[-1], "after an event")
        if self._clock.is_epoch_due(epoch, self.params):
            self._save(self._kept[-1], "on schedule")

    from_config = classmethod(from_config)

    def get_config(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "events": self.events,
            "schedule": self._clock.schedule,
            "num_before": self.num_before,
            "num_after": self.num_after,
            "num_kept": self.num_kept,
        }

    def _save(self, kept, reason: str) -> None:
        epoch, step, names, values = kept
        if epoch in self._paths:
            return
        path = self.folder / f"epoch_{epoch:06d}.checkpoint"
        digest = hash_arrays(values)
        if path.exists():
            found = read_checkpoint(path)[1]["weights_hash"]
            if found != digest:
                raise ValueError(
                    "A checkpoint is never replaced by other weights; choose "
                    f"another folder. Received: {path}, of SHA-256 {found}"
                )
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            info = {
                "epoch": epoch,
                "step": step,
                "reason": reason,
                "names": names,
                "weights_hash": digest,
            }
            write_checkpoint(path, values, info)
        self._paths[epoch] = path


def _key(event: Any) -> tuple[str, float]:
    return event.metric, event.change.start


def load_checkpoint(
    path: str | os.PathLike[str], model: keras.Model
) -> dict[str, Any]:
    """Gives a model the weights of a checkpoint.

    Args:
        path: file of `CheckpointAtEvents`.
        model: model of the same architecture.

    Returns:
        The file's description of them: "epoch", "step", "reason", "names",
        "weights_hash".

    Raises:
        ValueError: if the file is damaged, or holds other weights.
    """
    values, info = read_checkpoint(Path(path))
    shapes = [tuple(weight.shape) for weight in model.weights]
    if [value.shape for value in values] != shapes:
        raise ValueError(
            "The model must have the weights of the checkpoint, of shapes "
            f"{[value.shape for value in values]}. Received: {shapes}"
        )
    model.set_weights(values)
    return info
