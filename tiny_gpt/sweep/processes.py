"""Works of a sweep in processes of this machine, which share its cores."""

import functools
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tiny_gpt.runtime.devices import Placement, choose_devices
from tiny_gpt.runtime.environment import make_deterministic, set_precision
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.tasks import SweepTask, TaskResult, count_threads, run_task
from tiny_gpt.training.seed_batches import share_cores

MOST_BREAKS = 3  # of the pool, one after the other, without anything done

Where = tuple[Path, str, str | None]  # folder, precision, shared place

_state: dict[str, Any] = {}  # of a worker


class Pool:
    """Does tasks in processes that share the cores evenly.

    The processes and what they have compiled stay from one call to the next;
    `close`, or the end of a `with`, ends them. When a worker is killed, the
    others are started anew with it, and go on from what was saved. When this
    process is killed, they end.

    Args:
        num_processes: works at once.
        asked: devices, as `Placement.asked` has them; None for those that the
            backend offers first.

    Raises:
        ValueError: if `num_processes` is below 1.
    """

    def __init__(
        self, num_processes: int = 2, asked: Mapping[str, Any] | None = None
    ):
        if num_processes < 1:
            raise ValueError(
                "`num_processes` must be at least 1. "
                f"Received: num_processes={num_processes}"
            )
        self._num_processes, self._asked = num_processes, asked
        self._pool: ProcessPoolExecutor | None = None
        self._is_stopped: Any = None

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes, after the next epoch of each."""
        if self._pool is not None:
            self._is_stopped.value = 1
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __call__(
        self, store: Store, tasks: Sequence[SweepTask]
    ) -> Iterator[TaskResult]:
        """Does tasks.

        Args:
            store: where they go.
            tasks: what to do.

        Yields:
            What came of each, as it is done.

        Raises:
            ValueError: if there are no such devices.
            OSError: if a file cannot be written.
            RuntimeError: if workers die again and again without a task done.
        """
        left, num_breaks = dict(enumerate(tasks)), 0
        while left:
            try:
                for number, done in self._do_all(store, left):
                    del left[number]
                    num_breaks = 0
                    yield done
            except BrokenProcessPool as error:
                num_breaks += 1
                if num_breaks == MOST_BREAKS:
                    raise RuntimeError(
                        f"Worker processes were killed {MOST_BREAKS} times "
                        "without finishing anything, perhaps for lack of "
                        "memory: use fewer at once. What was saved is kept. "
                        f"Received: num_processes={self._num_processes}"
                    ) from error

    def _do_all(
        self, store: Store, left: Mapping[int, SweepTask]
    ) -> Iterator[tuple[int, TaskResult]]:
        url = None if store.shared is None else store.shared.url
        where = store.folder, store.precision, url
        pool, broken, is_done = self._open(), None, False
        try:
            futures = {
                pool.submit(_do, where, left[n]): n for n in sorted(left)
            }
            for future in as_completed(futures):
                try:
                    done = future.result()
                except BrokenProcessPool as error:
                    broken = error  # others were done before
                else:
                    yield futures[future], done
            is_done = broken is None
            if broken is not None:
                raise broken
        finally:
            if not is_done:  # nobody asks for more, or they are dead
                self.close()

    def _open(self) -> ProcessPoolExecutor:
        if self._pool is None:
            os.environ["NPROC"] = count_threads()  # workers have fewer cores
            context = multiprocessing.get_context("spawn")
            shares = context.Queue()
            for share in share_cores(self._num_processes):
                shares.put(share)
            # Without a lock, which a killed worker would hold for ever.
            self._is_stopped = context.RawValue("b", 0)
            self._pool = ProcessPoolExecutor(
                self._num_processes,
                context,
                _start,
                (shares, self._is_stopped, self._asked),
            )
        return self._pool


def _start(
    shares: Any, is_stopped: Any, asked: Mapping[str, Any] | None
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    share = shares.get()
    if share:  # before the backend counts its cores
        os.sched_setaffinity(0, share)
    _state.update(is_stopped=is_stopped, asked=asked)


@functools.cache
def _prepare() -> Placement | None:
    """Prepares a worker: where an error is that of its task."""
    make_deterministic()
    asked = _state["asked"]
    if not asked:
        return None
    return choose_devices(asked["devices"], asked["num_devices"], asked["tpu"])


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _do(where: Where, task: SweepTask) -> TaskResult:
    placement, store = _prepare(), Store(*where)
    set_precision(store.precision)  # perhaps another than before
    return run_task(
        store,
        task,
        placement,
        lambda: bool(_state["is_stopped"].value),
    )
