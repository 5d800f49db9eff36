"""One run of an experiment through `fit`."""

from collections.abc import Iterable
from pathlib import Path

import keras

from tiny_gpt.evaluation.evaluate import CompiledEvaluation
from tiny_gpt.experiment import Experiment
from tiny_gpt.models.gpt import build_gpt
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.training.replicas import (
    CallbacksOnACopy,
    FilledWindows,
    copy_weights,
    fitting,
)
from tiny_gpt.training.run_files import Record, state_of
from tiny_gpt.training.run_setup import Run, RunSetup, set_up_run
from tiny_gpt.training.update import check_clipping, compile_gpt


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
    keeps_weights: bool = False,
    placement: Placement | None = None,
) -> Run:
    """Runs one condition with one seed, through `model.fit`.

    The seed fixes languages, sentences, initial weights, order of the
    windows and prompts, all drawn in NumPy and so the same on each backend.
    `many_seeds.run_seeds` does the same for many seeds, faster, on JAX.

    Args:
        experiment: what to run.
        seed: a non-negative integer.
        record: path of the files that hold progress (`Record`), without
            suffix. If they exist, the run continues from there. None for no
            files.
        callbacks: further callbacks; they see accuracies in `logs`.
        save_every_s: least seconds between two savings of progress.
        keeps_weights: whether the weights of some epochs, ever fewer, and of
            all around an event are kept in the folder "{record}_weights"
            (`CheckpointAtEvents`).
        placement: devices (`choose_devices`); None for the backend's first.
            Several divide each batch among them (`replicas.py`).

    Returns:
        The model with its metrics and events.

    Raises:
        ValueError: if `seed` is negative, or `record` holds another
            experiment or a finished run, or is damaged, or the devices
            cannot clip as asked for.
    """
    check_clipping(experiment.train, placement)
    setup = set_up_run(experiment, seed, record, save_every_s, keeps_weights)
    if placement is not None and placement.is_replicated:
        return _run_replicas(setup, list(callbacks), placement)
    model = build_gpt(experiment.model)
    compile_gpt(model, experiment.train)
    setup.start(model)
    compiled = CompiledEvaluation(
        experiment.evaluation, model, experiment.task.answer_length
    )
    questions = setup.callbacks(compiled)
    if not setup.record.is_trained:
        model.fit(
            setup.windows,
            epochs=experiment.train.num_epochs,
            initial_epoch=len(setup.record.logs),
            steps_per_epoch=setup.windows.steps_per_epoch,
            shuffle=False,  # the order is in the windows
            callbacks=[*questions, _Saving(setup.record), *callbacks],
            verbose=0,
        )
    return setup.finish(model, compiled, model)


def _run_replicas(
    setup: RunSetup,
    callbacks: list[keras.callbacks.Callback],
    placement: Placement,
) -> Run:
    """Does the same on several devices, and returns a model on one."""
    experiment = setup.experiment
    with placement.scope():
        model = build_gpt(experiment.model)
        compile_gpt(model, experiment.train, placement)
        setup.start(model)
    copy = build_gpt(experiment.model)
    compiled = CompiledEvaluation(
        experiment.evaluation, copy, experiment.task.answer_length
    )
    questions = setup.callbacks(compiled)
    filled = FilledWindows(
        setup.windows, experiment.train.batch_size, placement.num_devices
    )
    if not setup.record.is_trained:
        with fitting(placement):
            model.fit(
                filled
                if placement.strategy is None
                else filled.as_tensorflow(),
                epochs=experiment.train.num_epochs,
                initial_epoch=len(setup.record.logs),
                steps_per_epoch=setup.windows.steps_per_epoch,
                shuffle=False,  # the order is in the windows
                callbacks=[
                    CallbacksOnACopy(questions, copy),
                    _Saving(setup.record),
                    *callbacks,
                ],
                verbose=0,
            )
    copy_weights(model, copy)
    return setup.finish(copy, compiled, copy)
