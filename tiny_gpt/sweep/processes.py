"""The process pool of a sweep, on this machine, whose cores it shares."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tiny_gpt.runtime.environment import set_up_worker
from tiny_gpt.runtime.processes import ProcessPool, is_told_to_stop
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.tasks import SweepTask, TaskResult, run_task


class Pool:
    """Does tasks in a `ProcessPool`; `with` ends its processes.

    Args:
        num_processes: tasks at once.
        asked: devices, as in `Placement.asked`; None for those that the
            backend offers first.

    Raises:
        ValueError: if `num_processes` is below 1.
    """

    def __init__(
        self, num_processes: int = 2, asked: Mapping[str, Any] | None = None
    ):
        self._processes, self._asked = ProcessPool(num_processes), asked

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *exception: object) -> None:
        self._processes.close()

    def __call__(
        self, store: Store, tasks: Sequence[SweepTask]
    ) -> Iterator[TaskResult]:
        """Does tasks.

        Args:
            store: where the runs are written.
            tasks: the tasks.

        Yields:
            The result of each task, when it is done.

        Raises:
            ValueError: if there are no such devices.
            OSError: if a file cannot be written.
            LostWorkersError: if workers die again and again without a task
                done.
        """
        do = functools.partial(_do, store.arguments, self._asked)
        for _, done in self._processes.map(do, tasks):
            yield done


def _do(
    arguments: tuple[Any, ...],
    asked: Mapping[str, Any] | None,
    task: SweepTask,
) -> TaskResult:
    store = Store(*arguments)
    placement = set_up_worker(store.precision, asked)
    return run_task(store, task, placement, is_told_to_stop)
