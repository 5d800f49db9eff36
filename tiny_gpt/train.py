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
from tiny_gpt.backend import Snapshot
from tiny_gpt.callbacks import LossDropLogger
from tiny_gpt.evaluate import (
    Asker,
    evaluate_exactly,
    evaluation_callbacks,
)
from tiny_gpt.experiment import Experiment, TrainConfig
from tiny_gpt.frames import events_frame, metrics_frame
from tiny_gpt.model import build_gpt, initialise_weights
from tiny_gpt.record import Record, State
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
        none = np.empty(0, int)
        self._shuffled: tuple[int, np.ndarray, np.ndarray] = -1, none, none

    def __len__(self):
        num_epochs = self._last_epochs[-1] - self._first_epoch
        return self.steps_per_epoch * num_epochs

    def __getitem__(self, index):
        epoch = self._first_epoch + index // self.steps_per_epoch
        inputs, targets = self.epoch(epoch)
        start = index % self.steps_per_epoch * self._batch_size
        batch = slice(start, start + self._batch_size)
        return inputs[batch], targets[batch]

    def epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns all windows in the order of an epoch, counted from 0."""
        phase = int(np.searchsorted(self._last_epochs, epoch, side="right"))
        if self._shuffled[0] != epoch:
            inputs, targets = self._phases[phase]
            rng = np.random.default_rng([self._seed, epoch])
            order = rng.permutation(len(inputs))
            self._shuffled = epoch, inputs[order], targets[order]
        return self._shuffled[1:]


def compile_gpt(model: keras.Model, config: TrainConfig) -> None:
    """Compiles a model for next-token prediction, with XLA on both backends.

    The loss is the mean cross-entropy over all tokens, nats per token; where
    windows have weights, the mean of those that weigh.
    """
    model.compile(
        optimizer=keras.optimizers.Adam(
            config.learning_rate, clipnorm=config.clipnorm
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
        jit_compile=True,
    )
    model.optimizer.build(model.trainable_variables)


def state_of(model: keras.Model) -> State:
    """Returns copies of all values that training changes."""
    variables = (*model.variables, *model.optimizer.variables)
    return [keras.ops.convert_to_numpy(v) for v in variables]


def set_state(model: keras.Model, state: State) -> None:
    """Gives a compiled model the values that `state_of` returned."""
    variables = (*model.variables, *model.optimizer.variables)
    for variable, value in zip(variables, state, strict=True):
        variable.assign(value)


@dataclass(frozen=True)
class Preparation:
    """One run before it trains, or goes on.

    Attributes:
        experiment: what to run.
        seed: its seed.
        record: what it has saved, and where it saves.
        stream: what it reads in the end.
        windows: what it reads, epoch by epoch, from the next one on.
        weights_rng: source of the initial weights.
        prompts_rng: source of the questions.
    """

    experiment: Experiment
    seed: int
    record: Record
    stream: Stream
    windows: ShuffledWindows
    weights_rng: np.random.Generator
    prompts_rng: np.random.Generator

    def start(self, model: keras.Model) -> None:
        """Gives a newly compiled model initial or saved weights."""
        if self.record.state is None:
            initialise_weights(model, self.weights_rng)
        else:
            set_state(model, self.record.state)

    def callbacks(self, asker: Asker) -> list[keras.callbacks.Callback]:
        """Returns what is recorded after each epoch."""
        config = self.experiment.train
        return [
            *evaluation_callbacks(
                self.experiment.evaluation,
                asker,
                self.stream,
                self.experiment.eval_mappings,
                self.prompts_rng,
            ),
            LossDropLogger(
                config.min_loss_drop,
                config.loss_drop_window,
                earlier_values=[log["loss"] for log in self.record.logs],
            ),
        ]

    def finish(
        self,
        weights: keras.Model | Snapshot,
        asker: Asker,
        model: keras.Model,
    ) -> "Run":
        """Asks for every sentence, and ends the record.

        Args:
            weights: the trained weights.
            asker: compiled questions.
            model: the trained model, for those who go on with it.
        """
        exact = evaluate_exactly(
            self.experiment.evaluation,
            asker,
            weights,
            self.stream,
            self.experiment.eval_mappings,
            self.experiment.pivots,
            self.prompts_rng,
        )
        self.record.finish(model, exact)
        frames = _frames(self.experiment, self.seed, self.record)
        return Run(model, self.stream, *frames)


def prepare(
    experiment: Experiment,
    seed: int,
    record: Path | None = None,
    save_every_s: float = 30.0,
) -> Preparation:
    """Draws what a run reads, and reads what it has saved.

    Raises:
        ValueError: as `run`.
    """
    if seed < 0:
        raise ValueError(f"`seed` cannot be negative. Received: seed={seed}")
    _, weights_rng, prompts_rng, order_rng = _generators(seed)
    progress = Record(experiment, seed, record, save_every_s)
    if progress.is_finished:
        raise ValueError(
            "A finished run cannot be continued. "
            f"Received: record={record}.json"
        )
    config = experiment.train
    phases = draw_phases(experiment, seed)
    windows = ShuffledWindows(
        [(phase.inputs, phase.targets) for phase in phases],
        (config.num_pretraining_epochs, config.num_epochs)[-len(phases) :],
        config.batch_size,
        int(order_rng.integers(2**63)),
        first_epoch=len(progress.logs),
    )
    return Preparation(
        experiment,
        seed,
        progress,
        phases[-1],
        windows,
        weights_rng,
        prompts_rng,
    )


class _Saving(keras.callbacks.Callback):
    """Adds each epoch to a record."""

    def __init__(self, record: Record):
        super().__init__()
        self._record = record

    def on_epoch_end(self, epoch, logs=None):
        self._record.add(logs or {}, lambda: state_of(self.model))


def run(
    experiment: Experiment,
    seed: int,
    record: Path | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    save_every_s: float = 30.0,
) -> Run:
    """Runs one condition with one seed, through `model.fit`.

    The seed fixes languages, sentences, initial weights, order of the
    windows and prompts, all drawn in NumPy and so the same on each backend.
    `multi_seed.run_seeds` does the same for many seeds, faster, on JAX.

    Args:
        experiment: what to run.
        seed: a non-negative integer.
        record: path of the files that hold progress (`Record`), without
            suffix. If they exist, the run continues from there. None for no
            files.
        callbacks: further callbacks; they see accuracies in `logs`.
        save_every_s: least seconds between two savings of progress.

    Returns:
        The model with its metrics and events.

    Raises:
        ValueError: if `seed` is negative, or `record` holds another
            experiment or a finished run, or is damaged.
    """
    ready = prepare(experiment, seed, record, save_every_s)
    model = build_gpt(experiment.model)
    compile_gpt(model, experiment.train)
    ready.start(model)
    asker = Asker(experiment.evaluation, model, ready.stream)
    questions = ready.callbacks(asker)
    if not ready.record.is_trained:
        model.fit(
            ready.windows,
            epochs=experiment.train.num_epochs,
            initial_epoch=len(ready.record.logs),
            steps_per_epoch=ready.windows.steps_per_epoch,
            shuffle=False,  # the order is in the windows
            callbacks=[*questions, _Saving(ready.record), *callbacks],
            verbose=0,
        )
    return ready.finish(model, asker, model)


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
