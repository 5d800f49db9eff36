"""All conditions and seeds of one experiment, into one results folder."""

import dataclasses
import importlib
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import matplotlib.pyplot as plt
import pandas as pd
from rich.console import Console
from rich.markdown import Markdown

from experiments.pool import run_all
from experiments.progress import Reporter
from tiny_gpt import results
from tiny_gpt.analysis.baseline import memorisation_accuracy
from tiny_gpt.devices import describe, set_precision
from tiny_gpt.experiment import Experiment
from tiny_gpt.plots import plot_conditions
from tiny_gpt.train import load_finished, run

PUBLISHED = Path(__file__).parent / "published"


@dataclass(frozen=True)
class Plan:
    """What one command asks for.

    Attributes:
        module: module of the experiment.
        preset: name of its preset.
        experiments: its conditions.
        seeds: seeds of each.
        precision: see `devices.set_precision`.
        folder: where results go.
        overwrite: whether other results there may be replaced.
        command: the command, for the manifest.
        commit: commit of the checkout when the command started.
        num_jobs: runs at once, each in a process of its own.
    """

    module: ModuleType
    preset: str
    experiments: tuple[Experiment, ...]
    seeds: tuple[int, ...]
    precision: str
    folder: Path
    overwrite: bool
    command: tuple[str, ...]
    commit: str
    num_jobs: int = 1

    @classmethod
    def from_options(cls, options, command: list[str]) -> "Plan":
        """Builds the plan of a command line.

        Raises:
            ValueError: if a preset, condition or number is invalid.
        """
        if options.seeds < 1:
            raise ValueError(
                f"`--seeds` must be at least 1. Received: {options.seeds}"
            )
        if options.jobs < 1:
            raise ValueError(
                f"`--jobs` must be at least 1. Received: {options.jobs}"
            )
        if options.first_seed < 0:
            raise ValueError(
                "`--first-seed` cannot be negative. "
                f"Received: {options.first_seed}"
            )
        if keras.backend.backend() != options.backend:
            raise ValueError(
                "The backend is chosen when keras is imported; restart the "
                f"process to change it. Received: backend={options.backend!r}"
                f", while keras runs on {keras.backend.backend()!r}"
            )
        module = importlib.import_module(f"experiments.{options.experiment}")
        names = tuple(dict.fromkeys(options.conditions or module.CONDITIONS))
        first = options.first_seed
        return cls(
            module=module,
            preset=options.preset,
            experiments=tuple(
                module.build_experiment(options.preset, name) for name in names
            ),
            seeds=tuple(range(first, first + options.seeds)),
            precision=options.precision,
            folder=options.out or Path("results") / options.experiment,
            overwrite=options.overwrite,
            command=tuple(map(shlex.quote, command)),
            commit=current_commit(),
            num_jobs=options.jobs,
        )

    @property
    def config(self) -> dict[str, Any]:
        """All that the results depend on."""
        return {
            "experiment": self.module.NAME,
            "preset": self.preset,
            "seeds": list(self.seeds),
            "backend": keras.backend.backend(),
            "precision": self.precision,
            "conditions": {
                e.condition: dataclasses.asdict(e) for e in self.experiments
            },
        }

    def record(self, experiment: Experiment, seed: int) -> Path:
        """Returns the path of a run's record, without suffix."""
        return self.folder / "runs" / experiment.condition / f"seed_{seed}"

    def claim(self) -> None:
        """Claims the folder (`results.claim_folder`)."""
        results.claim_folder(self.folder, self.config, self.overwrite)


