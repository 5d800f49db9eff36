"""An experiment, and one run of it: stream, model, fit, metrics frame."""

import dataclasses
import json
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tiny_gpt.analysis.events import find_loss_drops
from tiny_gpt.callbacks import LossDropLogger
from tiny_gpt.decode import check_fits
from tiny_gpt.evaluate import EvaluationConfig, evaluation_callbacks, task_name
from tiny_gpt.languages import find_route
from tiny_gpt.metrics import COLUMNS, EVENT_COLUMNS
from tiny_gpt.mixture import Mixture
from tiny_gpt.model import GPTConfig, build_gpt, initialise_weights
from tiny_gpt.stream import Stream, build_stream
from tiny_gpt.vocabulary import vocabulary_size


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the defaults are Sinha 2024, sec. 3.1.

    Attributes:
        num_epochs: passes over all windows.
        batch_size: windows per update, B; the last batch of an epoch is
            smaller.
        learning_rate: of Adam.
        clipnorm: largest norm of each variable's gradient (not of all
            together), as in Keras and as published; None for no clipping.
        min_loss_drop: smallest fall of the loss that is an event, nats per
            token.
        loss_drop_window: epochs over which that fall is measured.

    Raises:
        ValueError: if a number is out of range.
    """

    num_epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 1e-4
    clipnorm: float | None = 1.0
    min_loss_drop: float = 0.1
    loss_drop_window: int = 5

    def __post_init__(self):
        for name in ("num_epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be at least 1. "
                    f"Received: {name}={getattr(self, name)}"
                )
        for name in ("learning_rate", "clipnorm"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(
                    f"`{name}` must be above 0. Received: {name}={value}"
                )
        find_loss_drops([], self.min_loss_drop, self.loss_drop_window)


@dataclass(frozen=True)
class Experiment:
    """One condition of an experiment: everything but the seed.

    Attributes:
        name: the question it belongs to, e.g. "triangle".
        condition: e.g. "sparse_a_to_c".
        mixture: languages and sentence pairs.
        eval_mappings: mappings asked for, e.g. ("A->B", "B->C", "A->C").
        tokens: tokenisation, "characters" or "words" (`Vocabulary`).
        model: the network.
        train: the optimisation.
        evaluation: the questions.

    Raises:
        ValueError: if the parts do not fit together.
    """

    name: str
    condition: str
    mixture: Mixture
    eval_mappings: tuple[str, ...]
    tokens: str = "characters"
    model: GPTConfig = GPTConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def __post_init__(self):
        needed = vocabulary_size(self.mixture, self.tokens)
        if self.model.vocabulary_size != needed:
            raise ValueError(
                f"The mixture needs `vocabulary_size` {needed} as "
                f"{self.tokens}. Received: "
                f"vocabulary_size={self.model.vocabulary_size}"
            )
        if not self.eval_mappings:
            raise ValueError("`eval_mappings` must name a mapping.")
        for label in self.eval_mappings:
            find_route(label, self.mixture.given)
        if self.evaluation.decoding != "published":
            per_word = 2 if self.tokens == "characters" else 1
            length = self.mixture.sentence_length
            pair, query = 2 * length + 2, length + 1
            num_prompt = self.evaluation.num_demonstrations * pair + query
            check_fits(
                num_prompt * per_word,
                length * per_word,
                self.model.sequence_length,
            )


@dataclass(frozen=True)
class Run:
    """What one run leaves.

    Attributes:
        model: the trained model.
        stream: what it read.
        metrics: metrics frame, columns `metrics.COLUMNS`.
        events: loss drops, columns `metrics.EVENT_COLUMNS`.
        wall_s: seconds of training and evaluation, compilation included.
    """

    model: keras.Model
    stream: Stream
    metrics: pd.DataFrame
    events: pd.DataFrame
    wall_s: float


class ShuffledWindows(keras.utils.PyDataset):
    """Batches of windows, shuffled anew each epoch.

    Batch i is a function of (seed, i) alone, whatever was asked before: a
    run that continues reads what it would have read, on every backend.

    Args:
        inputs: windows, shape (N, T).
        targets: the same, one token later.
        batch_size: windows per batch; the last of an epoch is smaller.
        seed: entropy of the order, one integer.
        first_epoch: epoch of the first batch, counted from 0.
        num_epochs: epoch after the last batch.
    """

    def __init__(
        self, inputs, targets, batch_size, seed, first_epoch, num_epochs
    ):
        super().__init__(workers=0)
        self.steps_per_epoch = math.ceil(len(inputs) / batch_size)
        self._windows = inputs, targets
        self._batch_size = batch_size
        self._seed = seed
        self._first_epoch = first_epoch
        self._num_epochs = num_epochs
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, int))

    def __len__(self):
        return self.steps_per_epoch * (self._num_epochs - self._first_epoch)

    def __getitem__(self, index):
        inputs, targets = self._windows
        epoch = self._first_epoch + index // self.steps_per_epoch
        if self._order[0] != epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._order = epoch, rng.permutation(len(inputs))
        start = index % self.steps_per_epoch * self._batch_size
        rows = self._order[1][start : start + self._batch_size]
        return inputs[rows], targets[rows]


def updates_per_epoch(experiment: Experiment) -> int:
    """Returns optimizer updates per epoch: batches that hold all windows."""
    mixture = experiment.mixture
    per_word = 2 if experiment.tokens == "characters" else 1
    per_pair = per_word * 2 * (mixture.sentence_length + 1)
    num_tokens = per_pair * sum(c.num_pairs for c in mixture.components)
    num_windows = math.ceil(num_tokens / (experiment.model.sequence_length + 1))
    return math.ceil(num_windows / experiment.train.batch_size)


def compile_gpt(model: keras.Model, config: TrainConfig) -> None:
    """Compiles a model for next-token prediction, with XLA on both backends.

    The loss is the mean cross-entropy over all tokens, nats per token.
    """
    model.compile(
        optimizer=keras.optimizers.Adam(
            config.learning_rate, clipnorm=config.clipnorm
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )


def run(
    experiment: Experiment,
    seed: int,
    record: Path | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    save_every: int = 10,
) -> Run:
    """Runs one condition with one seed, through `model.fit`.

    The seed fixes languages, sentences, initial weights, order of the
    windows and prompts, all drawn in NumPy and so the same on each backend.

    Args:
        experiment: what to run.
        seed: a non-negative integer.
        record: path, without suffix, of two files that hold progress: logs
            in `.json`, weights, optimizer and random state in `.keras`. If
            they exist, the run continues from there; at the end the second
            is removed. None for no files.
        callbacks: further callbacks; they see accuracies in `logs`.
        save_every: epochs between two savings of progress.

    Returns:
        The model with its metrics and events.

    Raises:
        ValueError: if `seed` is negative, or `record` holds another
            experiment or a finished run.
    """
    if seed < 0:
        raise ValueError(f"`seed` cannot be negative. Received: seed={seed}")
    stream_rng, weights_rng, prompts_rng, order_rng = np.random.default_rng(
        seed
    ).spawn(4)
    stream = build_stream(
        experiment.mixture,
        experiment.tokens,
        experiment.model.sequence_length,
        stream_rng,
    )
    config = experiment.train
    progress = _Progress(experiment, seed, record, save_every)
    model = progress.load_model()
    if model is None:
        model = build_gpt(experiment.model)
        initialise_weights(model, weights_rng)
        compile_gpt(model, config)

    windows = ShuffledWindows(
        stream.inputs,
        stream.targets,
        config.batch_size,
        int(order_rng.integers(2**63)),
        first_epoch=len(progress.logs),
        num_epochs=config.num_epochs,
    )
    accuracy = evaluation_callbacks(
        experiment.evaluation,
        model,
        stream,
        experiment.eval_mappings,
        prompts_rng,
    )
    drops = LossDropLogger(
        config.min_loss_drop,
        config.loss_drop_window,
        earlier_values=[log["loss"] for log in progress.logs],
    )
    model.fit(
        windows,
        epochs=config.num_epochs,
        initial_epoch=len(progress.logs),
        steps_per_epoch=windows.steps_per_epoch,
        shuffle=False,  # the order is in the windows
        callbacks=[*accuracy, drops, progress, *callbacks],
        verbose=0,
    )
    return Run(
        model,
        stream,
        metrics_frame(experiment, seed, progress.logs),
        events_frame(experiment, seed, drops.events),
        progress.wall_s,
    )


def metrics_frame(
    experiment: Experiment, seed: int, logs: list[dict[str, float]]
) -> pd.DataFrame:
    """Turns the logs of each epoch into a metrics frame.

    Args:
        experiment: what was run.
        seed: its seed.
        logs: Keras logs of each epoch, in order.

    Returns:
        Metrics frame, columns `metrics.COLUMNS`; epochs count from 1, and
        epochs without an evaluation have no row for it.
    """
    config = experiment.evaluation
    updates = updates_per_epoch(experiment)
    rows: list[tuple] = []
    for epoch, log in enumerate(logs, start=1):
        run_columns = experiment.name, experiment.condition, seed
        start = *run_columns, epoch, epoch * updates
        rows.append((*start, "all", "all", "all", "loss", log["loss"]))
        for label in experiment.eval_mappings:
            for metric in config.metrics:
                value = log[f"{task_name(label)}_{metric}"]
                if not math.isnan(value):
                    place = label, "all", config.prompt
                    rows.append((*start, *place, metric, value))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def events_frame(experiment: Experiment, seed: int, drops) -> pd.DataFrame:
    """Turns loss drops into an events frame, columns `EVENT_COLUMNS`."""
    rows = [
        (experiment.name, experiment.condition, seed, "loss_drop")
        + dataclasses.astuple(drop)
        for drop in drops
    ]
    return pd.DataFrame(rows, columns=list(EVENT_COLUMNS))


def load_finished(
    experiment: Experiment, seed: int, record: Path
) -> tuple[pd.DataFrame, pd.DataFrame, float] | None:
    """Reads the record of a finished run.

    Returns:
        Its metrics, events and wall seconds; None if it is not finished.

    Raises:
        ValueError: if the record is of another experiment.
    """
    progress = _Progress(experiment, seed, record, save_every=1)
    if len(progress.logs) < experiment.train.num_epochs:
        return None
    config = experiment.train
    drops = find_loss_drops(
        [log["loss"] for log in progress.logs],
        config.min_loss_drop,
        config.loss_drop_window,
    )
    return (
        metrics_frame(experiment, seed, progress.logs),
        events_frame(experiment, seed, drops),
        progress.wall_s,
    )


class _Progress(keras.callbacks.Callback):
    """Keeps the logs of all epochs, and saves them with the model."""

    def __init__(self, experiment, seed, record, save_every):
        super().__init__()
        self.logs: list[dict[str, float]] = []
        self._earlier_s = 0.0
        self._start = time.perf_counter()
        self._save_every = save_every
        self._num_epochs = experiment.train.num_epochs
        self._updates = updates_per_epoch(experiment)
        # Through JSON, so that it compares equal to what was saved.
        config = {"experiment": dataclasses.asdict(experiment), "seed": seed}
        self._config = json.loads(json.dumps(config))
        self._json = self._keras = None
        if record is not None:
            self._json = Path(f"{record}.json")
            self._keras = Path(f"{record}.keras")
            self._load_logs()

    @property
    def wall_s(self) -> float:
        return self._earlier_s + time.perf_counter() - self._start

    def _load_logs(self):
        if not self._json.exists():
            return
        saved = json.loads(self._json.read_text())
        if saved["config"] != self._config:
            raise ValueError(
                "A record can only be continued by the experiment and seed "
                f"that wrote it. Received: record={self._json}"
            )
        self.logs = [
            {k: math.nan if v is None else v for k, v in log.items()}
            for log in saved["logs"]
        ]
        self._earlier_s = saved["wall_s"]

    def load_model(self) -> keras.Model | None:
        if self._keras is None:
            return None
        if len(self.logs) >= self._num_epochs:
            raise ValueError(
                "A finished run cannot be continued. "
                f"Received: record={self._json}"
            )
        if not self._keras.exists():
            self.logs = []
            return None
        model = keras.saving.load_model(self._keras)
        # Logs are saved before the model and can be one saving ahead.
        epoch = int(model.optimizer.iterations) // self._updates
        self.logs = self.logs[:epoch]
        return model

    def on_epoch_end(self, epoch, logs=None):
        values: dict[str, Any] = logs or {}
        self.logs.append({key: float(value) for key, value in values.items()})
        is_last = epoch + 1 == self._num_epochs
        if self._json is None or not ((epoch + 1) % self._save_every == 0 or is_last):
            return
        self._json.parent.mkdir(parents=True, exist_ok=True)
        if not is_last:
            temporary = self._keras.with_name(f"saving_{self._keras.name}")
            self.model.save(temporary)
        saved = {
            "config": self._config,
            "wall_s": self.wall_s,
            "logs": [
                {k: None if math.isnan(v) else v for k, v in log.items()}
                for log in self.logs
            ],
        }
        text = self._json.with_name(f"saving_{self._json.name}")
        text.write_text(json.dumps(saved))
        os.replace(text, self._json)
        if is_last:
            self._keras.unlink(missing_ok=True)
        else:
            os.replace(temporary, self._keras)
