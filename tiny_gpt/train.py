"""Training: one run through `fit`, or many runs at once."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.training.compiled_model import CompiledModel, borrow_model
from tiny_gpt.training.many_seeds import (
    Callbacks,
    OnEpoch,
    OnStart,
    check_numbers,
    run_jobs,
)
from tiny_gpt.training.replicas import (
    CallbacksOnACopy,
    filled_windows,
    fitting,
)
from tiny_gpt.training.run_files import Record, Saving, state_of
from tiny_gpt.training.run_setup import (
    Job,
    Run,
    RunSetup,
    open_record,
    set_up_run,
)
from tiny_gpt.training.seed_batches import SeedBatches
from tiny_gpt.training.update import check_clipping


def run(
    experiment: Experiment,
    seed: int,
    record: Path | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    save_every_s: float = 30.0,
    keeps_weights: bool = False,
    placement: Placement | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> Run:
    """Runs one condition with one seed, through `model.fit`.

    The seed fixes the languages, the sentences, the initial weights, the order
    of the windows and the prompts. All are drawn in NumPy, so they are the same
    on each backend. `run_all` does the same for many runs, faster.

    Args:
        experiment: what to run.
        seed: a non-negative integer.
        record: path of the files that hold progress (`Record`), without
            suffix. If they exist, the run continues from there; a damaged
            one is set aside, with a warning. None for no files.
        callbacks: further callbacks; they see accuracies in `logs`. Keys that
            they write become rows of the metrics frame, by their
            `log_columns`.
        save_every_s: least seconds between two savings of progress.
        keeps_weights: whether weights are kept in the folder
            "{record}_weights": those around each event, and those of other
            epochs at growing distances (`CheckpointAtEvents`).
        placement: devices (`choose_devices`); None for the backend's first.
            Several devices divide each batch among them (`replicas.py`).
        on_epoch: called with each epoch, counted from 1, and its logs. They
            are in the record by then, so a run that it ends loses nothing.

    Returns:
        The model with its metrics and events.

    Raises:
        ValueError: if `seed` is negative; if `record` holds another
            experiment or a finished run; if the devices cannot clip as the
            experiment says; or if a callback writes a key that it does not
            declare in `log_columns`.
    """
    check_clipping(experiment.train, placement)
    setup = set_up_run(experiment, seed, record, save_every_s, keeps_weights)
    callbacks = list(callbacks)
    # Callbacks of others may keep the model, so it trains no other run.
    with borrow_model(experiment, placement, not callbacks) as compiled:
        return _fit(setup, compiled, callbacks, on_epoch)


def _fit(
    setup: RunSetup,
    compiled: CompiledModel,
    callbacks: list[keras.callbacks.Callback],
    on_epoch: Callable[[int, dict[str, float]], None] | None,
) -> Run:
    compiled.start(setup)
    replicas, train = compiled.replicas, setup.experiment.train
    questions = setup.callbacks(compiled.evaluation)
    recorders = setup.recorders([*questions, *callbacks])
    if not setup.record.is_trained:
        windows: Any = setup.windows
        if replicas:
            questions = [CallbacksOnACopy(questions, compiled.asked)]
            windows = filled_windows(windows, train.batch_size, replicas)
        with fitting(replicas) if replicas else contextlib.nullcontext():
            compiled.model.fit(
                windows,
                epochs=train.num_epochs,
                initial_epoch=len(setup.record.logs),
                steps_per_epoch=setup.windows.steps_per_epoch,
                shuffle=False,  # the order is in the windows
                callbacks=[
                    *questions,
                    *callbacks,
                    *recorders,
                    Saving(setup.record),
                    *_telling(on_epoch, setup.record, compiled.model),
                ],
                verbose=0,
            )
    return compiled.finish(setup)


def run_all(
    jobs: Sequence[Job],
    num_workers: int | None = None,
    seeds_per_batch: int | None = None,
    on_epoch: OnEpoch | None = None,
    on_start: OnStart | None = None,
    save_every_s: float = 30.0,
    placement: Placement | None = None,
    callbacks: Callbacks | None = None,
) -> Iterator[tuple[Job, Run]]:
    """Runs many jobs; the one place that chooses how runs are trained.

    On JAX one compiled program trains all seeds (`many_seeds.run_jobs`). Other
    backends train one run after the other through `fit`.

    Args:
        jobs: what to run, started in this order.
        num_workers: runs at once; by default as many as suit the machine on
            JAX. Elsewhere one; `sweep.processes` has more.
        seeds_per_batch: runs in one batch of a program, see `run_jobs`;
            elsewhere each run is a batch of its own.
        on_epoch: called after each epoch with the job, the epoch, counted
            from 1, and its logs. On JAX several threads call it.
        on_start: called once with the batches of seeds, before training.
        save_every_s: least seconds between two savings of a run.
        placement: devices; by default all on JAX, the first elsewhere.
        callbacks: from a job to further callbacks, see `run_jobs`.

    Yields:
        Each job with its run, when it is finished.

    Raises:
        ValueError: if a number is below 1, the backend cannot do what the
            arguments say, or a job is invalid (`run`); before any training.
    """
    check_numbers(num_workers, seeds_per_batch)
    if keras.backend.backend() == "jax":
        yield from run_jobs(
            jobs,
            num_workers,
            seeds_per_batch,
            on_epoch,
            on_start,
            save_every_s,
            placement,
            callbacks,
        )
        return
    _check_for_fit(jobs, num_workers, seeds_per_batch, placement)
    if on_start is not None and jobs:
        on_start(_batches_of_one(len(jobs), placement))
    for job in jobs:
        done = run(
            job.experiment,
            job.seed,
            job.record,
            () if callbacks is None else callbacks(job),
            save_every_s,
            job.keeps_weights,
            placement,
            on_epoch and functools.partial(on_epoch, job),
        )
        yield job, done


def _batches_of_one(num_jobs: int, placement: Placement | None) -> SeedBatches:
    n = 1 if placement is None else placement.num_devices
    return SeedBatches(1, (1,) * num_jobs, False, n, n > 1)


def _check_for_fit(
    jobs: Sequence[Job],
    num_workers: int | None,
    seeds_per_batch: int | None,
    placement: Placement | None,
) -> None:
    """Refuses what `fit` cannot do."""
    backend = keras.backend.backend()
    for name, value in (
        ("num_workers", num_workers),
        ("seeds_per_batch", seeds_per_batch),
    ):
        if (value or 1) > 1:
            raise ValueError(
                f"`{name}` above 1 is for JAX; elsewhere runs are trained one "
                f"after the other. Received: {name}={value} on {backend}"
            )
    for job in jobs:
        check_clipping(job.experiment.train, placement)
        open_record(job.experiment, job.seed, job.record)


def _telling(
    on_epoch: Callable[[int, dict[str, float]], None] | None,
    record: Record,
    model: keras.Model,
) -> list[keras.callbacks.Callback]:
    """Returns a callback that calls a function after each epoch, in a list.

    If the function raises, the epoch is saved.
    """
    if on_epoch is None:
        return []

    def tell(epoch: int, logs: dict[str, float]) -> None:
        try:
            on_epoch(epoch + 1, logs)
        except BaseException:  # it ends the run
            record.save(lambda: state_of(model))
            raise

    return [keras.callbacks.LambdaCallback(on_epoch_end=tell)]
