"""Many runs at once on JAX: one compiled program trains all seeds.

An epoch is one call of a program that loops over its updates. Runs of one
shape share the program (`compiled_runs`), whatever their seed, data and
learning rate. An update is `model.train_step`, which `fit` calls as well.

On a CPU each run has a thread. This was measured to be faster than a batch of
seeds, whose arrays no longer fit the cache. On other devices the runs of a
seed batch are one batch of the program (`jax.vmap`), and seed batches are
dealt to all devices. With fewer runs than devices, or on several hosts, each
run has all devices, and they divide its batches.
"""

import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.backend import form
from tiny_gpt.runtime.devices import Placement, choose_devices, host_index
from tiny_gpt.runtime.environment import MIXED
from tiny_gpt.training.compiled_runs import (
    CompiledPrograms,
    programs_for,
    shape_of,
)
from tiny_gpt.training.run_setup import Job, Run, RunSetup, set_up_run
from tiny_gpt.training.seed_batches import (
    SeedBatches,
    count_workers,
    seeds_that_fit,
    share_runs,
)
from tiny_gpt.training.train_batch import (
    Callbacks,
    OnEpoch,
    epoch_batches,
    train_batch,
)
from tiny_gpt.training.update import check_clipping

OnStart = Callable[[SeedBatches], None]


def run_seeds(
    experiment: Experiment,
    seeds: Iterable[int],
    records: Callable[[int], Path] | None = None,
    **options: Any,
) -> list[Run]:
    """Runs one condition with many seeds.

    Each run is the same as from `train.run`, up to rounding: it has the same
    data, initial weights, order, questions and events.

    Args:
        experiment: what to run.
        seeds: non-negative integers.
        records: path of the files of a seed, see `train.run`.
        **options: passed on to `run_jobs`.

    Returns:
        The runs, in the order of the seeds.

    Raises:
        ValueError: as `run_jobs`.
    """
    jobs = [
        Job(experiment, seed, records(seed) if records else None)
        for seed in seeds
    ]
    runs = dict(run_jobs(jobs, **options))
    return [runs[job] for job in jobs]


def run_jobs(
    jobs: Iterable[Job],
    num_workers: int | None = None,
    seeds_per_batch: int | None = None,
    on_epoch: OnEpoch | None = None,
    on_start: OnStart | None = None,
    save_every_s: float = 30.0,
    placement: Placement | None = None,
    callbacks: Callbacks | None = None,
) -> Iterator[tuple[Job, Run]]:
    """Runs many jobs, conditions and seeds, in one process of JAX.

    `train.run_all` calls this on JAX. The arguments are the same; some are
    explained further here.

    Args:
        jobs: what to run, started in this order.
        num_workers: seed batches at once, each in a thread. By default one
            per core on a CPU, or fewer if their memory would not fit, and one
            per device elsewhere. 1 if each run has all devices.
        seeds_per_batch: runs in one batch of a program. By default 1 on a
            CPU; elsewhere an even share for each device, or as many as fit.
        on_epoch: see `run_all`; several threads call it.
        on_start: see `run_all`.
        save_every_s: see `run_all`.
        placement: see `run_all`.
        callbacks: from a job to further callbacks, which see accuracies in
            `logs` and a `Snapshot` as their model. Several threads call them.
            Keys that they write are rows of the metrics frame (`train.run`).

    Yields:
        Each job with its run, when it is finished.

    Raises:
        ValueError: if the backend is not JAX, a number is below 1, or a job
            is invalid (`train.run`), before anything is trained.
    """
    if keras.backend.backend() != "jax":
        raise ValueError(
            "Many runs in one process need JAX; elsewhere use `train.run`. "
            f"Received: KERAS_BACKEND={keras.backend.backend()!r}"
        )
    check_numbers(num_workers, seeds_per_batch)
    placement = placement or choose_devices()
    queues: dict[Any, list[tuple[Job, RunSetup]]] = {}
    for job in jobs:
        check_clipping(job.experiment.train, placement)
        setup = set_up_run(
            job.experiment,
            job.seed,
            job.record,
            save_every_s,
            job.keeps_weights,
        )
        key = (
            shape_of(job.experiment),
            job.experiment.train.num_epochs,
            job.experiment.train.num_pretraining_epochs,
            setup.windows.steps_per_epoch,
            len(setup.record.logs),
        )
        queues.setdefault(key, []).append((job, setup))
    if queues:
        _check_hosts(
            [len(r.record.logs) for some in queues.values() for _, r in some]
        )
        driver = _Driver(
            queues,
            num_workers,
            seeds_per_batch,
            on_epoch,
            placement.devices,
            callbacks or (lambda job: ()),
        )
        if on_start is not None:
            on_start(driver.seed_batches)
        yield from driver.run()


