"""The training of one seed batch: its epochs, callbacks and savings."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tiny_gpt.training.compiled_runs import CompiledPrograms, round_up
from tiny_gpt.training.epoch_program import first_copy
from tiny_gpt.training.run_setup import Job, Run, RunSetup

# The number of batches is rounded up, so that programs are shared.
BATCHES = 8

OnEpoch = Callable[[Job, int, dict[str, float]], None]
Callbacks = Callable[[Job], Iterable[keras.callbacks.Callback]]


def train_batch(
    programs: CompiledPrograms,
    members: Sequence[tuple[Job, RunSetup]],
    callbacks: Callbacks,
    on_epoch: OnEpoch | None,
    is_stopped: Callable[[], bool],
    is_shared: bool,
) -> Iterator[tuple[Job, Run]]:
    """Trains the runs of a seed batch together.

    All must have saved the same number of epochs.

    Args:
        programs: their compiled programs.
        members: the jobs and their setups.
        callbacks: from a job to further callbacks.
        on_epoch: called after each epoch of each run. If it raises, all is
            saved and the training ends there.
        is_stopped: called before each epoch; if true, all is saved and the
            training ends there.
        is_shared: whether several devices hold copies of the state.

    Yields:
        Each job with its run, when all are trained; none if it was stopped.
    """
    setups = [setup for _, setup in members]
    for setup in setups:
        setup.record.start_clock()
    train = setups[0].experiment.train
    observers = _begin(programs, members, callbacks)
    state = _stack([programs.start(setup) for setup in setups])
    for epoch in range(len(setups[0].record.logs), train.num_epochs):
        if is_stopped():
            _save(setups, first_copy(state) if is_shared else state)
            return
        inputs, targets, weights, num_batches = zip(
            *(epoch_batches(setup, epoch) for setup in setups), strict=True
        )
        state, losses = programs.epoch(len(setups))(
            state,
            _stack_arrays(inputs),
            _stack_arrays(targets),
            _stack_arrays(weights),
            num_batches[0],
        )
        whole = first_copy(state) if is_shared else state
        logs_of: dict[Job, dict[str, float]] = {}
        for i, (job, setup) in enumerate(members):
            of_run = _of_run(whole, i, len(setups))
            logs = logs_of[job] = {"loss": float(np.atleast_1d(losses)[i])}
            snapshot = programs.snapshot(of_run)
            for callback in observers[i]:
                callback.set_model(snapshot)
                callback.on_epoch_end(epoch, logs)
            setup.record.add(logs, functools.partial(_copied, of_run))
        if on_epoch is not None:
            try:
                for job, logs in logs_of.items():
                    on_epoch(job, epoch + 1, logs)
            except BaseException:  # it ends the runs
                _save(setups, whole)
                raise
    state = first_copy(state) if is_shared else state
    for i, (job, setup) in enumerate(members):
        yield job, programs.finish(setup, _of_run(state, i, len(setups)))


def _save(setups: Sequence[RunSetup], state: Sequence[Any]) -> None:
    for i, setup in enumerate(setups):
        of_run = _of_run(state, i, len(setups))
        setup.record.save(functools.partial(_copied, of_run))


def _begin(
    programs: CompiledPrograms,
    members: Sequence[tuple[Job, RunSetup]],
    callbacks: Callbacks,
) -> list[list[keras.callbacks.Callback]]:
    """Returns the callbacks of each run, after their `on_train_begin`."""
    observers = []
    for job, setup in members:
        of_run = [*setup.callbacks(programs.evaluation), *callbacks(job)]
        of_run += setup.recorders(of_run)
        for callback in of_run:
            callback.set_params(
                {
                    "epochs": setup.experiment.train.num_epochs,
                    "steps": setup.windows.steps_per_epoch,
                }
            )
            callback.on_train_begin()
        observers.append(of_run)
    return observers


def epoch_batches(
    setup: RunSetup, epoch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Returns an epoch as batches of equal size, weights, and their number."""
    size = setup.experiment.train.batch_size
    number = setup.windows.steps_per_epoch
    total = round_up(number, BATCHES) * size
    windows = setup.windows.epoch(epoch)
    count = len(windows[0])
    filled = []
    for array in (*windows, np.ones(count, "float32")):
        whole = np.zeros((total, *array.shape[1:]), array.dtype)
        whole[:count] = array
        filled.append(whole.reshape(-1, size, *array.shape[1:]))
    return filled[0], filled[1], filled[2], number


def _stack(states: list[list[np.ndarray]]) -> list[np.ndarray]:
    if len(states) == 1:
        return states[0]
    return [np.stack(values) for values in zip(*states, strict=True)]


def _stack_arrays(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.stack(arrays)


def _of_run(state: Sequence[Any], i: int, num_runs: int) -> list[Any]:
    return list(state) if num_runs == 1 else [value[i] for value in state]


def _copied(state: Sequence[Any]) -> list[np.ndarray]:
    return [np.array(value) for value in state]