@dataclass(frozen=True)
class Collected:
    """What the finished runs of a plan left.

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


def execute(
    plan: Plan, console: Console | None = None, is_shown: bool = True
) -> Collected:
    """Runs what is not finished yet, then writes frames, summary, figure.

    Args:
        plan: what to run.
        console: where to show progress; a new one by default.
        is_shown: whether the table is shown at the end.

    Returns:
        Metrics and events of all conditions and seeds.
    """
    set_precision(plan.precision)
    console = console or Console()
    start = time.perf_counter()
    with Reporter(console) as reporter:
        has_trained = _train(plan, reporter)
    done = collect(plan)
    _write(plan, pd.concat(done.metrics), pd.concat(done.events))
    # Drawing anew leaves the manifest of the runs as it is.
    if has_trained or not results.is_finished(plan.folder):
        _write_manifest(plan, done.wall_s)
    if is_shown:
        _show(plan, console, time.perf_counter() - start)
    return done


def _train(plan: Plan, reporter: Reporter) -> bool:
    """Runs what is not finished; tells whether there was anything."""
    to_do = []
    lines = {}
    for experiment in plan.experiments:
        line = reporter.condition(experiment, len(plan.seeds))
        lines[experiment.condition] = line
        for seed in plan.seeds:
            record = plan.record(experiment, seed)
            if load_finished(experiment, seed, record) is None:
                to_do.append((experiment, seed, record))
            else:
                line.finish("already there")
    if plan.num_jobs > 1:
        for experiment, seed, _ in run_all(
            to_do, plan.num_jobs, plan.precision
        ):
            lines[experiment.condition].finish(f"seed {seed} finished")
        return bool(to_do)
    for experiment, seed, record in to_do:
        run(experiment, seed, record, [lines[experiment.condition].seed(seed)])
        keras.utils.clear_session()
    return bool(to_do)


def collect(plan: Plan) -> Collected:
    """Reads the runs of a plan that are finished, and trains nothing."""
    done = Collected([], [], {}, {})
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


def _write(plan: Plan, metrics: pd.DataFrame, events: pd.DataFrame) -> None:
    results.write_frame(plan.folder / "metrics.csv", metrics)
    results.write_frame(plan.folder / "events.csv", events)
    metric = plan.experiments[0].evaluation.accuracy
    summary = results.summarise(metrics, metric, plan.preset)
    results.write_json(plan.folder / "summary.json", summary)
    draw(plan, metrics, summary)


def _write_manifest(plan: Plan, wall_s: dict[str, float]) -> None:
    manifest = {
        "format": results.FORMAT,
        "status": "finished",
        "config": plan.config,
        "seeds": list(plan.seeds),
        "precision": plan.precision,
        "command": " ".join(plan.command),
        "commit": plan.commit,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "jobs": plan.num_jobs,
        "wall_s": wall_s,
        **describe(),
    }
    results.write_json(plan.folder / results.MANIFEST, manifest)


def _show(plan: Plan, console: Console, seconds: float) -> None:
    table = (plan.folder / "table_1.md").read_text()
    console.print(Markdown(table))
    console.print(
        f"{_count(plan.seeds)}, preset {plan.preset}, {seconds:.0f} s. "
        f"Accuracy in percent: mean (lowest to highest seed). See {plan.folder}"
    )


def draw(plan: Plan, metrics: pd.DataFrame, summary: dict[str, Any]) -> None:
    """Draws the figure and the table of a plan into its folder."""
    first = plan.experiments[0]
    published = None
    path = PUBLISHED / f"{plan.module.NAME}.csv"
    if path.exists():
        published = pd.read_csv(path)
    lines, memoriser, chance = {}, {}, {}
    for e in plan.experiments:
        guess = 1.0 / e.mixture.alphabet_size
        recalled = {
            m: memorisation_accuracy(e.mixture.coverage(m), guess)
            for m in e.eval_mappings
        }
        sparse = plan.module.SPARSE
        best = max(recalled[m] for m in sparse)
        lines[e.condition] = {
            "chance, target language known": guess,
            "memoriser of the sparse pairs": best,
        }
        memoriser[e.condition] = recalled
        chance[e.condition] = dict.fromkeys(e.eval_mappings, guess)
    figure = plot_conditions(
        metrics,
        first.evaluation.accuracy,
        first.eval_mappings,
        lines,
        published,
        plan.module.PAPER_ACCURACY,
        f"{plan.module.NAME}, preset {plan.preset}, "
        f"{_count(plan.seeds)}; thick: mean over seeds",
    )
    name = "figure_2.png" if plan.module.NAME == "triangle" else "curves.png"
    figure.savefig(plan.folder / f"{name}.tmp", dpi=150, format="png")
    (plan.folder / f"{name}.tmp").replace(plan.folder / name)
    plt.close(figure)
    table = results.accuracy_table(
        summary,
        {
            "paper": plan.module.PAPER_ACCURACY,
            "chance": chance,
            "memoriser": memoriser,
        },
    )
    results.write_text(plan.folder / "table_1.md", table)


def _count(seeds: tuple[int, ...]) -> str:
    return "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"


def current_commit() -> str:
    """Returns the commit of the checkout, marked if it was changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
