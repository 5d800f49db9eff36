"""Many runs at once, on JAX: one compiled program trains all seeds.

An epoch is one call of a program that loops over its updates; runs of one
shape share it, whatever their seed, data and learning rate. An update is
`model.train_step`, which `fit` calls as well. On a CPU runs are spread over
threads, one or more cores each: measured, that is faster than a batch of
seeds, whose arrays no longer fit the cache. On other devices the runs of a
pack are one batch of the same program (`jax.vmap`).
"""

import functools
import math
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tiny_gpt.backend import Snapshot, compile_for_model
from tiny_gpt.devices import count_cores
from tiny_gpt.epoch_program import EpochProgram
from tiny_gpt.evaluate import Asker
from tiny_gpt.experiment import Experiment
from tiny_gpt.model import build_gpt
from tiny_gpt.preparation import Preparation, Run, prepare
from tiny_gpt.record import set_state, state_of
from tiny_gpt.train import compile_gpt

# Numbers of batches and windows are rounded up to share programs.
BATCHES = 8
WINDOWS = 64
# A program with larger buffers keeps all cores busy by itself.
LARGEST_BESIDE_OTHERS = 512 * 2**20

OnEpoch = Callable[["Job", int, dict[str, float]], None]
OnStart = Callable[["Packs"], None]


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        experiment: what to run.
        seed: its seed.
        record: path of its files, see `train.run`; None for no files.
        keeps_weights: see `train.run`.
    """

    experiment: Experiment
    seed: int
    record: Path | None = None
    keeps_weights: bool = False


@dataclass(frozen=True)
class Packs:
    """How runs are put together.

    Attributes:
        num_workers: packs trained at once.
        sizes: runs in each pack, that is in one batch of a program.
        is_split: whether packs are smaller than they could be, because the
            device's memory holds no more.
    """

    num_workers: int
    sizes: tuple[int, ...]
    is_split: bool


class _Programs:
    """What is compiled for all runs of one shape."""

    def __init__(self, like: Preparation):
        self.model = build_gpt(like.experiment.model)
        compile_gpt(self.model, like.experiment.train)
        self.asker = Asker(like.experiment.evaluation, self.model, like.stream)
        self.initial = state_of(self.model)
        self._lock = threading.Lock()
        self._forward = compile_for_model(
            self.model, lambda x: self.model(x, training=False)
        )
        self.epoch = functools.cache(
            lambda num_runs: EpochProgram(self.model, num_runs)
        )

    def start(self, ready: Preparation) -> list[np.ndarray]:
        """Returns the initial state of a run, or the one it has saved."""
        rate = ready.experiment.train.learning_rate
        with self._lock:  # one model, many runs
            set_state(self.model, self.initial)
            self.model.optimizer.learning_rate = rate
            ready.start(self.model)
            return state_of(self.model)

    def snapshot(self, state: Sequence[Any]) -> Snapshot:
        """Returns the weights of a state, in place of a model."""
        values = state[: len(self.model.variables)]
        return Snapshot(self.model, values, self._predict)

    def _predict(self, snapshot: Snapshot, x: np.ndarray) -> np.ndarray:
        filled = np.zeros((_round_up(len(x), WINDOWS), *x.shape[1:]), x.dtype)
        filled[: len(x)] = x
        return np.asarray(self._forward(snapshot, filled))[: len(x)]

    def finish(self, ready: Preparation, state: Sequence[Any]) -> Run:
        """Evaluates a trained run and ends its record, in its own model."""
        model = build_gpt(ready.experiment.model)
        for variable, value in zip(
            model.variables, state[: len(model.variables)], strict=True
        ):
            variable.assign(value)
        run = ready.finish(self.snapshot(state), self.asker, model)
        return run


def _shape_of(experiment: Experiment) -> tuple[Any, ...]:
    """Returns what runs that share programs have in common."""
    train, mixture = experiment.train, experiment.mixture
    return (
        experiment.model,
        train.batch_size,
        train.clipnorm,
        experiment.evaluation.decoding,
        experiment.tokens,
        mixture.sentence_length,
    )


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def run_seeds(
    experiment: Experiment,
    seeds: Iterable[int],
    records: Callable[[int], Path] | None = None,
    **options: Any,
) -> list[Run]:
    """Runs one condition with many seeds.

    Each run is what `train.run` gives, up to rounding: the same data, initial
    weights, order, questions and events.

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
    pack_size: int | None = None,
    on_epoch: OnEpoch | None = None,
    on_start: OnStart | None = None,
    save_every_s: float = 30.0,
) -> Iterator[tuple[Job, Run]]:
    """Runs many jobs, conditions and seeds, in one process.

    Args:
        jobs: what to run, started in this order.
        num_workers: packs at once, each in a thread; by default one per core
            on a CPU, fewer if their memory would not fit, else 1.
        pack_size: runs in one batch of a program; by default 1 on a CPU, and
            as many as fit the device elsewhere.
        on_epoch: called after each epoch with the job, the epoch, counted
            from 1, and its logs; by several threads.
        on_start: called once, before anything is trained.
        save_every_s: least seconds between two savings of a run.

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
    for name, value in (("num_workers", num_workers), ("pack_size", pack_size)):
        if value is not None and value < 1:
            raise ValueError(
                f"`{name}` must be at least 1. Received: {name}={value}"
            )
    queues: dict[Any, list[tuple[Job, Preparation]]] = {}
    for job in jobs:
        ready = prepare(
            job.experiment,
            job.seed,
            job.record,
            save_every_s,
            job.keeps_weights,
        )
        key = (
            _shape_of(job.experiment),
            job.experiment.train.num_epochs,
            job.experiment.train.num_pretraining_epochs,
            ready.windows.steps_per_epoch,
            len(ready.record.logs),
        )
        queues.setdefault(key, []).append((job, ready))
    if queues:
        driver = _Driver(queues, num_workers, pack_size, on_epoch)
        if on_start is not None:
            on_start(driver.packs)
        yield from driver.run()


class _Driver:
    """Deals packs of runs to workers."""

    def __init__(self, queues, num_workers, pack_size, on_epoch):
        self._on_epoch = on_epoch
        self._is_stopped = threading.Event()
        self._programs: dict[Any, _Programs] = {}
        self._packs = []
        largest, is_split = 0, False
        for key, members in queues.items():
            shape = key[0]
            if shape not in self._programs:
                self._programs[shape] = _Programs(members[0][1])
            programs = self._programs[shape]
            one = self._num_bytes(programs, members[0][1])
            largest = max(largest, one)
            fits = _pack_size(one, len(members))
            size = pack_size or fits
            is_split |= size == fits < len(members) and not _is_on_cpu()
            for i in range(0, len(members), size):
                self._packs.append((programs, members[i : i + size]))
        self._num_workers = num_workers or count_workers(largest)
        sizes = tuple(len(members) for _, members in self._packs)
        self.packs = Packs(self._num_workers, sizes, is_split)

    @staticmethod
    def _num_bytes(programs: _Programs, ready: Preparation) -> int:
        """Compiles the epoch of one run, and returns what it needs."""
        state = list(programs.initial)
        # A run stopped in its exact evaluation has no epoch left.
        last = ready.experiment.train.num_epochs - 1
        batches = epoch_batches(ready, min(len(ready.record.logs), last))
        return programs.epoch(1).num_bytes(state, *batches)

    def run(self) -> Iterator[tuple[Job, Run]]:
        done: queue.Queue = queue.Queue()
        count = sum(len(members) for _, members in self._packs)
        with ThreadPoolExecutor(self._num_workers) as pool:
            for pack in self._packs:
                pool.submit(self._work, pack, done)
            try:
                for _ in range(count):
                    result = done.get()
                    if isinstance(result, BaseException):
                        raise result
                    yield result
            finally:
                self._is_stopped.set()
                pool.shutdown(wait=True, cancel_futures=True)

    def _work(self, pack, done: queue.Queue) -> None:
        programs, members = pack
        try:
            for result in self._train(programs, members):
                done.put(result)
        except BaseException as error:
            done.put(error)

    def _train(self, programs, members) -> Iterator[tuple[Job, Run]]:
        jobs = [job for job, _ in members]
        pack = [ready for _, ready in members]
        for ready in pack:
            ready.record.start_clock()
        train = pack[0].experiment.train
        observers = [ready.callbacks(programs.asker) for ready in pack]
        for callback in (each for some in observers for each in some):
            callback.set_params(
                {
                    "epochs": train.num_epochs,
                    "steps": pack[0].windows.steps_per_epoch,
                }
            )
            callback.on_train_begin()
        state = _stack([programs.start(ready) for ready in pack])
        for epoch in range(len(pack[0].record.logs), train.num_epochs):
            if self._is_stopped.is_set():
                for i, ready in enumerate(pack):
                    of_run = _of_run(state, i, len(pack))
                    ready.record.save(functools.partial(_copied, of_run))
                return
            inputs, targets, weights, num_batches = zip(
                *(epoch_batches(ready, epoch) for ready in pack), strict=True
            )
            state, losses = programs.epoch(len(pack))(
                state,
                *(_stack_arrays(x) for x in (inputs, targets, weights)),
                num_batches[0],
            )
            for i, (job, ready) in enumerate(members):
                of_run = _of_run(state, i, len(pack))
                logs = {"loss": float(np.atleast_1d(losses)[i])}
                snapshot = programs.snapshot(of_run)
                for callback in observers[i]:
                    callback.set_model(snapshot)
                    callback.on_epoch_end(epoch, logs)
                ready.record.add(logs, functools.partial(_copied, of_run))
                if self._on_epoch is not None:
                    self._on_epoch(job, epoch + 1, logs)
        for i, (job, ready) in enumerate(zip(jobs, pack, strict=True)):
            yield job, programs.finish(ready, _of_run(state, i, len(pack)))


def epoch_batches(
    ready: Preparation, epoch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Returns an epoch as batches of one size, weights, and their number."""
    size = ready.experiment.train.batch_size
    number = ready.windows.steps_per_epoch
    total = _round_up(number, BATCHES) * size
    windows = ready.windows.epoch(epoch)
    count = len(windows[0])
    filled = []
    for array in (*windows, np.ones(count, "float32")):
        whole = np.zeros((total, *array.shape[1:]), array.dtype)
        whole[:count] = array
        filled.append(whole.reshape(-1, size, *array.shape[1:]))
    return filled[0], filled[1], filled[2], number


def _stack(states: list[list[np.ndarray]]) -> list[np.ndarray]:
    if len(states) == 1:
        return states[0]
    return [np.stack(values) for values in zip(*states, strict=True)]


def _stack_arrays(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.stack(arrays)


def _of_run(state: Sequence[Any], i: int, num_runs: int) -> list[Any]:
    return list(state) if num_runs == 1 else [value[i] for value in state]


def _copied(state: Sequence[Any]) -> list[np.ndarray]:
    return [np.array(value) for value in state]


def _is_on_cpu() -> bool:
    import jax

    return jax.devices()[0].platform == "cpu"


def _pack_size(num_bytes: int, count: int) -> int:
    """Returns how many runs fit in one batch of a program."""
    import jax

    if _is_on_cpu():
        return 1
    device = jax.devices()[0]
    free = (device.memory_stats() or {}).get("bytes_limit", math.inf)
    return int(max(1, min(count, 0.8 * free // max(num_bytes, 1))))


def count_workers(num_bytes: int) -> int:
    """Returns how many programs run side by side."""
    if not _is_on_cpu() or num_bytes > LARGEST_BESIDE_OTHERS:
        return 1
    return count_cores()
