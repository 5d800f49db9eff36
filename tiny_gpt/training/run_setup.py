"""Run setup: data, callbacks, checkpoints."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tiny_gpt.callbacks import (
    CheckpointAtEvents,
    MemorisationMeter,
    RunRecorder,
    WeightNorms,
    check_order,
)
from tiny_gpt.evaluation.data import CutAnew, Data
from tiny_gpt.evaluation.evaluate import (
    CompiledEvaluation,
    evaluate_exactly,
    evaluation_callbacks,
)
from tiny_gpt.experiment import Experiment, loss_floor
from tiny_gpt.metrics.frames import (
    columns_of,
    event_loggers,
    events_frame,
    metrics_frame,
)
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.runtime.programs import Snapshot
from tiny_gpt.training.log_columns import LogColumns
from tiny_gpt.training.run_files import Record, set_state
from tiny_gpt.training.visible import check_visible
from tiny_gpt.training.windows import ShuffledWindows


@dataclass(frozen=True)
class Run:
    """The results of one run.

    Attributes:
        model: the trained model.
        data: the text that it read, and its questions.
        metrics: metrics frame, columns `columns.COLUMNS`.
        events: events frame, columns `columns.EVENT_COLUMNS`.
        wall_s: seconds of training and evaluation, compilation included.
    """

    model: keras.Model
    data: Data
    metrics: pd.DataFrame
    events: pd.DataFrame
    wall_s: float


@dataclass(frozen=True)
class RunSetup:
    """A run that is ready to train, or to continue.

    Attributes:
        experiment: what to run.
        seed: its seed.
        record: what it has saved, and where it saves.
        data: data of the last phase, and its questions.
        windows: batches to read, epoch by epoch, from the next epoch on.
        weights_rng: source of the initial weights.
        prompts_rng: source of the questions.
        keeps_weights: whether weights are kept at events and in between.
    """

    experiment: Experiment
    seed: int
    record: Record
    data: Data
    windows: ShuffledWindows
    weights_rng: np.random.Generator
    prompts_rng: np.random.Generator
    keeps_weights: bool = False

    def start(self, model: keras.Model) -> None:
        """Gives a newly compiled model initial or saved weights."""
        if self.record.state is None:
            initialise_weights(model, self.weights_rng)
        else:
            set_state(model, self.record.state)

    def callbacks(
        self, compiled: CompiledEvaluation
    ) -> list[keras.callbacks.Callback]:
        """Returns the callbacks that measure after each epoch, in order.

        Further callbacks come after them, then the `recorders`.
        """
        experiment, logs = self.experiment, self.record.logs
        callbacks = [
            *evaluation_callbacks(
                experiment.evaluation,
                compiled,
                self.data,
                experiment.task.eval_mappings,
                self.prompts_rng,
            ),
            WeightNorms(),
        ]
        floor = loss_floor(experiment)
        has_one_text = not experiment.train.num_pretraining_epochs
        if has_one_text and not math.isnan(floor):
            callbacks.append(MemorisationMeter(floor))
        loggers = event_loggers(experiment, logs)
        callbacks += loggers.values()
        if self.record.path is not None and self.keeps_weights:
            folder = f"{self.record.path}_weights"
            callbacks.append(CheckpointAtEvents(folder, loggers["change"]))
        return callbacks

    def recorders(
        self, callbacks: Sequence[keras.callbacks.Callback]
    ) -> list[keras.callbacks.Callback]:
        """Returns the callbacks that come after all those that write logs.

        Args:
            callbacks: those of `callbacks`, and further ones.

        Raises:
            ValueError: if one reads what a later one writes, or a key has no
                place in the metrics frame.
        """
        record = self.record
        known = columns_of(self.experiment)
        recorders: list[keras.callbacks.Callback] = [
            LogColumns(record, known, callbacks)
        ]
        if record.path is not None:
            log = Path(f"{record.path}.jsonl")
            recorders.append(
                RunRecorder(log, overwrite=True, earlier_logs=record.logs)
            )
        check_order([*callbacks, *recorders])
        return recorders

    def finish(
        self,
        weights: keras.Model | Snapshot,
        compiled: CompiledEvaluation,
        model: keras.Model,
    ) -> Run:
        """Asks every question, and ends the record.

        Args:
            weights: the trained weights.
            compiled: compiled evaluation.
            model: the trained model, for later use.
        """
        exact = evaluate_exactly(
            self.experiment.evaluation,
            compiled,
            weights,
            self.data,
            self.prompts_rng,
        )
        self.record.finish(model, exact)
        frames = frames_of(self.experiment, self.seed, self.record)
        return Run(model, self.data, *frames)


def set_up_run(
    experiment: Experiment,
    seed: int,
    record: Path | None = None,
    save_every_s: float = 30.0,
    keeps_weights: bool = False,
) -> RunSetup:
    """Draws the data of a run, and reads what the run has saved.

    Raises:
        ValueError: as `run`, or if the model sees what it has to predict.
    """
    progress = open_record(experiment, seed, record, save_every_s)
    _, weights_rng, prompts_rng, order_rng = _generators(seed)
    config = experiment.train
    phases = draw_phases(experiment, seed)
    check_visible(experiment, phases)
    windows = ShuffledWindows(
        [(phase.inputs, phase.targets) for phase in phases],
        (config.num_pretraining_epochs, config.num_epochs)[-len(phases) :],
        config.batch_size,
        int(order_rng.integers(2**63)),
        first_epoch=len(progress.logs),
        recuts=[p.recut if isinstance(p, CutAnew) else None for p in phases],
    )
    return RunSetup(
        experiment,
        seed,
        progress,
        phases[-1],
        windows,
        weights_rng,
        prompts_rng,
        keeps_weights,
    )


def open_record(
    experiment: Experiment,
    seed: int,
    record: Path | None,
    save_every_s: float = 30.0,
) -> Record:
    """Opens the record of a run that is to be trained.

    Raises:
        ValueError: if the seed is negative, or the record is finished or of
            another experiment.
    """
    if seed < 0:
        raise ValueError(f"`seed` cannot be negative. Received: seed={seed}")
    progress = Record(experiment, seed, record, save_every_s)
    if progress.is_finished:
        raise ValueError(
            "A finished run cannot be continued. "
            f"Received: record={record}.json"
        )
    return progress


def _generators(seed: int) -> list[np.random.Generator]:
    """Returns generators of stream, weights, prompts and order."""
    return np.random.default_rng(seed).spawn(4)


def draw_phases(experiment: Experiment, seed: int) -> Sequence[Any]:
    """Draws the data of a run: `Data` of each phase (`Task.draw`)."""
    return experiment.task.draw(
        experiment.model.sequence_length, _generators(seed)[0]
    )


def frames_of(
    experiment: Experiment, seed: int, done: Any
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Returns metrics, events and wall seconds of a finished run.

    Args:
        experiment: what was run; its name and condition label the rows.
        seed: its seed.
        done: a `Record`, or what a store has of it (`cell.Finished`).
    """
    exact = done.exact or []
    return (
        metrics_frame(experiment, seed, done.logs, exact, done.columns),
        events_frame(experiment, seed, done.logs),
        done.wall_s,
    )


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        experiment: what to run.
        seed: its seed.
        record: path of its files, see `train.run`; None for no files.
        keeps_weights: see `train.run`.
    """

    experiment: Experiment
    seed: int
    record: Path | None = None
    keeps_weights: bool = False
