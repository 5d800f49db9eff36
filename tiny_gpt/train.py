"""One run of an experiment: stream, model, fit, metrics frame."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from tiny_gpt.analysis.events import LossDrop, find_loss_drops
from tiny_gpt.callbacks import LossDropLogger
from tiny_gpt.evaluate import evaluation_callbacks, task_name
from tiny_gpt.experiment import Experiment, TrainConfig, updates_per_epoch
from tiny_gpt.metrics import COLUMNS, EVENT_COLUMNS
from tiny_gpt.model import build_gpt, initialise_weights
from tiny_gpt.record import Record
from tiny_gpt.stream import Stream, build_stream


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
        record: path of the files that hold progress (`Record`), without
            suffix. If they exist, the run continues from there. None for no
            files.
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
    progress = Record(experiment, seed, record, save_every)
    if progress.is_finished:
        raise ValueError(
            "A finished run cannot be continued. "
            f"Received: record={record}.json"
        )
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


def events_frame(
    experiment: Experiment, seed: int, drops: Iterable[LossDrop]
) -> pd.DataFrame:
    """Turns loss drops into an events frame, columns `EVENT_COLUMNS`."""
    run_columns = experiment.name, experiment.condition, seed, "loss_drop"
    rows = [(*run_columns, *dataclasses.astuple(drop)) for drop in drops]
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
    progress = Record(experiment, seed, record)
    if not progress.is_finished:
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
