"""Checkpoints of the weights, on a schedule and around events."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tiny_gpt.callbacks.copies import WritesFiles, free_path
from tiny_gpt.callbacks.events import LossDropLogger
from tiny_gpt.callbacks.schedule import (
    Clock,
    Schedule,
    epochs_only,
    from_config,
)
from tiny_gpt.runtime.files import (
    DamagedFileError,
    hash_arrays,
    read_checkpoint,
    require_room,
    write_whole,
)

QUARTERS = Schedule(per_decade=4)
SUFFIX = ".weights.h5"
PAGE = 4096  # bytes; names and shapes take less than one per variable


@keras.saving.register_keras_serializable("tiny_gpt")
class CheckpointAtEvents(WritesFiles, keras.callbacks.Callback):
    """Saves weights on a sparse schedule, and around every event.

    ```python
    events = LossDropLogger(falls=["loss"])
    saved = CheckpointAtEvents("weights", events)
    model.fit(x, y, epochs=1000, callbacks=[events, saved])
    load_checkpoint("weights/epoch_000012.weights.h5", model)
    ```

    Files are those of `keras.Model.save_weights`, which `load_weights` opens.
    Beside each, "epoch_000012.json" has the epoch and the step, the reason
    why it was saved, the SHA-256 of the file, and one of the weights. No
    score chooses among the epochs.

    An event is found only after it has begun. So with `events`, the weights
    of the last epochs are kept in the folder as "recent_...", which are
    removed when the training ends. In memory there is one copy at a time.

    An epoch that is done again after a crash may have other weights: the
    files of the first time are renamed to "..._replaced", "..._replaced_2"
    and so on, not lost.

    Must be listed after `events`. Writes nothing into `logs`. A copy
    (`copy.deepcopy`, as a tuner makes one for each trial) writes into a folder
    of its own if the given one is taken: "weights_2", "weights_3", ...

    Args:
        folder: where the files go; made if missing.
        events: the callback that finds events; None for none.
        schedule: further epochs; by default 1, 2, 3, 6, 10, 18, 32, ...
        num_before: epochs saved before the change began, as far as they are
            kept.
        num_after: epochs saved after the change was found.
        num_kept: last epochs whose weights are kept, with `events`.

    Attributes:
        paths: files of this `fit`, in order of their epochs.
        saved: (epoch, file) of each, in the same order.

    Raises:
        ValueError: if a number is negative, or `num_kept` is below 1; in
            training, if another training that began at its first epoch left a
            file with other weights.
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
        self._recent: dict[int, dict[str, Any]] = {}  # by epoch, its info
        self._known: set[tuple[str, float]] = set()
        self._until = 0
        self._is_continued: bool | None = None

    @property
    def paths(self) -> list[Path]:
        """Files saved so far, in order of their epochs."""
        return [self._paths[epoch] for epoch in sorted(self._paths)]

    @property
    def saved(self) -> list[tuple[int, Path]]:
        """Epochs and files saved so far, in order."""
        return sorted(self._paths.items())

    def on_train_begin(self, logs=None):
        self._forget()
        self._learn_events()

    def on_epoch_begin(self, epoch, logs=None):
        if self._is_continued is None:
            self._begin(epoch)

    def _begin(self, epoch: int) -> None:
        self._is_continued = epoch > 0
        self._learn_events()
        self.folder = self.own_path(self.folder, epoch)
        for path in self.folder.glob("recent_*"):  # of a training that died
            path.unlink()

    def _learn_events(self) -> None:
        if self.events is not None:  # those before a break are not new
            self._known = set(map(_key, self.events.events))

    def on_epoch_end(self, epoch, logs=None):
        if self._is_continued is None:
            self._begin(epoch)
        number = epoch + 1
        new = []
        if self.events is not None:
            new = [e for e in self.events.events if _key(e) not in self._known]
            self._known |= set(map(_key, new))
        reasons = [f"around a change of {e.metric}" for e in new]
        for event, reason in zip(new, reasons, strict=True):
            first = event.change.start + 1 - self.num_before
            for kept in sorted(self._recent):
                if kept >= first:
                    self._promote(kept, reason)
            self._until = max(self._until, number + self.num_after)
        if number <= self._until:
            reasons.append("after an event")
        if self._clock.is_epoch_due(epoch, self.params):
            reasons.append("on schedule")
        if reasons or self.events is not None:
            self._keep(number)
        if reasons:
            self._promote(number, reasons[0])
        for old in [n for n in self._recent if n <= number - self.num_kept]:
            self._remove_recent(old)

    def on_train_end(self, logs=None):
        for epoch in list(self._recent):
            self._remove_recent(epoch)

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

    def _path(self, epoch: int, prefix: str = "epoch") -> Path:
        return self.folder / f"{prefix}_{epoch:06d}{SUFFIX}"

    def _keep(self, epoch: int) -> None:
        """Writes the weights of this epoch, as long as nobody asks for them."""
        model = self.model
        values = (
            np.asarray(keras.ops.convert_to_numpy(w.value))
            for w in model.weights
        )
        digest = hash_arrays(values)
        self._recent[epoch] = {
            "epoch": epoch,
            "step": self._step(epoch, model),
            "weights_hash": digest,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        _save_weights(model, self._path(epoch, "recent"))

    def _step(self, epoch: int, model: Any) -> int | None:
        if getattr(model, "optimizer", None) is not None:
            return self._clock.updates(model)
        steps = (self.params or {}).get("steps")
        return None if steps is None else epoch * steps

    def _remove_recent(self, epoch: int) -> None:
        del self._recent[epoch]
        self._path(epoch, "recent").unlink(missing_ok=True)

    def _promote(self, epoch: int, reason: str) -> None:
        """Turns the weights of a recent epoch into a checkpoint."""
        if epoch in self._paths:
            return
        path, recent = self._path(epoch), self._path(epoch, "recent")
        info = {**self._recent[epoch], "reason": reason}
        if not path.exists() or not _has_weights(path, info["weights_hash"]):
            if path.exists():
                self._set_aside(path)
            info["sha256"] = hashlib.sha256(recent.read_bytes()).hexdigest()
            # First: weights without it are not ours.
            text = f"{json.dumps(info, indent=2)}\n"
            write_whole(_beside(path), text.encode())
            os.replace(recent, path)
        self._remove_recent(epoch)
        self._paths[epoch] = path

    def _set_aside(self, path: Path) -> None:
        """Renames other weights of the same epoch, with what is said of them.

        Raises:
            ValueError: if they are of another training.
        """
        if not self._is_continued:
            raise ValueError(
                "A checkpoint is never replaced by other weights; choose "
                f"another folder. Received: {path}, which is there"
            )
        stem = path.name.removesuffix(SUFFIX)
        aside = free_path(path.with_name(f"{stem}_replaced{SUFFIX}"), SUFFIX)
        os.replace(path, aside)
        if _beside(path).exists():
            os.replace(_beside(path), _beside(aside))


def _save_weights(model: Any, path: Path) -> None:
    """Writes weights in one move; a full disk raises, and leaves nothing."""
    new = path.with_name(f"saving_{path.name}")
    try:
        # HDF5 would end the process.
        pages = 16 + len(model.weights)
        require_room(new, _num_bytes(model) + PAGE * pages)
        model.save_weights(new)
        with open(new, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _num_bytes(model: Any) -> int:
    return sum(8 * int(np.prod(weight.shape)) for weight in model.weights)


def _key(event: Any) -> tuple[str, float]:
    return f"{event.metric} {event.direction}", event.change.start


def _has_weights(path: Path, weights_hash: str) -> bool:
    """Tells whether a file is a whole checkpoint of some weights."""
    try:
        return bool(_read_info(path)["weights_hash"] == weights_hash)
    except (DamagedFileError, FileNotFoundError):
        return False


def _beside(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(SUFFIX) + ".json")


def _read_info(path: Path) -> dict[str, Any]:
    """Reads what is said of a checkpoint.

    Raises:
        DamagedFileError: if the file is not what was written.
    """
    try:
        info = json.loads(_beside(path).read_text())
        is_whole = (
            hashlib.sha256(path.read_bytes()).hexdigest() == info["sha256"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(f"{_beside(path)} is damaged") from error
    if not is_whole:
        raise DamagedFileError(
            f"{path} is damaged: its SHA-256 is not that of {_beside(path)}"
        )
    return info


def load_checkpoint(
    path: str | os.PathLike[str], model: keras.Model
) -> dict[str, Any]:
    """Gives a model the weights of a checkpoint, after its checksum is right.

    Args:
        path: file of `CheckpointAtEvents`; also one of the format before
            version 2, ".checkpoint".
        model: model of the same architecture.

    Returns:
        What is said of them: "epoch", "step", "reason", "weights_hash".

    Raises:
        FileNotFoundError: if there is no such file, or nothing beside it.
        ValueError: if the file is damaged, or holds other weights.
    """
    path = Path(path)
    if path.suffix == ".checkpoint":
        return _load_old(path, model)
    info = _read_info(path)
    kept = model.get_weights()
    try:
        model.load_weights(path)
    except Exception:
        model.set_weights(kept)
        raise
    values = (
        np.asarray(keras.ops.convert_to_numpy(w.value)) for w in model.weights
    )
    if hash_arrays(values) != info["weights_hash"]:
        model.set_weights(kept)
        raise ValueError(
            "The model must have the weights of the checkpoint, in type, too. "
            f"Received: {path} for a model of {len(kept)} weights"
        )
    return info


def _load_old(path: Path, model: keras.Model) -> dict[str, Any]:
    values, info = read_checkpoint(path)
    shapes = [tuple(weight.shape) for weight in model.weights]
    if [value.shape for value in values] != shapes:
        raise ValueError(
            "The model must have the weights of the checkpoint, of shapes "
            f"{[value.shape for value in values]}. Received: {shapes}"
        )
    model.set_weights(values)
    return info
