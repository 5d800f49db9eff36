"""Measurements of the trained models of a plan, in several processes."""

import functools
import importlib
import time
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from rich.console import Console

from tiny_gpt.commands.measured import (
    Measured,
    MeasuredFiles,
    OnDone,
    measure_all,
    read_measurements,
)
from tiny_gpt.commands.plan import Plan
from tiny_gpt.commands.progress import time_left
from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.environment import set_precision, set_up_worker
from tiny_gpt.runtime.processes import ProcessPool
from tiny_gpt.runtime.results_folder import write_frame
from tiny_gpt.sweep.kept_weights import load_trained
from tiny_gpt.sweep.store import Store
from tiny_gpt.training.finished import Trained


def measure_plan(
    measurements: Sequence[ModuleType],
    plan: Plan,
    others: Sequence[Plan],
    num_processes: int,
    console: Console,
) -> None:
    """Measures what is missing, and writes "measured.csv".

    Args:
        measurements: the measurements, see `experiments.measurements`.
        plan: the runs that they belong to.
        others: plans that share runs with it.
        num_processes: seeds at once; with 1, in this process.
        console: where to show progress.
    """
    set_precision(plan.precision)
    store = plan.open_store()
    experiments = _by_place((*others, plan))
    start = time.perf_counter()
    num_done, num_left = 0, len(measurements) * len(plan.seeds)

    def show(name: str, seed: int, was_there: bool) -> None:
        nonlocal num_done, num_left
        num_done, num_left = num_done + (not was_there), num_left - 1
        state = "was measured before" if was_there else "measured"
        left = time_left(num_done, num_left, time.perf_counter() - start)
        console.print(
            f"{name}: seed {seed} {state}, {left}",
            highlight=False,
            soft_wrap=True,
        )

    names = [module.__name__ for module in measurements]
    if num_processes == 1:
        lines = _measure(store, experiments, measurements, plan.seeds, show)
    else:
        work = functools.partial(
            _measure_in_worker, store.arguments, experiments, names
        )
        lines = []
        with ProcessPool(num_processes) as pool:
            for _, (missing, done) in pool.map(work, plan.seeds):
                lines += missing
                for each in done:
                    show(*each)
    for line in lines:
        console.print(line)
    measured = read_measured(measurements, plan, others)
    write_frame(plan.folder / "measured.csv", measured.metrics)


def _measure(
    store: Store,
    experiments: Mapping[str, Experiment],
    measurements: Sequence[ModuleType],
    seeds: Sequence[int],
    on_done: OnDone,
) -> list[str]:
    """Measures some seeds in this process; returns what stays missing."""

    def load(place: str, seed: int) -> Trained:
        return load_trained(store, experiments[place], seed)

    files = MeasuredFiles(store, experiments)
    return measure_all(measurements, seeds, files, load, on_done)


def _measure_in_worker(
    arguments: tuple[Any, ...],
    experiments: Mapping[str, Experiment],
    names: Sequence[str],
    seed: int,
) -> tuple[list[str], list[tuple[str, int, bool]]]:
    """Measures one seed in a worker process.

    Returns:
        What stays missing, and what is there (`OnDone`).
    """
    store = Store(*arguments)
    set_up_worker(store.precision, None)
    modules = [importlib.import_module(name) for name in names]
    done: list[tuple[str, int, bool]] = []
    missing = _measure(
        store, experiments, modules, [seed], lambda *each: done.append(each)
    )
    return missing, done


def read_measured(
    measurements: Sequence[ModuleType], plan: Plan, others: Sequence[Plan]
) -> Measured:
    """Reads the finished measurements, see `measure_plan`."""
    files = MeasuredFiles(plan.open_store(), _by_place((*others, plan)))
    return read_measurements(measurements, plan.seeds, files, plan.study.name)


def _by_place(plans: Sequence[Plan]) -> dict[str, Experiment]:
    return {
        f"{e.name}/{e.condition}": e for plan in plans for e in plan.experiments
    }
