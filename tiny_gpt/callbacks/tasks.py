"""Accuracy and loss of several named tasks during training."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from tiny_gpt.callbacks.columns import ALL, Column, column
from tiny_gpt.callbacks.schedule import Clock, Schedule, as_schedule

Data = tuple[Any, Any]
Tasks = Mapping[str, "Data | Callable[[Any], float]"]
Score = Callable[[Any, Any], float]


def predict(model: Any, inputs: Any, batch_size: int | None = None) -> Any:
    """Returns a model's outputs, from batches of one shape.

    The last batch is filled up with its last row, so that the model is
    compiled once.

    Args:
        model: has `predict_on_batch`, as `keras.Model` has.
        inputs: array, or dictionary or list of arrays, of N rows each.
        batch_size: rows per batch; None for all in one.

    Returns:
        NumPy arrays, N rows each, in the structure of the output.
    """
    count = len(keras.tree.flatten(inputs)[0])
    size = min(batch_size or count, count)
    parts = []
    for first in range(0, count, size):
        rows = np.minimum(np.arange(first, first + size), count - 1)
        batch = inputs
        if size < count:
            batch = keras.tree.map_structure(
                lambda x, rows=rows: np.asarray(x)[rows], inputs
            )
        outputs = model.predict_on_batch(batch)
        parts.append(keras.tree.map_structure(np.asarray, outputs))
    if len(parts) == 1:
        return parts[0]
    return keras.tree.map_structure(
        lambda *arrays: np.concatenate(arrays)[:count], *parts
    )


def accuracy(outputs: np.ndarray, target: np.ndarray) -> float:
    """Returns the share of right classes in outputs of shape (..., classes)."""
    return float(np.mean(np.argmax(outputs, axis=-1) == np.asarray(target)))


class TaskAccuracy(keras.callbacks.Callback):
    """Scores a model on several named evaluation sets while it trains.

    ```python
    tasks = {"digits": (x_digits, y_digits), "letters": (x_letters, y_letters)}
    model.fit(x, y, callbacks=[TaskAccuracy(tasks), CSVLogger("log.csv")])
    ```

    At the end of each epoch, each score goes into `logs` as a plain float. It
    reaches `History` and the progress bar. Other callbacks that read it
    (CSVLogger, TensorBoard, ModelCheckpoint, EarlyStopping,
    WandbMetricsLogger) must be listed after this one. An epoch without a
    score gets NaN, so that the keys are the same every epoch.

    Writes: "{task}_{score}"; "{task}" if a task is a function.

    Args:
        tasks: a dictionary by name. A task is a pair of inputs and right
            answers, or a function of the model that returns a number. For
            fresh tasks every time, a function from the epoch, counted from 1,
            to such a dictionary; the names must not change.
        predict: from (model, inputs) to outputs; by default `predict` with
            `batch_size`.
        scores: by name, functions of (outputs, right answers), or Keras
            metrics; by default {"accuracy": `accuracy`}.
        every: epochs between evaluations, or a `Schedule`; the last epoch of
            `fit` is always evaluated. With a schedule of steps, a training on
            JAX waits for each step.
        batch_size: inputs per compiled call, for sets that are too large for
            one.
        labels: by task, its mapping in `log_columns`; by default its name.
        prompt: the prompt in `log_columns`.

    Attributes:
        log_keys: keys written into `logs`.
        log_columns: by key, (mapping, tier, prompt, metric).
        rows: the measurements, a list of dictionaries {"epoch", *log_keys},
            which also have "step" if `every` counts steps.

    Raises:
        ValueError: if there is no task, a name holds "/" (TensorBoard and
            file names), two keys are the same, or a number is below 1; in
            training, if another callback writes the same key.
    """

    def __init__(
        self,
        tasks: Tasks | Callable[[int], Tasks],
        predict: Callable[[Any, Any], Any] | None = None,
        scores: Mapping[str, "Score | keras.metrics.Metric"] | None = None,
        every: int | Schedule = 1,
        batch_size: int | None = None,
        labels: Mapping[str, str] | None = None,
        prompt: str = ALL,
    ):
        super().__init__()
        self.scores = dict(scores or {"accuracy": accuracy})
        self._tasks_at = tasks if callable(tasks) else lambda epoch: tasks
        first = self._tasks_at(1)
        self._predict = predict
        self._batch_size = batch_size
        self._clock = Clock(as_schedule(every))
        self.rows: list[dict[str, float]] = []
        self._last: dict[str, float] = {}
        if not first:
            raise ValueError(f"There must be a task. Received: tasks={tasks}")
        for name in (*first, *self.scores):
            if "/" in name:
                raise ValueError(
                    f"Names cannot hold '/'. Received: name={name!r}"
                )
        if batch_size is not None and batch_size < 1:
            raise ValueError(
                f"`batch_size` must be at least 1. Received: {batch_size}"
            )
        places = [
            item
            for name, task in first.items()
            for item in (
                {name: column(name)}
                if callable(task)
                else self.columns_for(
                    {name: (labels or {}).get(name, name)}, self.scores, prompt
                )
            ).items()
        ]
        keys = [key for key, _ in places]
        self.log_columns: dict[str, Column] = dict(places)
        self.log_keys: tuple[str, ...] = tuple(self.log_columns)
        if len(self.log_keys) < len(keys):
            raise ValueError(
                f"Each task and score needs a key of its own. Received: {keys}"
            )
        if self._clock.schedule.unit == "step":
            # As an attribute: with the method, every training would wait.
            self.on_train_batch_end = self._end_step

    @staticmethod
    def columns_for(
        labels: Mapping[str, str], scores: Iterable[str], prompt: str = ALL
    ) -> dict[str, Column]:
        """Returns the `log_columns` of some tasks.

        Args:
            labels: mappings by task.
            scores: names of the scores.
            prompt: prompt of all tasks.
        """
        return {
            f"{task}_{score}": column(score, label, prompt=prompt)
            for task, label in labels.items()
            for score in scores
        }

    def on_train_begin(self, logs=None):
        self.rows = []

    def on_epoch_begin(self, epoch, logs=None):
        self._clock.start_epoch(epoch, self.params)
        self._epoch = epoch
        self._last = dict.fromkeys(self.log_keys, math.nan)

    def _end_step(self, batch, logs=None):
        if self._clock.is_step_due(batch):
            self._measure_step()

    def _measure_step(self) -> None:
        step = self._clock.step
        if self.rows and self.rows[-1]["step"] == step:
            return
        self._last = self._measure(self._epoch + 1)
        self.rows.append({"epoch": self._epoch + 1, "step": step, **self._last})

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        if taken := set(self.log_keys) & set(logs):
            raise ValueError(
                "A key of the logs can be written by one callback. "
                f"Received: {sorted(taken)} twice"
            )
        if self._clock.schedule.unit == "step":
            if self._clock.is_epoch_due(epoch, self.params):
                self._measure_step()
            logs.update(self._last)
        elif self._clock.is_epoch_due(epoch, self.params):
            found = self._measure(epoch + 1)
            self.rows.append({"epoch": epoch + 1, **found})
            logs.update(found)
        else:
            logs.update(dict.fromkeys(self.log_keys, math.nan))

    def _measure(self, epoch: int) -> dict[str, float]:
        model = self.model  # on JAX each access copies the training state
        found = {}
        for name, task in self._tasks_at(epoch).items():
            if callable(task):
                found[name] = float(task(model))
                continue
            inputs, target = task
            if self._predict is None:
                outputs = predict(model, inputs, self._batch_size)
            else:
                outputs = self._predict(model, inputs)
            for score, function in self.scores.items():
                found[f"{name}_{score}"] = _score(function, outputs, target)
        if set(found) != set(self.log_keys):
            raise ValueError(
                "The names of the tasks must not change. "
                f"Received: {sorted(found)}, at first {sorted(self.log_keys)}"
            )
        return found


def _score(function: Any, outputs: Any, target: Any) -> float:
    if not isinstance(function, keras.metrics.Metric):
        return float(function(outputs, target))
    function.reset_state()
    function.update_state(target, outputs)
    return float(keras.ops.convert_to_numpy(function.result()))


class LossByTask(keras.callbacks.Callback):
    """Measures the loss of parts of a text at the end of epochs.

    ```python
    parts = {"digits": y < 10, "letters": y >= 10}
    model.fit(x, y, callbacks=[LossByTask(x, y, parts), CSVLogger("log.csv")])
    ```

    The model reads fixed inputs. The loss of a part is the mean cross-entropy
    of the targets that its mask selects, in nats. Losses are plain floats, NaN
    in an epoch without a measurement. Callbacks that read them must be listed
    after this one.

    Writes: "{part}_loss".

    Args:
        inputs: what the model reads, shape (B, ...).
        targets: right classes, integers of the shape of the model's output
            without its last axis.
        parts: masks by name, booleans of the shape of `targets`.
        every: epochs between measurements, or a `Schedule` of epochs; the
            last epoch of `fit` always has one.
        from_logits: whether the model returns logits, not probabilities.
        batch_size: inputs per compiled call; None for all in one.
        columns: by part, (mapping, tier, prompt, metric) in `log_columns`; by
            default the mapping is the part and the metric "loss".

    Attributes:
        log_keys: keys written into `logs`.
        log_columns: by key, (mapping, tier, prompt, metric).

    Raises:
        ValueError: if a mask has another shape or selects nothing, or `every`
            is below 1 or in steps.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        parts: Mapping[str, np.ndarray],
        every: int | Schedule = 1,
        from_logits: bool = True,
        batch_size: int | None = None,
        columns: Mapping[str, Column] | None = None,
    ):
        super().__init__()
        self._clock = Clock(epochs_only(every))
        self._inputs, self._targets = inputs, targets
        self._from_logits, self._batch_size = from_logits, batch_size
        self._parts = dict(parts)
        for name, mask in self._parts.items():
            if mask.shape != targets.shape or not mask.any():
                raise ValueError(
                    "A part selects targets by a mask of their shape, "
                    f"{targets.shape}. Received: part {name!r} of shape "
                    f"{mask.shape}, {int(mask.sum())} selected"
                )
        given = columns or {}
        self.log_columns = self.columns_for(
            {name: given.get(name, column("loss", name)) for name in parts}
        )
        self.log_keys = tuple(self.log_columns)

    @staticmethod
    def columns_for(columns: Mapping[str, Column]) -> dict[str, Column]:
        """Returns `log_columns`, given the place of each part."""
        return {f"{part}_loss": place for part, place in columns.items()}

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        if not self._clock.is_epoch_due(epoch, self.params):
            logs.update(dict.fromkeys(self.log_keys, math.nan))
            return
        outputs = predict(self.model, self._inputs, self._batch_size)
        right = np.take_along_axis(outputs, self._targets[..., None], axis=-1)
        if self._from_logits:
            highest = outputs.max(axis=-1, keepdims=True)
            total = np.exp(outputs - highest).sum(axis=-1)
            losses = np.log(total) - (right - highest)[..., 0]
        else:
            tiny = np.finfo(outputs.dtype).tiny
            losses = -np.log(np.maximum(right[..., 0], tiny))
        for name, mask in self._parts.items():
            logs[f"{name}_loss"] = float(losses[mask].mean())


def epochs_only(every: int | Schedule) -> Schedule:
    """Returns a schedule that counts epochs.

    Raises:
        ValueError: if it counts steps.
    """
    schedule = as_schedule(every)
    if schedule.unit != "epoch":
        raise ValueError(
            "This callback works at the end of epochs. "
            f"Received: every={schedule}"
        )
    return schedule
