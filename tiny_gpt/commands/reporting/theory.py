"""Tests of the theory: runs, then measurements."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tiny_gpt.commands.plan import Plan
from tiny_gpt.commands.progress import Reporter, time_left
from tiny_gpt.commands.reporting.measured import measure_all, read_measurements
from tiny_gpt.commands.reporting.protocol import Reproduction
from tiny_gpt.commands.runner import (
    RunFrames,
    read_runs,
    run_plan,
    train_missing,
)
from tiny_gpt.runtime.results_folder import write_frame
from tiny_gpt.training.finished import Trained


def run_theory(
    protocol: Reproduction,
    plan: Plan,
    others: Sequence[Plan],
    console: Console,
) -> None:
    """Runs and measures what is missing.

    Args:
        protocol: the measurements.
        plan: the runs of `protocol.theory`.
        others: plans that share runs with it. Of these, only runs whose
            models are measured are made.
        console: where to show progress.
    """
    plans = {p.study.name: p for p in (*others, plan)}
    measurements = protocol.measurements
    places = {place for module in measurements for place in module.NEEDS}
    places.update(protocol.compared)
    with Reporter(console) as reporter:
        for other in others:
            needed = [
                e
                for e in other.experiments
                if f"{other.study.name}/{e.condition}" in places
            ]
            train_missing(
                dataclasses.replace(other, experiments=tuple(needed)), reporter
            )
    run_plan(plan, console, is_shown=False)

    def load(place: str, seed: int) -> Trained:
        name, condition = place.split("/")
        owner = plans[name]
        experiment = next(
            e for e in owner.experiments if e.condition == condition
        )
        return Trained.load(experiment, seed, owner.record(experiment, seed))

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

    for line in measure_all(
        measurements, plan.seeds, _folder(plan), load, show
    ):
        console.print(line)
    measured = read_measurements(measurements, plan.seeds, _folder(plan))
    write_frame(plan.folder / "measured.csv", measured.metrics)


def read_theory(protocol: Reproduction, plan: Plan) -> RunFrames:
    """Reads the finished runs and measurements of the theory."""
    done = read_runs(plan)
    measured = read_measurements(
        protocol.measurements, plan.seeds, _folder(plan)
    )
    return dataclasses.replace(
        done,
        metrics=[*done.metrics, measured.metrics],
        wall_s={**done.wall_s, **measured.wall_s},
        missing={**done.missing, **measured.missing},
    )


def _folder(plan: Plan) -> Path:
    return plan.folder / "measured"
