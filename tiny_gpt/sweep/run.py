"""The runs of a command that are missing, on any executor.

An executor is a function of a store and of tasks, which yields the result of
each: `threads.in_process`, a `processes.Pool`, a `ray.Cluster`. All executors
call `tasks.run_task`, which takes a lease on each run. Any number of drivers,
of any kind, can therefore share one store.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from tiny_gpt.experiment import Experiment
from tiny_gpt.sweep.cell import unlabelled
from tiny_gpt.sweep.exchange import exchange
from tiny_gpt.sweep.leftovers import tidy
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.tasks import SweepTask, TaskResult

POLL_S = 1.0


class Executor(Protocol):
    """Does tasks in any order, and yields the result of each."""

    def __call__(
        self, store: Store, tasks: Sequence[SweepTask]
    ) -> Iterator[TaskResult]: ...


class Wanted(Protocol):
    """The runs that a command wants: a `Sweep`, a plan, `Runs`."""

    @property
    def experiments(self) -> Sequence[Experiment]: ...

    @property
    def seeds(self) -> Sequence[int]: ...


@dataclass(frozen=True)
class Runs:
    """Some experiments, each with the same seeds.

    Attributes:
        experiments: the experiments; two may be the same run.
        seeds: non-negative integers.
    """

    experiments: tuple[Experiment, ...]
    seeds: tuple[int, ...]


@dataclass
class Outcome:
    """The outcome of a sweep.

    Attributes:
        finished: number of runs made by this call.
        failed: error of each failed run, by key and seed.
        details: traceback of the first of them.
        left: number of runs that neither finished nor failed.
    """

    finished: int = 0
    failed: dict[tuple[str, int], str] = field(default_factory=dict)
    details: str = ""
    left: int = 0


def plan_tasks(
    wanted: Wanted,
    store: Store,
    seeds_per_batch: int | None = 1,
    shard: tuple[int, int] = (0, 1),
    checks: bool = True,
) -> list[SweepTask]:
    """Returns the unfinished runs, one seed of every cell before the next.

    Args:
        wanted: experiments and seeds.
        store: finished runs.
        seeds_per_batch: seeds of a cell in one task; None for all. Devices
            other than a CPU train them as one batch.
        shard: (i, n): only the runs whose hash is i modulo n, whatever else
            is in the sweep.
        checks: whether files are read, and damaged ones set aside.

    Raises:
        ValueError: if a number is out of range.
    """
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(
            f"A shard is one of n, counted from 0. Received: {index}/{count}"
        )
    if seeds_per_batch is not None and seeds_per_batch < 1:
        raise ValueError(
            "`seeds_per_batch` must be at least 1. "
            f"Received: seeds_per_batch={seeds_per_batch}"
        )
    rounds: dict[int, list[SweepTask]] = {}
    for key, experiment in experiments_by_key(wanted, store).items():
        there = store.seeds(key, checks)
        seeds = [
            seed
            for seed in wanted.seeds
            if seed not in there and _shard_of(key, seed, count) == index
        ]
        size = seeds_per_batch or max(len(seeds), 1)
        for number, start in enumerate(range(0, len(seeds), size)):
            task = SweepTask(
                key, experiment, tuple(seeds[start : start + size])
            )
            rounds.setdefault(number, []).append(task)
    return [task for number in sorted(rounds) for task in rounds[number]]


def experiments_by_key(wanted: Wanted, store: Store) -> dict[str, Experiment]:
    """Returns the different experiments, labelled by the store."""
    found = {}
    for experiment in wanted.experiments:
        key = store.key(experiment)
        if key not in found:
            found[key] = unlabelled(experiment, key)
    return found


def _shard_of(key: str, seed: int, count: int) -> int:
    digest = hashlib.sha256(f"{key} {seed}".encode()).digest()
    return int.from_bytes(digest[:8]) % count


def run_sweep(
    wanted: Wanted,
    store: Store,
    executor: Executor,
    seeds_per_batch: int | None = 1,
    shard: tuple[int, int] = (0, 1),
    on_plan: Callable[[Sequence[SweepTask]], None] | None = None,
    on_done: Callable[[TaskResult], None] | None = None,
    waits: bool = True,
) -> Outcome:
    """Makes the unfinished runs, until nothing is left.

    A run that raises does not stop the others, and this call does not try it
    again. If a seed batch raises, each of its runs is tried alone. If all
    runs that are left belong to other processes, it waits for them, and takes
    over those of a process that dies.

    Args:
        wanted: experiments and seeds.
        store: where the runs are written.
        executor: does the tasks.
        seeds_per_batch: see `plan_tasks`.
        shard: see `plan_tasks`.
        on_plan: called with the tasks of each round, at its start.
        on_done: called with the result of each task.
        waits: whether to wait for the runs of other processes.

    Raises:
        ValueError: if a number is out of range.
        OSError: if the store cannot be written.
    """
    outcome, alone = Outcome(), set[tuple[str, int]]()
    tidy(store)
    exchange(store, experiments_by_key(wanted, store), wanted.seeds)
    is_first = True
    while True:
        plan = plan_tasks(wanted, store, seeds_per_batch, shard, is_first)
        is_first = False
        left = _choose(plan, lambda *run: run not in outcome.failed)
        outcome.left = sum(len(task.seeds) for task in left)
        if not left:
            tidy(store)  # others may have been killed meanwhile
            return outcome
        free = _choose(left, lambda *run: not store.is_leased(*run))
        tasks = _apart(free, alone)
        if tasks and store.shared is not None:
            # Machines that plan the same begin at different places.
            start = int.from_bytes(os.urandom(4)) % len(tasks)
            tasks = [*tasks[start:], *tasks[:start]]
        is_getting_on = False
        for done in run_tasks(
            store, tasks, executor, outcome, on_plan, on_done
        ):
            is_getting_on |= bool(done.finished or done.error)
            if done.error is not None:
                outcome.details = outcome.details or done.details
                runs = _unfinished(store, done)
                if len(runs) > 1:
                    alone.update(runs)
                else:
                    outcome.failed.update(dict.fromkeys(runs, done.error))
        if not is_getting_on:
            if not waits:
                return outcome
            time.sleep(POLL_S)


def run_tasks(
    store: Store,
    tasks: Sequence[SweepTask],
    executor: Executor,
    outcome: Outcome,
    on_plan: Callable[[Sequence[SweepTask]], None] | None,
    on_done: Callable[[TaskResult], None] | None,
) -> Iterator[TaskResult]:
    """Does the tasks of a round, counts the finished runs, and reports.

    Yields:
        The result of each task, before `on_done` is called.
    """
    if not tasks:
        return
    if on_plan is not None:
        on_plan(tasks)
    for done in executor(store, tasks):
        outcome.finished += len(done.finished)
        yield done
        if on_done is not None:
            on_done(done)


def _unfinished(store: Store, done: TaskResult) -> list[tuple[str, int]]:
    key = done.task.key
    return [
        (key, seed)
        for seed in done.task.seeds
        if seed not in done.taken and not store.is_finished(key, seed)
    ]


def _choose(
    tasks: Sequence[SweepTask], is_wanted: Callable[[str, int], bool]
) -> list[SweepTask]:
    left = []
    for task in tasks:
        seeds = tuple(s for s in task.seeds if is_wanted(task.key, s))
        if seeds:
            left.append(replace(task, seeds=seeds))
    return left


def _apart(
    tasks: Sequence[SweepTask], alone: set[tuple[str, int]]
) -> list[SweepTask]:
    """Takes the runs that are tried alone out of their seed batches."""
    seed_batches = _choose(tasks, lambda *run: run not in alone)
    return seed_batches + [
        replace(task, seeds=(seed,))
        for task in tasks
        for seed in task.seeds
        if (task.key, seed) in alone
    ]
