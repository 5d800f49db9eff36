"""The runner: all conditions and seeds of one experiment, into one folder."""

import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markdown import Markdown

from tiny_gpt.callbacks import RunRecorder
from tiny_gpt.commands.outputs import draw
from tiny_gpt.commands.plan import Plan, count_seeds
from tiny_gpt.commands.progress import Reporter
from tiny_gpt.experiment import Experiment
from tiny_gpt.metrics.summary import summarise
from tiny_gpt.report.typeset import format_duration
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.devices import choose_devices
from tiny_gpt.runtime.environment import (
    describe_environment,
    make_deterministic,
    set_precision,
)
from tiny_gpt.train import run_all
from tiny_gpt.training.finished import load_finished
from tiny_gpt.training.run_files import Record
from tiny_gpt.training.seed_batches import SeedBatches


@dataclass(frozen=True)
class RunFrames:
    """Frames of the finished runs of a plan.

    Attributes:
        metrics: metrics frames, one per run.
        events: events frames, one per run.
        wall_s: seconds of all seeds together, by condition.
        missing: seeds without a finished run, by condition.
    """

    metrics: list[pd.DataFrame]
    events: list[pd.DataFrame]
    wall_s: dict[str, float]
    missing: dict[str, list[int]]


def run_plan(
    plan: Plan, console: Console | None = None, is_shown: bool = True
) -> RunFrames:
    """Runs what is not finished yet, then writes frames, summary, figure.

    Args:
        plan: what to run.
        console: where to show progress; by default a new one.
        is_shown: whether the table is shown at the end.

    Returns:
        Metrics and events of all conditions and seeds.
    """
    console = console or Console()
    start = time.perf_counter()
    with Reporter(console) as reporter:
        seed_batches = train_missing(plan, reporter)
    done = read_runs(plan)
    figure = _write(plan, pd.concat(done.metrics), pd.concat(done.events))
    # Drawing anew leaves the manifest of the runs as it is.
    if seed_batches is not None or not results_folder.is_finished(plan.folder):
        _write_manifest(plan, done.wall_s, seed_batches)
    if is_shown:
        _show(plan, console, figure, time.perf_counter() - start)
    return done


def train_missing(plan: Plan, reporter: Reporter) -> SeedBatches | None:
    """Trains the unfinished runs; returns None if there are none."""
    set_precision(plan.precision)
    make_deterministic()
    jobs = []
    lines = {}
    for experiment in plan.experiments:
        line = reporter.condition(experiment, len(plan.seeds))
        lines[experiment.condition] = line
        for seed in plan.seeds:
            record = plan.record(experiment, seed)
            if load_finished(experiment, seed, record) is None:
                jobs.append(plan.job(experiment, seed))
            else:
                _write_log(experiment, seed, record)
                line.finish(seed, was_there=True)
    if not jobs:
        return None
    num_runs = f"{len(jobs)} run{'s' * (len(jobs) > 1)}"
    reporter.console.print(
        f"Training {num_runs} into {plan.folder}. The first epoch takes "
        "longest: programs are compiled.",
        highlight=False,
        soft_wrap=True,
    )
    seed_batches: SeedBatches | None = None

    def start(found: SeedBatches) -> None:
        nonlocal seed_batches
        seed_batches = found
        if seed_batches.is_split:
            reporter.console.print(
                f"{max(seed_batches.sizes)} runs fit the memory of the device "
                f"at once; training {len(seed_batches.sizes)} seed batches."
            )

    for job, done in run_all(
        jobs,
        plan.num_jobs,
        plan.seeds_per_batch,
        on_start=start,
        on_epoch=lambda job, epoch, logs: lines[job.experiment.condition].show(
            job.seed, epoch, logs
        ),
        placement=plan.placement or choose_devices(),
    ):
        if done is None:  # in another process, without a line by epoch
            lines[job.experiment.condition].finish(job.seed)
    return seed_batches


def _write_log(experiment: Experiment, seed: int, record: Path) -> None:
    """Writes the log of a finished run again, from its record."""
    logs = Record(experiment, seed, record).logs
    path = Path(f"{record}.jsonl")
    log = RunRecorder(path, overwrite=True, earlier_logs=logs)
    log.on_epoch_begin(len(logs))


def read_runs(plan: Plan) -> RunFrames:
    """Reads the finished runs of a plan, and trains nothing."""
    done = RunFrames([], [], {}, {})
    for experiment in plan.experiments:
        seconds = 0.0
        for seed in plan.seeds:
            record = plan.record(experiment, seed)
            frames = load_finished(experiment, seed, record)
            if frames is None:
                done.missing.setdefault(experiment.condition, []).append(seed)
                continue
            done.metrics.append(frames[0])
            done.events.append(frames[1])
            seconds += frames[2]
        done.wall_s[experiment.condition] = round(seconds, 1)
    return done


def _write(
    plan: Plan, metrics: pd.DataFrame, events: pd.DataFrame
) -> Path | None:
    """Writes frames, summary, table and figure; returns that of the figure."""
    results_folder.write_frame(plan.folder / "metrics.csv", metrics)
    results_folder.write_frame(plan.folder / "events.csv", events)
    metric = plan.experiments[0].evaluation.accuracy
    summary = summarise(metrics, metric, plan.preset)
    results_folder.write_json(plan.folder / "summary.json", summary)
    return draw(plan, metrics, summary)


def _write_manifest(
    plan: Plan, wall_s: dict[str, float], seed_batches: SeedBatches | None
) -> None:
    manifest = {
        "format": results_folder.FORMAT,
        "status": "finished",
        "config": plan.config,
        "seeds": list(plan.seeds),
        "command": " ".join(plan.command),
        **({"file": plan.study.file} if plan.study.file else {}),
        "commit": plan.commit,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "jobs": seed_batches and seed_batches.num_workers,
        "seed_batches": seed_batches and list(seed_batches.sizes),
        "is_batch_divided": seed_batches and seed_batches.is_divided,
        "wall_s": wall_s,
        **describe_environment(plan.placement),
        "precision": plan.precision,
    }
    results_folder.write_manifest(plan.folder, manifest)


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
        f"Table: {table}",
        last,
    ):
        console.print(line, highlight=False, soft_wrap=True)
