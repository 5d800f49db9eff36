"""The runner: missing runs into the store, then the frames of a folder."""

import argparse
import dataclasses
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markdown import Markdown

from tiny_gpt.commands.executors import (
    FailedRunsError,
    Making,
    choose_making,
)
from tiny_gpt.commands.measuring import measure_plan
from tiny_gpt.commands.outputs import draw
from tiny_gpt.commands.plan import Plan, count_seeds
from tiny_gpt.commands.progress import Line, Reporter
from tiny_gpt.commands.reserved import protocol_used
from tiny_gpt.commands.study import load_study
from tiny_gpt.commands.tracking import send_runs
from tiny_gpt.metrics.summary import summarise
from tiny_gpt.report.typeset import format_duration
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.sweep.run import Runs, Wanted, run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.tasks import SweepTask, TaskResult
from tiny_gpt.training.run_setup import Job, frames_of
from tiny_gpt.training.seed_batches import SeedBatches


@dataclass(frozen=True)
class RunFrames:
    """Frames of the finished runs of a plan.

    Attributes:
        metrics: metrics frames, one per run.
        events: events frames, one per run.
        wall_s: seconds of all seeds together, by condition.
        missing: seeds without a finished run, by condition.
        made_on: hosts, devices and versions that made the runs.
    """

    metrics: list[pd.DataFrame]
    events: list[pd.DataFrame]
    wall_s: dict[str, float]
    missing: dict[str, list[int]]
    made_on: set[str]


def run_study(options: argparse.Namespace, command: list[str]) -> None:
    """Runs the command `run`: the missing runs, then the folder.

    Raises:
        ValueError: if an option is invalid; before anything is trained.
        FailedRunsError: if runs have failed; nothing is drawn.
    """
    start, console = time.perf_counter(), Console()
    study = load_study(options.experiment, options.experiments)
    making = choose_making(options)
    plan = Plan.from_options(study, options, command, making.placement)
    plan.open_store()  # refused before a folder is reserved
    plan.reserve()
    places = {f"{study.name}/{e.condition}" for e in plan.experiments}
    modules = [m for m in study.measurements if places >= set(m.NEEDS)]
    measured = {place for module in modules for place in module.NEEDS}
    for runs, keeps_weights in split_by_weights(plan, measured):
        kept = dataclasses.replace(plan, keeps_weights=keeps_weights)
        make_missing(runs, kept.open_store(), making, console)
    if not making.is_whole:
        say_next(console)
        return
    if modules:
        measure_plan(modules, plan, (), making.num_processes, console)
    with results_folder.hold_folder(plan.folder):
        figure = write_folder(plan, read_runs(plan))
    _show(plan, console, figure, time.perf_counter() - start)


def split_by_weights(
    plan: Plan, measured: Collection[str]
) -> Iterator[tuple[Runs, bool]]:
    """Splits the runs of a plan by whether a measurement needs their weights.

    Args:
        plan: the runs.
        measured: places that are measured, "experiment/condition".

    Yields:
        Runs, and whether their weights are kept; none are left out.
    """
    for is_measured in (True, False):
        experiments = tuple(
            e
            for e in plan.experiments
            if (f"{e.name}/{e.condition}" in measured) == is_measured
        )
        if experiments:
            runs = Runs(experiments, plan.seeds)
            yield runs, is_measured or plan.keeps_weights


def make_missing(
    wanted: Wanted, store: Store, making: Making, console: Console
) -> None:
    """Makes the runs that are missing in a store.

    Args:
        wanted: experiments and seeds.
        store: where the runs are.
        making: where and how.
        console: where to show progress.

    Raises:
        FailedRunsError: if runs have failed, after all others were made.
    """
    with Reporter(console) as reporter:
        shown = _Shown(wanted, store, reporter)
        hooks = shown.epoch, shown.batches
        with making.start(store.folder, *hooks) as executor:
            outcome = run_sweep(
                wanted,
                store,
                executor,
                making.seeds_per_batch,
                making.shard,
                on_plan=shown.plan,
                on_done=shown.done,
            )
        if making.is_whole:
            shown.end(outcome.failed)
    if outcome.failed:
        raise FailedRunsError(outcome)


