"""All that the theory is tested on: runs, then measurements, then verdicts."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from experiments.measurements import (
    alignment,
    contexts,
    contexts_by_epoch,
    inside,
    perturbation,
    pivot,
    reuse,
    shift,
)
from tiny_gpt.commands.reporting.measured import measure_all, read_measurements
from tiny_gpt.commands.running.plan import Plan
from tiny_gpt.commands.running.progress import Reporter
from tiny_gpt.commands.running.runner import (
    RunFrames,
    read_runs,
    run_plan,
    train_missing,
)
from tiny_gpt.runtime.results_folder import write_frame
from tiny_gpt.training.finished import Trained

MEASUREMENTS = (
    contexts,
    pivot,
    alignment,
    reuse,
    perturbation,
    shift,
    contexts_by_epoch,
    inside,
)


def run_study(plan: Plan, others: Sequence[Plan], console: Console) -> None:
    """Runs and measures what is missing.

    Args:
        plan: the runs of `experiments.theory`.
        others: plans that share runs with it; of them only those whose models
            are measured are run.
        console: where to show progress.
    """
    plans = {p.module.NAME: p for p in (*others, plan)}
    places = {tuple(n.split("/")) for m in MEASUREMENTS for n in m.NEEDS}
    # Compared with the runs of the theory itself.
    places.add(("controls", "a_to_c_alone_equal_tokens"))
    with Reporter(console) as reporter:
        for other in others:
            needed = [
                e
                for e in other.experiments
                if (other.module.NAME, e.condition) in places
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

    def show(name: str, seed: int, was_there: bool) -> None:
        state = "already there" if was_there else "measured"
        seconds = time.perf_counter() - start
        console.print(f"{name}: seed {seed} {state}, {seconds:.0f} s")

    for line in measure_all(
        MEASUREMENTS, plan.seeds, _folder(plan), load, show
    ):
        console.print(line)
    measured = read_measurements(MEASUREMENTS, plan.seeds, _folder(plan))
    write_frame(plan.folder / "measured.csv", measured.metrics)


def collect_study(plan: Plan) -> RunFrames:
    """Reads the runs and measurements of the theory that are there."""
    done = read_runs(plan)
    measured = read_measurements(MEASUREMENTS, plan.seeds, _folder(plan))
    return dataclasses.replace(
        done,
        metrics=[*done.metrics, measured.metrics],
        wall_s={**done.wall_s, **measured.wall_s},
        missing={**done.missing, **measured.missing},
    )


def _folder(plan: Plan) -> Path:
    return plan.folder / "measured"
