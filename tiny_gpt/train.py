"""One run of an experiment: stream, model, fit, metrics frame."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from tiny_gpt.analysis.events import find_loss_drops
from tiny_gpt.callbacks import LossDropLogger
from tiny_gpt.evaluate import (
    evaluate_exactly,
    evaluation_callbacks,
)
from tiny_gpt.experiment import Experiment, TrainConfig
from tiny_gpt.frames import events_frame, metrics_frame
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
        phases: inputs and targets, each of shape (N, T), that are read one
            after the other; all of equally many batches.
        last_epochs: epoch after the last one of each phase.
        batch_size: windows per batch; the last of an epoch is smaller.
        seed: entropy of the order, one integer.
        first_epoch: epoch of the first batch, counted from 0.
    """

    def __init__(
        self,
        phases: Sequence[tuple[np.ndarray, np.ndarray]],
        last_epochs: Sequence[int],
        batch_size: int,
        seed: int,
        first_epoch: int = 0,
    ):
        super().__init__(workers=0)
        self.steps_per_epoch = math.ceil(len(phases[0][0]) / batch_size)
        self._phases = phases
        self._last_epochs = last_epochs
        self._batch_size = batch_size
        self._seed = seed
        self._first_epoch = first_epoch
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, int))

    def __len__(self):
        num_epochs = self._last_epochs[-1] - self._first_epoch
        return self.steps_per_epoch * num_epochs

    def __getitem__(self, index):
        epoch = self._first_epoch + index // self.steps_per_epoch
        phase = int(np.searchsorted(self._last_epochs, epoch, side="right"))
        inputs, targets = self._phases[phase]
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
    _, weights_rng, prompts_rng, order_rng = _generators(seed)
    phases = draw_phases(experiment, seed)
    stream = phases[-1]
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
        [(phase.inputs, phase.targets) for phase in phases],
        (config.num_pretraining_epochs, config.num_epochs)[-len(phases) :],
        config.batch_size,
        int(order_rng.integers(2**63)),
        first_epoch=len(progress.logs),
    )
    questions = evaluation_callbacks(
        experiment.evaluation,
        model,
        stream,
        experiment.eval_mappings,
        prompts_rng,
    )
    if not progress.is_trained:
        model.fit(
            windows,
            epochs=config.num_epochs,
            initial_epoch=len(progress.logs),
            steps_per_epoch=windows.steps_per_epoch,
            shuffle=False,  # the order is in the windows
            callbacks=[
                *questions,
                LossDropLogger(
                    config.min_loss_drop,
                    config.loss_drop_window,
                    earlier_values=[log["loss"] for log in progress.logs],
                ),
                progress,
                *callbacks,
            ],
            verbose=0,
        )
    exact = evaluate_exactly(
        experiment.evaluation,
        model,
        stream,
        experiment.eval_mappings,
        experiment.pivots,
        prompts_rng,
    )
    progress.finish(model, exact)
    return Run(model, stream, *_frames(experiment, seed, progress))


def _generators(seed: int) -> list[np.random.Generator]:
    """Returns generators of the stream, the weights, prompts and order."""
    return np.random.default_rng(seed).spawn(4)


def draw_phases(experiment: Experiment, seed: int) -> list[Stream]:
    """Draws what a run reads: the stream, after that of the pre-training.

    Both have the same languages; sentences read in the pre-training count as
    seen in the stream that follows.

    Args:
        experiment: what to run.
        seed: its seed.

    Returns:
        One stream, or two.
    """
    mixtures = [experiment.mixture]
    if experiment.pretraining is not None:
        mixtures.insert(0, experiment.pretraining)
    streams = [
        build_stream(
            mixture,
            experiment.tokens,
            experiment.model.sequence_length,
            _generators(seed)[0],
        )
        for mixture in mixtures
    ]
    sentences = {
        label: np.concatenate([s.sentences[label] for s in streams])
        for label in streams[0].sentences
    }
    streams[-1] = dataclasses.replace(streams[-1], sentences=sentences)
    return streams


def _frames(
    experiment: Experiment, seed: int, progress: Record
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Returns metrics, events and wall seconds of a finished run."""
    config = experiment.train
    drops = find_loss_drops(
        [log["loss"] for log in progress.logs],
        config.min_loss_drop,
        config.loss_drop_window,
    )
    exact = progress.exact or []
    return (
        metrics_frame(experiment, seed, progress.logs, exact),
        events_frame(experiment, seed, drops),
        progress.wall_s,
    )


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
    return _frames(experiment, seed, progress)
