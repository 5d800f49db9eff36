"""Sweep tasks: runs of one cell, made under leases, into the store."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import keras

from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.backend import is_jax_on_cpu
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.runtime.environment import (
    count_cores,
    make_deterministic,
    set_precision,
)
from tiny_gpt.runtime.files import DamagedFileError
from tiny_gpt.runtime.processes import Stopped
from tiny_gpt.sweep.store import Lease, Store
from tiny_gpt.train import run_all
from tiny_gpt.training.run_setup import Job

SAVE_EVERY_S = 10.0


@dataclass(frozen=True)
class SweepTask:
    """A seed batch of runs: one cell and some of its seeds.

    Attributes:
        key: of the cell.
        experiment: the experiment, labelled by the store.
        seeds: seeds to run.
    """

    key: str
    experiment: Experiment
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class TaskResult:
    """The result of a task.

    Attributes:
        task: the task.
        finished: seeds that this task added to the store.
        taken: seeds that another process works on.
        error: error of a run, in a line; None if none.
    """

    task: SweepTask
    finished: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()
    error: str | None = None


class TaskLease:
    """The unfinished runs of a task, each under a lease.

    Args:
        store: where the runs are written.
        task: the task. Seeds that are finished by now are passed over.

    Attributes:
        leases: by seed.
        finished: seeds that came into the store since.
        taken: seeds that another process works on.

    Raises:
        OSError: if a file cannot be written.
    """

    def __init__(self, store: Store, task: SweepTask):
        self.leases: dict[int, Lease] = {}
        self.finished: list[int] = []
        self.taken: list[int] = []
        self._store, self._task = store, task
        try:
            for seed in task.seeds:
                self._take(seed)
        except BaseException:
            self.release()
            raise

    def _take(self, seed: int) -> None:
        lease = self._store.lease(self._task.key, seed)
        if lease is None:
            self.taken.append(seed)
            return
        self.leases[seed] = lease
        if self._store.has(self._task.key, seed):  # since it was planned
            self.leases.pop(seed).release()
        else:
            self.keep(seed)  # of a process killed just before

    def keep(self, seed: int) -> bool:
        """Keeps the finished record of a run, if there is one."""
        task = self._task
        if not self._store.keep(task.key, task.experiment, seed):
            return False
        self.finish(seed)
        return True

    def receive(self, seed: int, data: bytes) -> None:
        """Keeps the file of a run that was finished elsewhere."""
        self._store.receive(self._task.key, seed, data)
        self._store.send(self._task.key, seed)
        self.finish(seed)

    def finish(self, seed: int) -> None:
        """Counts a run as finished, and gives its lease back."""
        self.finished.append(seed)
        self.leases.pop(seed).release()

    def release(self) -> None:
        """Gives back all leases that are left."""
        while self.leases:
            self.leases.popitem()[1].release()

    def done(self, error: str | None = None) -> TaskResult:
        """Returns the result of the task."""
        return TaskResult(
            self._task, tuple(self.finished), tuple(self.taken), error
        )


def run_task(
    store: Store,
    task: SweepTask,
    placement: Placement | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> TaskResult:
    """Does one task in this thread, under leases.

    Args:
        store: where the runs are written.
        task: the task. Seeds that are finished by now are passed over.
        placement: devices; None for the backend's first.
        is_stopped: called after each epoch; if true, the task ends there.

    Raises:
        Stopped: if it was told to stop.
        OSError: if a file cannot be written.
    """
    held, error = TaskLease(store, task), None
    try:
        jobs = [
            Job(task.experiment, seed, store.record(task.key, seed))
            for seed in held.leases
        ]
        if jobs:
            for seed in _train(jobs, placement, is_stopped):
                if not held.keep(seed):
                    raise DamagedFileError(
                        "A finished run must leave its record. Received: "
                        f"{store.record(task.key, seed)}.json"
                    )
    except (Stopped, OSError):
        raise
    except Exception as caught:
        error = in_a_line(caught)
    finally:
        held.release()
    return held.done(error)


def in_a_line(error: BaseException) -> str:
    """Returns the kind of an error, and the first line of its message."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def _train(
    jobs: Sequence[Job],
    placement: Placement | None,
    is_stopped: Callable[[], bool],
) -> Iterator[int]:
    """Yields the seed of each run when its record is finished."""

    def check(*_: object) -> None:
        if is_stopped():
            raise Stopped

    for job, _ in run_all(
        jobs,
        num_workers=1 if is_jax_on_cpu() else None,
        on_epoch=check,
        save_every_s=SAVE_EVERY_S,
        placement=placement,
    ):
        yield job.seed


def in_process(
    store: Store,
    tasks: Sequence[SweepTask],
    num_workers: int | None = None,
    placement: Placement | None = None,
) -> Iterator[TaskResult]:
    """Does tasks in threads of this process, which share programs (JAX).

    Args:
        store: where the runs are written.
        tasks: the tasks.
        num_workers: threads; by default one per core if JAX is on a CPU,
            else one, which gives each seed batch all devices.
        placement: devices; None for the backend's first.

    Yields:
        The result of each task, when it is done.

    Raises:
        ValueError: if `num_workers` is below 1; or above 1 on a backend other
            than JAX, which has one model at a time.
        OSError: if a file cannot be written.
    """
    is_jax = keras.backend.backend() == "jax"
    if num_workers is None:
        num_workers = count_cores() if is_jax_on_cpu() else 1
    if num_workers < 1 or (num_workers > 1 and not is_jax):
        raise ValueError(
            "`num_workers` must be at least 1, and 1 where the backend is "
            f"not JAX; use processes there. Received: num_workers={num_workers}"
        )
    make_deterministic()
    is_stopped = threading.Event()
    if num_workers == 1:  # here, where an interrupted run can be saved
        set_precision(store.precision)
        for task in tasks:
            yield run_task(store, task, placement)
        return
    pool = ThreadPoolExecutor(
        num_workers, initializer=lambda: set_precision(store.precision)
    )
    try:
        futures = [
            pool.submit(run_task, store, task, placement, is_stopped.is_set)
            for task in tasks
        ]
        for future in as_completed(futures):
            yield future.result()
    finally:
        is_stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)
