"""A pack of runs, and how it is done: under leases, into the store."""

import functools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import keras

from tiny_gpt.backend import is_jax_on_cpu
from tiny_gpt.devices import count_cores, set_precision
from tiny_gpt.experiment import Experiment
from tiny_gpt.files import DamagedFileError
from tiny_gpt.multi_seed import Job, Programs, run_jobs
from tiny_gpt.placement import Placement
from tiny_gpt.sweep.store import Lease, Store
from tiny_gpt.train import run

SAVE_EVERY_S = 10.0


@dataclass(frozen=True)
class Work:
    """A pack of runs: one cell and some of its seeds.

    Attributes:
        key: of the cell.
        experiment: what is run, labelled by the store.
        seeds: seeds to run.
    """

    key: str
    experiment: Experiment
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Done:
    """What came of a work.

    Attributes:
        work: the work.
        finished: seeds that are in the store now, and were not before.
        taken: seeds that another process works at.
        error: what a run raised, in a line; None if nothing.
    """

    work: Work
    finished: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()
    error: str | None = None


class Stopped(Exception):
    """A run was told to stop."""


def do(
    store: Store,
    work: Work,
    programs: Programs | None = None,
    placement: Placement | None = None,
    stop: threading.Event | None = None,
) -> Done:
    """Does one work in this thread, under leases.

    Args:
        store: where it goes.
        work: what to do. Seeds that are there by now are passed over.
        programs: what is compiled (JAX), see `multi_seed.Programs`.
        placement: devices; None for the backend's first.
        stop: set by another thread to end the work after the next epoch.

    Raises:
        Stopped: if `stop` was set.
        OSError: if a file cannot be written.
    """
    leases: dict[int, Lease] = {}
    finished: list[int] = []
    taken: list[int] = []
    error = None

    def keep(seed: int) -> bool:
        if not store.keep(work.key, work.experiment, seed):
            return False
        finished.append(seed)
        leases.pop(seed).release()
        return True

    try:
        for seed in work.seeds:
            lease = store.lease(work.key, seed)
            if lease is None:
                taken.append(seed)
                continue
            leases[seed] = lease
            if store.path(work.key, seed).exists():  # since it was planned
                leases.pop(seed).release()
            else:
                keep(seed)  # of a process killed just before
        jobs = [
            Job(work.experiment, seed, store.record(work.key, seed))
            for seed in leases
        ]
        if jobs:
            for seed in _train(jobs, programs, placement, stop):
                if not keep(seed):
                    raise DamagedFileError(
                        "A finished run must leave its record. Received: "
                        f"{store.record(work.key, seed)}.json"
                    )
    except (Stopped, OSError):
        raise
    except Exception as caught:
        lines = str(caught).strip().splitlines() or [""]
        error = f"{type(caught).__name__}: {lines[0]}"
    finally:
        for lease in leases.values():
            lease.release()
    return Done(work, tuple(finished), tuple(taken), error)


@functools.cache
def kept_programs() -> Programs:
    """Returns the programs that a worker process keeps between works."""
    return Programs()


def _train(jobs, programs, placement, stop) -> Iterator[int]:
    def check(*_: object) -> None:
        if stop is not None and stop.is_set():
            raise Stopped

    if keras.backend.backend() == "jax":
        for job, _ in run_jobs(
            jobs,
            num_workers=1 if is_jax_on_cpu() else None,
            on_epoch=check,
            save_every_s=SAVE_EVERY_S,
            placement=placement,
            programs=programs,
        ):
            yield job.seed
        return
    for job in jobs:
        callback = keras.callbacks.LambdaCallback(on_epoch_end=check)
        run(
            job.experiment,
            job.seed,
            job.record,
            [callback],
            SAVE_EVERY_S,
            placement=placement,
        )
        keras.utils.clear_session()
        yield job.seed


def in_process(
    store: Store,
    works: Sequence[Work],
    num_workers: int | None = None,
    placement: Placement | None = None,
) -> Iterator[Done]:
    """Does works in threads of this process; cells of a shape share programs.

    Args:
        store: where they go.
        works: what to do.
        num_workers: threads; by default one per core where JAX is on a CPU,
            else one, which gives each pack all devices.
        placement: devices; None for the backend's first.

    Yields:
        What came of each, as it is done.
    """
    if num_workers is None:
        num_workers = count_cores() if is_jax_on_cpu() else 1
    programs, stop = Programs(), threading.Event()
    if num_workers == 1:  # here, where an interrupted run can be saved
        set_precision(store.precision)
        for work in works:
            yield do(store, work, programs, placement)
        return
    pool = ThreadPoolExecutor(
        num_workers, initializer=lambda: set_precision(store.precision)
    )
    try:
        futures = [
            pool.submit(do, store, work, programs, placement, stop)
            for work in works
        ]
        for future in as_completed(futures):
            yield future.result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
