"""Tasks: runs of one experiment, made under leases, into the store."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.backend import form
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.runtime.files import DamagedFileError
from tiny_gpt.runtime.processes import Stopped
from tiny_gpt.sweep.exchange import has_run, send_run
from tiny_gpt.sweep.store import Lease, Store
from tiny_gpt.train import run_all
from tiny_gpt.training.run_setup import Job
from tiny_gpt.training.train_batch import OnEpoch

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
        details: its traceback; empty if none, or if it is not known.
    """

    task: SweepTask
    finished: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()
    error: str | None = None
    details: str = ""


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
        if has_run(self._store, self._task.key, seed):  # since it was planned
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

    def receive(
        self, seed: int, data: bytes, weights: bytes | None = None
    ) -> None:
        """Keeps the files of a run that was finished elsewhere."""
        self._store.receive(self._task.key, seed, data, weights)
        self.finish(seed)

    def finish(self, seed: int) -> None:
        """Sends a finished run on, counts it, and gives its lease back."""
        send_run(self._store, self._task.key, seed)
        self.finished.append(seed)
        self.leases.pop(seed).release()

    def release(self) -> None:
        """Gives back all leases that are left."""
        while self.leases:
            self.leases.popitem()[1].release()

    def done(self, error: str | None = None, details: str = "") -> TaskResult:
        """Returns the result of the task."""
        done = tuple(self.finished), tuple(self.taken)
        return TaskResult(self._task, *done, error, details)


def run_task(
    store: Store,
    task: SweepTask,
    placement: Placement | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    on_epoch: OnEpoch | None = None,
) -> TaskResult:
    """Does one task in this thread, under leases.

    Args:
        store: where the runs are written.
        task: the task. Seeds that are finished by now are passed over.
        placement: devices; None for the backend's first.
        is_stopped: called after each epoch; if true, the task ends there.
        on_epoch: see `run_all`; the experiment is labelled by the store.

    Raises:
        Stopped: if it was told to stop.
        OSError: if a file cannot be written.
    """
    held, error, details = TaskLease(store, task), None, ""
    try:
        jobs = jobs_of(store, task, held)
        if jobs:
            for seed in _train(jobs, placement, is_stopped, on_epoch):
                if not held.keep(seed):
                    raise DamagedFileError(
                        "A finished run must leave its record. Received: "
                        f"{store.record(task.key, seed)}.json"
                    )
    except (Stopped, OSError):
        raise
    except Exception as caught:
        error, details = in_a_line(caught), traceback.format_exc()
    finally:
        held.release()
    return held.done(error, details)


def jobs_of(store: Store, task: SweepTask, held: TaskLease) -> list[Job]:
    """Returns the runs of a task that are held, with their records."""
    return [
        Job(
            task.experiment,
            seed,
            store.record(task.key, seed),
            store.keeps_epochs,
        )
        for seed in held.leases
    ]


def in_a_line(error: BaseException) -> str:
    """Returns the kind of an error, and the first line of its message."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def _train(
    jobs: Sequence[Job],
    placement: Placement | None,
    is_stopped: Callable[[], bool],
    on_epoch: OnEpoch | None,
) -> Iterator[int]:
    """Yields the seed of each run when its record is finished."""

    def check(job: Job, epoch: int, logs: dict[str, float]) -> None:
        if on_epoch is not None:
            on_epoch(job, epoch, logs)
        if is_stopped():
            raise Stopped

    for job, _ in run_all(
        jobs,
        num_workers=1 if form().has_thread_per_run else None,
        on_epoch=check,
        save_every_s=SAVE_EVERY_S,
        placement=placement,
    ):
        yield job.seed