def check_numbers(num_workers: int | None, seeds_per_batch: int | None) -> None:
    """Refuses numbers below 1."""
    for name, value in (
        ("num_workers", num_workers),
        ("seeds_per_batch", seeds_per_batch),
    ):
        if value is not None and value < 1:
            raise ValueError(
                f"`{name}` must be at least 1. Received: {name}={value}"
            )


class _Driver:
    """Deals seed batches of runs to workers."""

    def __init__(
        self,
        queues,
        num_workers,
        seeds_per_batch,
        on_epoch,
        devices,
        callbacks,
    ):
        self._on_epoch = on_epoch
        self._callbacks = callbacks
        self._policy = keras.config.dtype_policy()
        count = sum(len(members) for members in queues.values())
        local = [d for d in devices if d.process_index == host_index()]
        is_alone = len(local) == len(devices)
        is_divided = not is_alone or (
            seeds_per_batch is None and count < len(devices)
        )
        self._sharing = tuple(devices) if is_divided else ()
        self._devices = local[:1] if is_divided else local
        platform = self._devices[0].platform
        self._has_threads = form(platform).has_thread_per_run
        self._is_stopped = threading.Event()
        self._seed_batches = []
        largest, is_split = 0, False
        for members in queues.values():
            of_shape = programs_for(members[0][1], self._sharing)
            one = _num_bytes(of_shape, members[0][1], self._devices[0])
            largest = max(largest, one)
            most = 1
            if not is_divided:
                most = seeds_that_fit(one, len(members), self._devices[0])
            sizes = share_runs(
                len(members), seeds_per_batch, most, len(self._devices)
            )
            is_split |= (
                seeds_per_batch is None
                and len(sizes) > len(self._devices)
                and not is_divided
                and not self._has_threads
            )
            start = 0
            for size in sizes:
                self._seed_batches.append(
                    (of_shape, members[start : start + size])
                )
                start += size
        if is_divided:  # two would wait for each other's devices
            num_workers = 1
        elif num_workers is None:
            num_workers = len(self._devices)
            if self._has_threads:
                num_workers = max(num_workers, count_workers(largest))
        self._num_workers = num_workers
        self.seed_batches = SeedBatches(
            num_workers,
            tuple(len(members) for _, members in self._seed_batches),
            is_split,
            len(devices),
            is_divided,
        )

    def run(self) -> Iterator[tuple[Job, Run]]:
        done: queue.Queue = queue.Queue()
        count = sum(len(members) for _, members in self._seed_batches)
        places = itertools.cycle(self._devices)
        with ThreadPoolExecutor(
            self._num_workers, initializer=lambda: self._start(next(places))
        ) as pool:
            for seed_batch in self._seed_batches:
                pool.submit(self._work, seed_batch, done)
            try:
                for _ in range(count):
                    result = done.get()
                    if isinstance(result, BaseException):
                        raise result
                    yield result
            finally:
                self._is_stopped.set()
                pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, device: Any) -> None:
        """Makes a thread compute on one device, in the chosen precision."""
        import jax

        # Entered and never left: the thread ends with the pool.
        jax.default_device(device).__enter__()
        if self._policy.name == MIXED:
            keras.config.set_dtype_policy(self._policy)

    def _work(self, seed_batch, done: queue.Queue) -> None:
        programs, members = seed_batch
        try:
            for result in train_batch(
                programs,
                members,
                self._callbacks,
                self._on_epoch,
                self._is_stopped.is_set,
                is_shared=bool(self._sharing),
            ):
                done.put(result)
        except BaseException as error:
            self._is_stopped.set()  # or this thread begins the next ones
            done.put(error)


def program_bytes(experiment: Experiment, seed: int) -> int:
    """Compiles the epoch of a run on the first device of JAX.

    Returns:
        Bytes of memory that one run of it needs.
    """
    setup = set_up_run(experiment, seed)
    device = choose_devices().devices[0]
    return _num_bytes(programs_for(setup), setup, device)


def _num_bytes(programs: CompiledPrograms, setup: RunSetup, device: Any) -> int:
    import jax

    state = list(programs.initial)
    # A run stopped in its exact evaluation has no epoch left.
    last = setup.experiment.train.num_epochs - 1
    batches = epoch_batches(setup, min(len(setup.record.logs), last))
    with jax.default_device(device):  # as its workers will
        return programs.epoch(1).num_bytes(state, *batches)


def _check_hosts(num_epochs: Sequence[int]) -> None:
    """Raises an error if several hosts have saved different epochs."""
    import jax

    if jax.process_count() == 1:
        return
    from jax.experimental import multihost_utils

    # Counted, too, since other runs may be finished on another host.
    mine = np.array([len(num_epochs), sum(num_epochs), max(num_epochs)])
    of_all = multihost_utils.process_allgather(mine)
    if (of_all != mine).any():
        raise ValueError(
            "All hosts must go on from the same epoch; copy the results of "
            "the first host to the others. Received: runs, epochs, most "
            f"epochs of a run by host: {of_all.tolist()}"
        )
