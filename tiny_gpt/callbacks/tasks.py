"""Scores of a model on several named evaluation sets during training."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras

from tiny_gpt.callbacks import sets
from tiny_gpt.callbacks.columns import ALL, Column, column
from tiny_gpt.callbacks.measuring import Measuring
from tiny_gpt.callbacks.order import check_keys
from tiny_gpt.callbacks.outputs import accuracy, score_of
from tiny_gpt.callbacks.schedule import Clock, Schedule, as_schedule
from tiny_gpt.callbacks.scorer import Scorer

Tasks = Mapping[str, Any]
Score = Callable[[Any, Any], float]
Scores = Mapping[str, "Score | keras.metrics.Metric | str"] | Sequence[str]


class TaskAccuracy(Measuring):
    """Scores a model on several named evaluation sets while it trains.

    ```python
    tasks = {"digits": (x_digits, y_digits), "letters": (x_letters, y_letters)}
    model.fit(x, y, callbacks=[TaskAccuracy(tasks), CSVLogger("log.csv")])
    ```

    Each set is scored as Keras scores `validation_data`: by
    `model.evaluate`, with the loss and the metrics of `compile`, sample
    weights, masks and several outputs. A model that is compiled with a
    cross-entropy and no metric gets Keras's "accuracy" as well. All sets are
    tried with one batch when `fit` begins; what `evaluate` refuses is refused
    then.

    At the end of each epoch, each score goes into `logs` as a plain float. It
    reaches `History` and the progress bar. Other callbacks that read it
    (CSVLogger, TensorBoard, ModelCheckpoint, EarlyStopping,
    WandbMetricsLogger) must be listed after this one. An epoch without a
    score gets NaN, so that the keys are the same every epoch.

    Writes: "{task}_{score}"; "{task}" if a task is a function.

    Args:
        tasks: a dictionary by name. A task is one of
            - (inputs, right answers) or (inputs, right answers, sample
              weights), arrays or dictionaries or lists of arrays;
            - a `tf.data.Dataset`, `keras.utils.PyDataset`, PyTorch
              `DataLoader`, or anything else that can be iterated again and
              again and that `evaluate` takes;
            - a generator function, called anew for each evaluation;
            - a function of the model that returns a number.
            For fresh tasks every time, a function from the epoch, counted
            from 1, to such a dictionary; the names must not change.
        predict: from (model, inputs) to outputs, for models that answer in
            another way; the sets must be arrays. None for Keras's way.
        scores: None for the metrics of `compile`; or names of Keras metrics,
            e.g. ["accuracy"]; or, by name, such a name, a Keras metric, or a
            function of all (outputs, right answers), which have to fit into
            memory. With `predict`, by default {"accuracy": `accuracy`}.
        every: epochs between evaluations, or a `Schedule`; the last epoch of
            `fit` is always evaluated. With a schedule of steps, a training on
            JAX waits for each step.
        batch_size: rows per batch of arrays; by default 32. For functions of
            outputs, by default all in one.
        labels: by task, its mapping in `log_columns`; by default its name.
        prompt: the prompt in `log_columns`.
        steps: batches read of each set at most, for sets without an end.

    Attributes:
        log_keys: keys written into `logs`; without `scores`, known once
            training has begun.
        log_columns: by key, (mapping, tier, prompt, metric).
        prefixes: how keys begin that may still be added to `log_keys`.
        rows: the measurements, a list of dictionaries {"epoch", *log_keys},
            which also have "step" if `every` counts steps.

    Raises:
        ValueError: if there is no task, a set can be read only once or has no
            end, a name holds "/" (TensorBoard and file names) or is "val"
            (Keras's own), two keys are the same, or a number is below 1; when
            training begins, if a set cannot be scored; in training, if
            another callback writes the same key.
    """

    def __init__(
        self,
        tasks: Tasks | Callable[[int], Tasks],
        predict: Callable[[Any, Any], Any] | None = None,
        scores: Scores | None = None,
        every: int | Schedule = 1,
        batch_size: int | None = None,
        labels: Mapping[str, str] | None = None,
        prompt: str = ALL,
        steps: int | None = None,
    ):
        super().__init__()
        if scores is None and predict is not None:
            scores = {"accuracy": accuracy}
        if scores is not None and not isinstance(scores, Mapping):
            scores = {name: name for name in scores}
        self.scores: dict[str, Any] | None = (
            None if scores is None else dict(scores)
        )
        self._tasks = tasks
        first = self._tasks_at(1)
        self._predict = predict
        self._batch_size, self._steps = batch_size, steps
        self._labels, self._prompt = dict(labels or {}), prompt
        self._clock = Clock(as_schedule(every))
        self.rows: list[dict[str, float]] = []
        self._last: dict[str, float] = {}
        self._scorer: Scorer | None = None
        self._check(first)
        self.prefixes: tuple[str, ...] = ()
        found = []
        for name, task in first.items():
            if _is_function(task):
                found.append(name)
            elif self.scores is None:
                self.prefixes += (f"{name}_",)
            else:
                found += [f"{name}_{score}" for score in self.scores]
        self._set_keys(found, first)
        if self._clock.schedule.unit == "step":
            # As an attribute: with the method, every training would wait.
            self.on_train_batch_end = self._end_step

    def _check(self, tasks: Tasks) -> None:
        if not tasks:
            raise ValueError(f"There must be a task. Received: tasks={tasks}")
        for name in (*tasks, *(self.scores or ())):
            if "/" in name or name == "val":
                raise ValueError(
                    "Names cannot hold '/' and are not 'val', which is "
                    f"Keras's own. Received: name={name!r}"
                )
        for name, value in (
            ("batch_size", self._batch_size),
            ("steps", self._steps),
        ):
            if value is not None and value < 1:
                raise ValueError(
                    f"`{name}` must be at least 1. Received: {name}={value}"
                )
        for name, task in tasks.items():
            if not _is_function(task):
                sets.check_set(name, task, self._steps, callable(self._tasks))
                if self._predict is not None and not sets.are_arrays(task):
                    raise ValueError(
                        "With `predict`, a set is (inputs, right answers). "
                        f"Received: set {name!r} of type {type(task).__name__}"
                    )

    def _tasks_at(self, epoch: int) -> Tasks:
        return self._tasks(epoch) if callable(self._tasks) else self._tasks

    def _set_keys(self, keys: Sequence[str], tasks: Tasks) -> None:
        columns: dict[str, Column] = {}
        for name, task in tasks.items():
            if _is_function(task):
                columns[name] = column(name)
                continue
            label = {name: self._labels.get(name, name)}
            scores = self.scores
            if scores is None:
                scores = dict.fromkeys(
                    key.removeprefix(f"{name}_")
                    for key in keys
                    if key.startswith(f"{name}_")
                )
            columns |= self.columns_for(label, scores, self._prompt)
        if len(set(keys)) < len(keys):
            raise ValueError(
                f"Each task and score needs a key of its own. Received: {keys}"
            )
        self.log_columns = {key: columns[key] for key in keys}
        self.log_keys: tuple[str, ...] = tuple(keys)

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
        if self._predict is not None:
            return
        tasks = self._tasks_at(1)
        found = []
        with self.measuring() as model:
            self._scorer = Scorer(model, self.scores)
            for name, task in tasks.items():
                if _is_function(task):
                    found.append(name)
                else:
                    names = self._scorer.try_set(name, task, self._batch_size)
                    found += [f"{name}_{score}" for score in names]
        check_keys(found, self.model)
        self._set_keys(found, tasks)

    def on_epoch_begin(self, epoch, logs=None):
        self._clock.start_epoch(epoch, self.params, self.model)
        self._epoch = epoch
        self._last = dict.fromkeys(self.log_keys, math.nan)

    def _end_step(self, batch, logs=None):
        if self._clock.is_step_due(batch):
            self._measure_step()

    def _measure_step(self) -> None:
        step = self._clock.updates(self.model)
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
        found = {}
        tasks = self._tasks_at(epoch)  # outside: it may draw
        # On JAX each access to the model copies the training state.
        with self.measuring() as model:
            for name, task in tasks.items():
                if _is_function(task):
                    found[name] = float(task(model))
                    continue
                for score, value in self._score(model, name, task).items():
                    found[f"{name}_{score}"] = value
        if set(found) != set(self.log_keys):
            raise ValueError(
                "The names of the tasks must not change. "
                f"Received: {sorted(found)}, at first {sorted(self.log_keys)}"
            )
        return found

    def _score(self, model: Any, name: str, task: Any) -> dict[str, float]:
        if self._predict is not None:
            inputs, target = task[:2]
            outputs = self._predict(model, inputs)
            return {
                score: score_of(function, outputs, target)
                for score, function in (self.scores or {}).items()
            }
        scorer = self._scorer or Scorer(model, self.scores)
        return scorer.score(
            name, task, self._batch_size, self._steps, callable(self._tasks)
        )

    def __getstate__(self):
        return {**super().__getstate__(), "_scorer": None}


def _is_function(task: Any) -> bool:
    """Tells whether a task is a function of the model."""
    return callable(task) and not sets.is_iterable(task)
