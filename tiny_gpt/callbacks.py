"""Callbacks for any Keras project: accuracy and loss by task, loss drops.

They need keras and NumPy alone, and know nothing of languages.
"""

import csv
import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tiny_gpt.analysis.events import LossDrop, find_loss_drops

Tasks = Mapping[str, tuple[np.ndarray, np.ndarray]]
Score = Callable[[np.ndarray, np.ndarray], float]


def _argmax_of_model(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    return np.argmax(np.asarray(model.predict_on_batch(inputs)), axis=-1)


def _share_equal(predicted: np.ndarray, target: np.ndarray) -> float:
    return float(np.mean(np.asarray(predicted) == np.asarray(target)))


def _is_due(callback: Any, epoch: int) -> bool:
    is_last = epoch + 1 == callback.params.get("epochs")
    return is_last or (epoch + 1) % callback.every == 0


class TaskAccuracy(keras.callbacks.Callback):
    """Scores a model on several named tasks at the end of epochs.

    Each task is scored in one batch, and each score goes into `logs` under
    the key "{task}_{score}", so that it reaches `History` and the progress
    bar; callbacks that read it (CSVLogger, ModelCheckpoint, EarlyStopping,
    TensorBoard) must be listed after this one. An epoch without a score gets
    NaN, so that the keys are the same every epoch.

    ```python
    tasks = {"digits": (x_digits, y_digits), "letters": (x_letters, y_letters)}
    model.fit(x, y, callbacks=[TaskAccuracy(tasks), CSVLogger("log.csv")])
    ```

    Args:
        tasks: inputs and right answers by task name; or a function from the
            epoch, counted from 1, to such a dictionary, for fresh tasks every
            time (the names must not change).
        predict: from (model, inputs) to answers; by default the argmax over
            the last axis of the model's output.
        scores: score functions of (answers, right answers), by name; by
            default {"accuracy": share of equal entries}.
        every: epochs between evaluations, counted from the first epoch of
            training; the last epoch of `fit` is always evaluated.

    Raises:
        ValueError: if there is no task, a name holds "/" (TensorBoard and
            file names), or `every` is below 1.
    """

    def __init__(
        self,
        tasks: Tasks | Callable[[int], Tasks],
        predict: Callable[[Any, np.ndarray], np.ndarray] = _argmax_of_model,
        scores: Mapping[str, Score] | None = None,
        every: int = 1,
    ):
        super().__init__()
        self.scores = dict(scores or {"accuracy": _share_equal})
        self._tasks_at = tasks if callable(tasks) else lambda epoch: tasks
        self._names = tuple(self._tasks_at(1))
        self._predict = predict
        self.every = every
        if not self._names:
            raise ValueError(f"There must be a task. Received: tasks={tasks}")
        for name in (*self._names, *self.scores):
            if "/" in name:
                raise ValueError(
                    f"Names cannot hold '/'. Received: name={name!r}"
                )
        if every < 1:
            raise ValueError(
                f"`every` must be at least 1. Received: every={every}"
            )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys written into `logs` every epoch."""
        return tuple(f"{t}_{s}" for t in self._names for s in self.scores)

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        if not _is_due(self, epoch):
            logs.update(dict.fromkeys(self.keys, math.nan))
            return
        model = self.model  # on JAX each access copies the training state
        tasks = self._tasks_at(epoch + 1)
        for name in self._names:
            inputs, target = tasks[name]
            answers = self._predict(model, inputs)
            for score, function in self.scores.items():
                logs[f"{name}_{score}"] = float(function(answers, target))


class LossByTask(keras.callbacks.Callback):
    """Measures the loss of parts of a text at the end of epochs.

    The model reads fixed inputs in one batch; each part is the mean
    cross-entropy of the targets that a mask selects, in nats, and goes into
    `logs` under the key "{part}_loss", plain floats, NaN in an epoch without
    a measurement. Callbacks that read it must be listed after this one.

    ```python
    parts = {"digits": y < 10, "letters": y >= 10}
    model.fit(x, y, callbacks=[LossByTask(x, y, parts), CSVLogger("log.csv")])
    ```

    Args:
        inputs: what the model reads, shape (B, ...).
        targets: right classes, integers of the shape of the model's output
            without its last axis.
        parts: masks by name, booleans of the shape of `targets`.
        every: epochs between measurements; the last epoch of `fit` always
            has one.

    Raises:
        ValueError: if a mask has another shape or selects nothing, or
            `every` is below 1.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        parts: Mapping[str, np.ndarray],
        every: int = 1,
    ):
        super().__init__()
        self.every = every
        self._inputs, self._targets = inputs, targets
        self._parts = dict(parts)
        for name, mask in self._parts.items():
            if mask.shape != targets.shape or not mask.any():
                raise ValueError(
                    "A part selects targets by a mask of their shape, "
                    f"{targets.shape}. Received: part {name!r} of shape "
                    f"{mask.shape}, {int(mask.sum())} selected"
                )
        if every < 1:
            raise ValueError(
                f"`every` must be at least 1. Received: every={every}"
            )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys written into `logs` every epoch."""
        return tuple(f"{name}_loss" for name in self._parts)

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        if not _is_due(self, epoch):
            logs.update(dict.fromkeys(self.keys, math.nan))
            return
        logits = np.asarray(self.model.predict_on_batch(self._inputs))
        logits = logits - logits.max(axis=-1, keepdims=True)
        right = np.take_along_axis(logits, self._targets[..., None], axis=-1)
        losses = np.log(np.exp(logits).sum(axis=-1)) - right[..., 0]
        for name, mask in self._parts.items():
            logs[f"{name}_loss"] = float(losses[mask].mean())


class LossDropLogger(keras.callbacks.Callback):
    """Records the epochs at which the training loss drops.

    The rule is `find_loss_drops`, so saved losses give the same events.

    ```python
    logger = LossDropLogger(min_drop=0.1, path="drops.csv")
    model.fit(x, y, epochs=100, callbacks=[logger])
    logger.events  # [LossDrop(epoch=12, size=0.31, before=1.2, after=0.89)]
    ```

    Args:
        min_drop: smallest fall that counts, nats per token.
        window: epochs over which the fall is measured.
        monitor: key of `logs` that is watched.
        path: CSV file that holds the events, rewritten at each one; None
            for no file.
        earlier_values: values of the epochs before, where a run continues.

    Attributes:
        values: `monitor` at the end of each epoch so far.
        events: the drops so far, a list of `LossDrop`.

    Raises:
        ValueError: if `min_drop` is not positive or `window` below 1; in
            training, if `monitor` is not in `logs`.
    """

    def __init__(
        self,
        min_drop: float = 0.1,
        window: int = 5,
        monitor: str = "loss",
        path: str | os.PathLike[str] | None = None,
        earlier_values: Sequence[float] = (),
    ):
        super().__init__()
        find_loss_drops([], min_drop, window)  # checks the arguments
        self.min_drop = min_drop
        self.window = window
        self.monitor = monitor
        self.path = None if path is None else Path(path)
        self.earlier_values = tuple(earlier_values)
        self.values: list[float] = []
        self.events: list[LossDrop] = []
        self._epochs_before = 0

    def on_train_begin(self, logs=None):
        # A callback may serve several fit() calls; each is a new record.
        self.values = list(self.earlier_values)
        self._epochs_before = 0
        self._find()
        self._write()

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor not in (logs or {}):
            raise ValueError(
                "`monitor` must be a key of the training logs, "
                f"{sorted(logs or {})}. Received: monitor={self.monitor!r}"
            )
        known = len(self.events)
        self.values.append(float(logs[self.monitor]))
        # A fit with an initial_epoch counts from there.
        self._epochs_before = epoch + 1 - len(self.values)
        self._find()
        if len(self.events) > known:
            self._write()

    def _find(self):
        drops = find_loss_drops(self.values, self.min_drop, self.window)
        self.events = [
            dataclasses.replace(d, epoch=d.epoch + self._epochs_before)
            for d in drops
        ]

    def _write(self):
        if self.path is None:
            return
        temporary = self.path.with_name(self.path.name + ".tmp")
        with open(temporary, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(LossDrop.__dataclass_fields__)
            writer.writerows(
                (e.epoch, e.size, e.before, e.after) for e in self.events
            )
        os.replace(temporary, self.path)