class _Shown:
    """Shows the runs of a store as lines, one for each experiment."""

    def __init__(self, wanted: Wanted, store: Store, reporter: Reporter):
        self._seeds, self._store, self._reporter = wanted.seeds, store, reporter
        self._lines: dict[str, Line] = {}  # by key
        self._is_begun = False
        are_several = len({e.name for e in wanted.experiments}) > 1
        for experiment in wanted.experiments:
            key = store.key(experiment)
            if key in self._lines:
                continue
            label = f"{experiment.name}/" * are_several + experiment.condition
            line = reporter.condition(experiment, len(wanted.seeds), label)
            self._lines[key] = line
            there = store.seeds(key, checks=True)
            for seed in wanted.seeds:
                if seed in there:
                    line.finish(seed, was_there=True)
        self._by_label = {key[:16]: line for key, line in self._lines.items()}

    def plan(self, tasks: Sequence[SweepTask]) -> None:
        if self._is_begun:
            return
        self._is_begun = True
        num_runs = sum(len(task.seeds) for task in tasks)
        self._reporter.console.print(
            f"Training {num_runs} run{'s' * (num_runs > 1)} into "
            f"{self._store.folder}. The first epoch takes longest: programs "
            "are compiled.",
            highlight=False,
            soft_wrap=True,
        )

    def batches(self, found: SeedBatches) -> None:
        where = f"{found.num_devices} device{'s' * (found.num_devices > 1)}"
        how = "divided among" if found.is_divided else "dealt to"
        why = ", as many as its memory holds" * found.is_split
        self._reporter.console.print(
            f"{len(found.sizes)} seed batches of {max(found.sizes)} at most"
            f"{why}, {how} {where}.",
            highlight=False,
            soft_wrap=True,
        )

    def epoch(self, job: Job, epoch: int, logs: dict[str, float]) -> None:
        # The store has labelled it (`cell.unlabelled`).
        line = self._by_label[job.experiment.condition]
        line.show(job.seed, epoch, logs)

    def done(self, done: TaskResult) -> None:
        for seed in done.finished:
            self._lines[done.task.key].finish(seed)

    def end(self, failed: dict[tuple[str, int], str]) -> None:
        """Shows the runs that other commands have made meanwhile."""
        for key, line in self._lines.items():
            for seed in self._seeds:
                if (key, seed) not in failed:
                    line.finish(seed)


def say_next(console: Console) -> None:
    """Says what follows the runs of a shard."""
    console.print(
        "The runs of this shard are in the store. The same command without "
        "--shard draws, when all are there.",
        soft_wrap=True,
    )


def read_runs(plan: Plan) -> RunFrames:
    """Reads the finished runs of a plan, and trains nothing."""
    store = plan.open_store()
    done = RunFrames([], [], {}, {}, set())
    for experiment in plan.experiments:
        seconds, key = 0.0, store.key(experiment)
        for seed in plan.seeds:
            run = store.load(key, seed)
            if run is None:
                done.missing.setdefault(experiment.condition, []).append(seed)
                continue
            metrics, events, wall_s = frames_of(experiment, seed, run)
            done.metrics.append(metrics)
            done.events.append(events)
            done.made_on.add(run.made_on)
            seconds += wall_s
        done.wall_s[experiment.condition] = round(seconds, 1)
    return done


def write_folder(plan: Plan, done: RunFrames) -> Path | None:
    """Writes frames, summary, table, figure and manifest of a plan.

    Returns:
        Path of the figure; None if a condition that it needs is missing.
    """
    metrics, events = pd.concat(done.metrics), pd.concat(done.events)
    before = results_folder.read_manifest(plan.folder)
    results_folder.write_frame(plan.folder / "metrics.csv", metrics)
    results_folder.write_frame(plan.folder / "events.csv", events)
    metric = plan.experiments[0].evaluation.accuracy
    summary = summarise(metrics, metric, plan.preset)
    results_folder.write_json(plan.folder / "summary.json", summary)
    figure = draw(plan, metrics, summary)
    status = "unfinished" if done.missing else "finished"
    is_same = before.get("files") == results_folder.hash_files(plan.folder)
    # Drawing the same runs anew leaves their manifest as it is.
    if not is_same or before["status"] != status:
        manifest = {
            "format": results_folder.FORMAT,
            "status": status,
            "config": plan.config,
            "seeds": list(plan.seeds),
            "command": " ".join(plan.command),
            **({"file": plan.study.file} if plan.study.file else {}),
            "commit": plan.commit,
            **protocol_used(plan.seeds),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "wall_s": done.wall_s,
            "made_on": sorted(done.made_on),
            **describe_environment(plan.placement),
            "precision": plan.precision,
        }
        results_folder.write_manifest(plan.folder, manifest)
    if plan.track is not None:
        send_runs(plan.track, plan.folder, metrics, events)
    return figure


def _show(
    plan: Plan, console: Console, figure: Path | None, seconds: float
) -> None:
    """Shows the table, and last of all which figure to open."""
    table = plan.folder / "table_1.md"
    console.print(Markdown(table.read_text()))
    last = (
        "No figure: it needs conditions that were not trained."
        if figure is None
        else f"Figure: {figure}"
    )
    for line in (
        "Accuracy in percent: mean over seeds (lowest–highest seed).",
        f"{count_seeds(plan.seeds)}, {plan.preset} preset, "
        f"{format_duration(seconds)}.",
        f"Every number, by tier of questions: {plan.folder / 'metrics.csv'}",
        f"Table: {table}",
        last,
    ):
        console.print(line, highlight=False, soft_wrap=True)
