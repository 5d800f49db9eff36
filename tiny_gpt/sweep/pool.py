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

from tiny_gpt.devices import make_deterministic, set_precision
from tiny_gpt.packs import share_cores
from tiny_gpt.placement import Placement, choose_devices
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.work import Done, Work, count_threads, do, kept_programs

MOST_BREAKS = 3  # of the pool, one after the other, without anything done

_state: dict[str, Any] = {}  # of a worker


def in_pool(
    store: Store,
    works: Sequence[Work],
    num_processes: int = 2,
    asked: Mapping[str, Any] | None = None,
) -> Iterator[Done]:
    """Does works in processes that share the cores evenly.

    When a worker is killed, the others are started anew with it, and go on
    from what was saved. When this process is killed, they end.

    Args:
        store: where they go.
        works: what to do.
        num_processes: works at once.
        asked: devices, as `Placement.asked` has them; None for those that the
            backend offers first.

    Yields:
        What came of each, as it is done.

    Raises:
        ValueError: if `num_processes` is below 1, or there are no such
            devices.
        OSError: if a file cannot be written.
        RuntimeError: if workers die again and again without a work done.
    """
    if num_processes < 1:
        raise ValueError(
            "`num_processes` must be at least 1. "
            f"Received: num_processes={num_processes}"
        )
    os.environ["NPROC"] = count_threads()  # for workers, on fewer cores
    left, num_breaks = dict(enumerate(works)), 0
    while left:
        try:
            for number, done in _do_all(store, left, num_processes, asked):
                del left[number]
                num_breaks = 0
                yield done
        except BrokenProcessPool as error:
            num_breaks += 1
            if num_breaks == MOST_BREAKS:
                raise RuntimeError(
                    f"Worker processes were killed {MOST_BREAKS} times "
                    "without finishing anything, perhaps for lack of memory: "
                    "use fewer at once. What was saved is kept. Received: "
                    f"num_processes={num_processes}"
                ) from error


def _do_all(store, left, num_processes, asked) -> Iterator[tuple[int, Done]]:
    context = multiprocessing.get_context("spawn")
    shares = context.Queue()
    for share in share_cores(num_processes):
        shares.put(share)
    # Without a lock, which a killed worker would hold for ever.
    is_stopped = context.RawValue("b", 0)
    where = store.folder, store.precision, store.shared and store.shared.url
    pool = ProcessPoolExecutor(
        num_processes, context, _start, (shares, is_stopped, where, asked)
    )
    broken = None
    try:
        futures = {pool.submit(_do, left[n]): n for n in sorted(left)}
        for future in as_completed(futures):
            try:
                done = future.result()
            except BrokenProcessPool as error:
                broken = error  # others were done before
            else:
                yield futures[future], done
        if broken is not None:
            raise broken
    finally:
        is_stopped.value = 1  # after the next epoch
        pool.shutdown(wait=True, cancel_futures=True)


def _start(
    shares: Any,
    is_stopped: Any,
    where: tuple[Path, str, str | None],
    asked: Mapping[str, Any] | None,
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    share = shares.get()
    if share:  # before the backend counts its cores
        os.sched_setaffinity(0, share)
    _state.update(is_stopped=is_stopped, where=where, asked=asked)


@functools.cache
def _prepare() -> tuple[Store, Placement | None]:
    """Prepares a worker: where an error is that of its work."""
    where, asked = _state["where"], _state["asked"]
    placement: Placement | None = None
    if asked:
        placement = choose_devices(
            asked["devices"], asked["num_devices"], asked["tpu"]
        )
    store = Store(*where)
    set_precision(store.precision)
    make_deterministic()
    return store, placement


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _do(work: Work) -> Done:
    store, placement = _prepare()
    return do(
        store,
        work,
        kept_programs(),
        placement,
        lambda: bool(_state["is_stopped"].value),
    )
