"""Tasks of a command as jobs of SLURM, through submitit."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny_gpt.runtime.checks import check_installed

if TYPE_CHECKING:
    from tiny_gpt.sweep.store import Store
    from tiny_gpt.sweep.tasks import SweepTask, TaskResult

MOST_LOST = 3  # rounds, one after the other, whose jobs finish nothing
POLL_S = 1.0


class Slurm:
    """Does tasks in an array of jobs of SLURM.

    A job does its share of the tasks, one after the other, under leases of
    the store, whose folder every node must see. If a job is ended, whoever
    ends it, its runs are submitted again and go on from what was saved.

    Args:
        num_jobs: jobs of the array, at most; each has a share of the tasks.
        folder: scripts and logs of the jobs; every node must see it. Only
            what these jobs wrote there is read, and it is unpickled.
        parameters: of the jobs, by the words of `sbatch`, e.g.
            {"partition": "gpu", "cpus-per-task": "2"}; "time" in minutes.
        cluster: "slurm", or "local" for processes of this machine.

    Raises:
        ValueError: if `num_jobs` is below 1, or "time" is no number.
    """

    def __init__(
        self,
        num_jobs: int,
        folder: Path,
        parameters: Mapping[str, str] | None = None,
        cluster: str = "slurm",
    ):
        others = dict(parameters or {})
        minutes = others.pop("time", "60")
        if num_jobs < 1 or not minutes.isdecimal() or int(minutes) < 1:
            raise ValueError(
                "An array has 1 job or more, and the time of a job is a number "
                f"of minutes. Received: num_jobs={num_jobs}, time={minutes}"
            )
        self._num_jobs, self._folder = num_jobs, folder
        self._minutes, self._others = int(minutes), others
        self._cluster, self._num_lost = cluster, 0

    def __call__(
        self, store: "Store", tasks: Sequence["SweepTask"]
    ) -> Iterator["TaskResult"]:
        """Does tasks.

        Args:
            store: where the runs are written.
            tasks: the tasks.

        Yields:
            The result of each task, when its job has ended.

        Raises:
            ValueError: if submitit is not installed, or SLURM not found.
            LostWorkersError: if jobs end again and again without a run
                finished.
        """
        check_installed("submitit")
        from tiny_gpt.runtime.processes import LostWorkersError

        shares = [tasks[i :: self._num_jobs] for i in range(self._num_jobs)]
        shares = [share for share in shares if share]
        jobs = self._submit(store, shares)
        waiting = dict(zip(jobs, shares, strict=True))
        has_finished, error = False, ""
        try:
            while waiting:
                ended = [job for job in waiting if job.done()]
                for job in ended:
                    results, error = _results_of(job, store, waiting.pop(job))
                    has_finished |= not error or any(
                        done.finished for done in results
                    )
                    yield from results
                if not ended:
                    time.sleep(POLL_S)
        finally:
            for job in waiting:
                job.cancel()
        self._num_lost = 0 if has_finished or not shares else self._num_lost + 1
        if self._num_lost == MOST_LOST:
            raise LostWorkersError(
                f"Jobs have ended {MOST_LOST} times without a run finished. "
                f"What was saved is kept; their logs are in {self._folder}. "
                f"Received: {error}"
            )

    def _submit(self, store: "Store", shares: Sequence[Any]) -> list[Any]:
        from submitit import AutoExecutor

        from tiny_gpt.runtime.environment import count_threads

        # Jobs have the environment of this process, unless sbatch is told not
        # to export it. It is read when what they do is unpickled.
        start = _backend(), count_threads()
        os.environ["KERAS_BACKEND"], os.environ["NPROC"] = start
        try:
            executor = AutoExecutor(self._folder, cluster=self._cluster)
            executor.update_parameters(
                timeout_min=self._minutes,
                name="tiny_gpt",
                slurm_additional_parameters=self._others,
            )
            work = _Work(start, store.arguments)
            return executor.map_array(work, shares)
        except (RuntimeError, NameError, OSError) as error:
            raise ValueError(
                "Jobs are submitted where SLURM's sbatch is found, and as it "
                f"allows. Received: {error}"
            ) from error


def _backend() -> str:
    import keras

    return keras.backend.backend()


def _results_of(
    job: Any, store: "Store", share: Sequence["SweepTask"]
) -> tuple[list["TaskResult"], str]:
    """Returns the results of a job, and why it was lost, if it was."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    from tiny_gpt.sweep.tasks import TaskResult

    try:
        found = job.result()
    except (FailedJobError, UncompletedJobError, OSError) as caught:
        lost = str(caught).strip().splitlines() or [type(caught).__name__]
        return [
            TaskResult(
                task,
                tuple(s for s in task.seeds if store.is_finished(task.key, s)),
            )
            for task in share
        ], lost[-1]
    return [
        TaskResult(task, *result)
        for task, result in zip(share, found, strict=True)
    ], ""


class _Work:
    """What a job does; submitit pickles it."""

    def __init__(self, start: tuple[str, str], arguments: tuple[Any, ...]):
        self._start, self._arguments = start, arguments

    def __call__(self, tasks: Sequence["SweepTask"]) -> list[tuple[Any, ...]]:
        """Does the tasks of one job.

        Returns:
            Seeds finished and taken, error and traceback of each task.

        Raises:
            RuntimeError: if the job has another environment.
        """
        found = _backend(), os.environ.get("NPROC")
        if found != self._start:
            raise RuntimeError(
                "A job needs the environment of the command (sbatch "
                "--export=ALL). Received: KERAS_BACKEND and NPROC are "
                f"{found}, not {self._start}"
            )
        from tiny_gpt.runtime.environment import set_up_worker
        from tiny_gpt.sweep.store import Store
        from tiny_gpt.sweep.tasks import run_task

        store = Store(*self._arguments)
        set_up_worker(store.precision, None)
        results = []
        for task in tasks:
            done = run_task(store, task)
            results.append(
                (done.finished, done.taken, done.error, done.details)
            )
        return results
