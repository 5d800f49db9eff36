"""Worker processes of this machine, which share its cores."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any

from tiny_gpt.runtime.environment import count_threads

MOST_BREAKS = 3  # of the pool, one after the other, without anything done

_is_stopped: Any = None  # of a worker: a flag that its parent sets


class Stopped(Exception):
    """A run was told to stop."""


class LostWorkersError(RuntimeError):
    """Workers or jobs have ended again and again, and finished nothing."""


class ProcessPool:
    """Calls a function in processes, each with its own share of the cores.

    The processes, and their compiled programs, stay from one call of `map` to
    the next. `close`, or the end of a `with`, ends them; so does the end of
    this process, however it comes. If a worker is killed, all are restarted,
    and unfinished calls are made again.

    Args:
        num_processes: calls at once.

    Raises:
        ValueError: if `num_processes` is below 1.
    """

    def __init__(self, num_processes: int):
        if num_processes < 1:
            raise ValueError(
                "`num_processes` must be at least 1. "
                f"Received: num_processes={num_processes}"
            )
        self._num_processes = num_processes
        self._pool: ProcessPoolExecutor | None = None
        self._flag: Any = None

    def __enter__(self) -> "ProcessPool":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Tells the calls to stop (`is_told_to_stop`), and waits for them."""
        if self._pool is not None:
            self._flag.value = 1
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def map(
        self, function: Callable[[Any], Any], items: Sequence[Any]
    ) -> Iterator[tuple[Any, Any]]:
        """Calls a function with each item; a killed call is made again.

        Args:
            function: function of an item. The function, items and results are
                pickled.
            items: arguments, started in this order.

        Yields:
            Each item with its result, when it is done.

        Raises:
            LostWorkersError: if workers die again and again without a call
                done.
            Exception: error of a call; the others are told to stop.
        """
        left, num_breaks = dict(enumerate(items)), 0
        while left:
            try:
                for number, result in self._call_all(function, left):
                    num_breaks = 0
                    yield left.pop(number), result
            except BrokenProcessPool as error:
                num_breaks += 1
                if num_breaks == MOST_BREAKS:
                    raise LostWorkersError(
                        f"Worker processes were killed {MOST_BREAKS} times "
                        "without finishing anything, perhaps for lack of "
                        "memory: use fewer at once. What was saved is kept. "
                        f"Received: num_processes={self._num_processes}"
                    ) from error

    def _call_all(
        self, function: Callable[[Any], Any], left: Mapping[int, Any]
    ) -> Iterator[tuple[int, Any]]:
        pool, broken, is_done = self._open(), None, False
        try:
            futures = {pool.submit(function, left[n]): n for n in sorted(left)}
            for future in as_completed(futures):
                try:
                    result = future.result()
                except BrokenProcessPool as error:
                    broken = error  # others were done before
                else:
                    yield futures[future], result
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
            self._flag = context.RawValue("b", 0)
            self._pool = ProcessPoolExecutor(
                self._num_processes, context, _start, (shares, self._flag)
            )
        return self._pool


def is_told_to_stop() -> bool:
    """Tells a call in a worker whether to end; elsewhere False."""
    return _is_stopped is not None and bool(_is_stopped.value)


def share_cores(num_processes: int) -> list[set[int]]:
    """Deals the cores of this process out to processes, one at a time."""
    if not hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return [set() for _ in range(num_processes)]
    cores = sorted(os.sched_getaffinity(0))
    return [
        set(cores[i % len(cores) :: num_processes])
        for i in range(num_processes)
    ]


def _start(shares: Any, is_stopped: Any) -> None:
    global _is_stopped
    threading.Thread(target=_end_with_parent, daemon=True).start()
    share = shares.get()
    if share:  # before the backend counts its cores
        os.sched_setaffinity(0, share)
    _is_stopped = is_stopped


def _end_with_parent() -> None:
    """Ends this process when its parent process ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
