"""Threads of this process, or its devices, as the executor of tasks."""

import functools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

import keras

from tiny_gpt.runtime.backend import form
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.runtime.environment import make_deterministic, set_precision
from tiny_gpt.runtime.processes import Stopped
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.tasks import (
    SAVE_EVERY_S,
    SweepTask,
    TaskLease,
    TaskResult,
    jobs_of,
    run_task,
)
from tiny_gpt.train import run_all
from tiny_gpt.training.many_seeds import OnStart, program_bytes
from tiny_gpt.training.run_setup import Job
from tiny_gpt.training.seed_batches import count_workers
from tiny_gpt.training.train_batch import OnEpoch

MOST_DEALT = 256  # runs at once to devices; each lease is an open file


def in_process(
    store: Store,
    tasks: Sequence[SweepTask],
    num_workers: int | None = None,
    placement: Placement | None = None,
    on_epoch: OnEpoch | None = None,
    on_start: OnStart | None = None,
    seeds_per_batch: int | None = None,
) -> Iterator[TaskResult]:
    """Does tasks in threads of this process, which share programs (JAX).

    Args:
        store: where the runs are written.
        tasks: the tasks.
        num_workers: threads. By default, if JAX is on one CPU, one per core,
            or one if the program of the first task is so large that it keeps
            all cores busy. On other devices see `run_all`, which then deals
            the runs of all tasks to them.
        placement: devices; None for the backend's first.
        on_epoch: see `run_task`; several threads call it.
        on_start: see `run_all`, for runs that are dealt to devices.
        seeds_per_batch: see `run_all`, for the same; None for as many as fit.

    Yields:
        The result of each task, when it is done.

    Raises:
        ValueError: if `num_workers` is below 1; or above 1 on a backend other
            than JAX, which has one model at a time.
        OSError: if a file cannot be written.
    """
    is_jax = keras.backend.backend() == "jax"
    has_threads = form().has_thread_per_run
    is_alone = placement is None or placement.num_devices == 1
    is_dealt = is_jax and not (has_threads and is_alone)
    set_precision(store.precision)
    if is_dealt:
        make_deterministic()
        for some in _chunks(tasks):
            yield from _deal(
                store,
                some,
                num_workers,
                placement,
                on_epoch,
                on_start,
                seeds_per_batch,
            )
        return
    if num_workers is None:
        num_workers = _count_threads(tasks) if has_threads else 1
    if num_workers < 1 or (num_workers > 1 and not is_jax):
        raise ValueError(
            "`num_workers` must be at least 1, and 1 where the backend is "
            f"not JAX; use processes there. Received: num_workers={num_workers}"
        )
    make_deterministic()
    is_stopped = threading.Event()
    do = functools.partial(
        run_task,
        store,
        placement=placement,
        is_stopped=is_stopped.is_set,
        on_epoch=on_epoch,
    )
    if num_workers == 1:  # here, where an interrupted run can be saved
        yield from map(do, tasks)
        return
    pool = ThreadPoolExecutor(
        num_workers, initializer=lambda: set_precision(store.precision)
    )
    try:
        futures = [pool.submit(do, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    finally:
        is_stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _count_threads(tasks: Sequence[SweepTask]) -> int:
    """Returns how many tasks run at once on a CPU, with JAX."""
    if len(tasks) < 2:
        return 1
    first = tasks[0]
    return count_workers(program_bytes(first.experiment, first.seeds[0]))


def _chunks(tasks: Sequence[SweepTask]) -> Iterator[list[SweepTask]]:
    """Yields tasks of `MOST_DEALT` runs together, or one that has more."""
    some: list[SweepTask] = []
    for task in tasks:
        num_runs = sum(len(each.seeds) for each in (*some, task))
        if some and num_runs > MOST_DEALT:
            yield some
            some = []
        some.append(task)
    if some:
        yield some


def _deal(
    store: Store,
    tasks: Sequence[SweepTask],
    num_workers: int | None,
    placement: Placement | None,
    on_epoch: OnEpoch | None,
    on_start: OnStart | None,
    seeds_per_batch: int | None,
) -> Iterator[TaskResult]:
    """Does tasks at once, their runs dealt to devices (`run_all`).

    If one of them raises, the unfinished ones are done one after the other.
    """
    held: list[tuple[SweepTask, TaskLease]] = []
    of_job: dict[Job, TaskLease] = {}
    is_whole = True
    try:
        for task in tasks:
            held.append((task, TaskLease(store, task)))
            jobs = jobs_of(store, *held[-1])
            of_job.update(dict.fromkeys(jobs, held[-1][1]))
        for job, _ in run_all(
            list(of_job),
            num_workers,
            seeds_per_batch=seeds_per_batch,
            on_epoch=on_epoch,
            on_start=on_start,
            save_every_s=SAVE_EVERY_S,
            placement=placement,
        ):
            of_job[job].keep(job.seed)
    except (Stopped, OSError):
        raise
    except Exception:  # which run it was is found below
        is_whole = False
    finally:
        left = [task for task, lease in held if lease.leases]
        for _, lease in held:
            lease.release()
    for _, lease in held:
        yield lease.done()
    if not is_whole:
        for task in left:
            yield run_task(store, task, placement, on_epoch=on_epoch)
