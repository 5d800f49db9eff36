"""All experiments, the verdict on every claim of the paper, and a report."""

import argparse
import copy
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from rich.console import Console
from rich.table import Table

from experiments.__main__ import EXPERIMENTS
from experiments.claims.by_number import packing_of
from experiments.claims.evidence import Evidence
from experiments.claims.ledger import (
    FORMAT,
    LEVEL,
    decide_all,
    interval_level,
    num_intervals,
)
from experiments.drawing import PUBLISHED
from experiments.plan import Plan, count_seeds, current_commit, last_commit
from experiments.runner import collect, execute
from tiny_gpt import results
from tiny_gpt.analysis.baseline import memorisation_accuracy
from tiny_gpt.analysis.loss_floor import inferring_floor, told_floor
from tiny_gpt.devices import describe
from tiny_gpt.experiment import Experiment
from tiny_gpt.report import render_report

ROOT = Path(__file__).parent.parent
PAPER_FRAME = ROOT / "docs" / "triangle_paper" / "metrics.csv.gz"
RULES = Path(__file__).parent / "claims"


@dataclass(frozen=True)
class Reproduction:
    """What `make reproduce` runs, and where it goes.

    Attributes:
        plans: one per experiment, each in a folder of its own.
        folder: folder of the whole.
        overwrite: whether other results there may be replaced.
        command: the command, for the manifest.
        trains: whether unfinished runs are run; if not, the report is made
            from what is there.
    """

    plans: tuple[Plan, ...]
    folder: Path
    overwrite: bool
    command: str
    trains: bool

    @classmethod
    def from_options(
        cls, options: argparse.Namespace, command: list[str]
    ) -> "Reproduction":
        """Builds it from a command line.

        Raises:
            ValueError: if a number, preset or option is invalid, or there is
                nothing to report.
        """
        if options.conditions:
            raise ValueError(
                "`--conditions` belongs to one experiment; claims need all. "
                f"Received: {options.experiment} --conditions "
                f"{' '.join(options.conditions)}"
            )
        folder = options.out or Path("results") / "reproduce"
        trains = options.experiment == "reproduce"
        if not trains and not (folder / results.MANIFEST).exists():
            raise ValueError(
                "A report needs the folder of a reproduction. "
                f"Received: {folder}, which has no {results.MANIFEST}"
            )
        plans = []
        for name in EXPERIMENTS:
            part = copy.copy(options)
            part.experiment, part.out = name, folder / name
            plans.append(Plan.from_options(part, command))
        return cls(
            tuple(plans),
            folder,
            options.overwrite,
            shlex.join(command),
            trains,
        )

    @property
    def config(self) -> dict[str, Any]:
        """All that the results depend on."""
        first = self.plans[0]
        return {
            "experiment": "reproduce",
            "preset": first.preset,
            "seeds": list(first.seeds),
            "backend": keras.backend.backend(),
            "precision": first.precision,
        }

    def claim(self) -> None:
        """Claims the folder and that of each experiment."""
        results.claim_folder(self.folder, self.config, self.overwrite)
        for plan in self.plans:
            plan.claim()

    def execute(self) -> None:
        """Runs what is missing, decides the claims and writes the report."""
        console = Console()
        start = time.perf_counter()
        metrics, events, missing = [], [], {}
        for plan in self.plans:
            if self.trains:
                done = execute(plan, console, is_shown=False)
            else:
                done = collect(plan)
            metrics += done.metrics
            events += done.events
            for condition, seeds in done.missing.items():
                missing[f"{plan.module.NAME}/{condition}"] = seeds
        if not metrics:
            raise ValueError(
                "A report needs a finished run. "
                f"Received: {self.folder}, which has none"
            )
        seconds = time.perf_counter() - start
        self._write(
            console, pd.concat(metrics), pd.concat(events), missing, seconds
        )

    def _write(self, console, metrics, events, missing, seconds) -> None:
        # Six digits are more than a seed repeats, and compress well.
        metrics = metrics.assign(value=metrics["value"].map(_six_digits))
        results.write_frame(self.folder / "metrics.csv", metrics)
        results.write_frame(self.folder / "events.csv", events)
        ledger = build_ledger(self.plans, metrics, missing, self.command)
        results.write_json(self.folder / "claims.json", ledger)
        manifest = self._manifest(ledger, seconds)
        results.write_json(self.folder / results.MANIFEST, manifest)
        page = render_report(ledger, metrics, events, manifest)
        results.write_text(self.folder / "report.html", page)
        _show(console, ledger)
        console.print(f"See {self.folder / 'report.html'}")

    def _manifest(self, ledger: dict[str, Any], seconds: float):
        first = self.plans[0]
        wall_s = {}
        for plan in self.plans:
            manifest = results.read_manifest(plan.folder)
            for condition, value in manifest.get("wall_s", {}).items():
                wall_s[f"{plan.module.NAME}/{condition}"] = value
        return {
            "format": results.FORMAT,
            "status": "unfinished" if ledger["missing"] else "finished",
            "config": self.config,
            "seeds": list(first.seeds),
            "precision": first.precision,
            "command": self.command,
            "commit": current_commit(),
            "rules_commit": ledger["rules_commit"],
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "last_command_s": round(seconds, 1),
            "wall_s": wall_s,
            **describe(),
        }


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


def build_ledger(
    plans: tuple[Plan, ...],
    metrics: pd.DataFrame,
    missing: dict[str, list[int]],
    command: str,
) -> dict[str, Any]:
    """Decides every claim and describes every condition.

    Args:
        plans: what was run.
        metrics: metrics frame of all of it.
        missing: seeds missing, by experiment and condition.
        command: command that repeats it.

    Returns:
        The ledger, as `tiny_gpt.report.render_report` reads it.
    """
    first = plans[0]
    paper = metrics if first.preset == "paper" else pd.read_csv(PAPER_FRAME)
    evaluation = first.experiments[0].evaluation
    evidence = Evidence(
        metrics,
        first.seeds,
        paper,
        pd.concat(
            pd.read_csv(PUBLISHED / f"{plan.module.NAME}.csv")
            for plan in plans
            if (PUBLISHED / f"{plan.module.NAME}.csv").exists()
        ),
        interval_level(),
        evaluation.exact_demonstrations[0],
    )
    entries = decide_all(evidence, command)
    conditions = [
        _describe(plan, experiment, missing)
        for plan in plans
        for experiment in plan.experiments
    ]
    return {
        "format": FORMAT,
        "preset": first.preset,
        "seeds": list(first.seeds),
        "num_tests": num_intervals(),
        "level": LEVEL,
        "corrected_level": interval_level(),
        "rules_commit": last_commit(RULES),
        "missing": [
            f"{place}: seeds {', '.join(map(str, seeds))}"
            for place, seeds in missing.items()
        ],
        "summary": _summary(entries, first),
        "claims": entries,
        "conditions": conditions,
    }


def _summary(entries: list[dict[str, Any]], plan: Plan) -> str:
    counts = pd.Series([e["verdict"] for e in entries]).value_counts()
    listed = "; ".join(
        f"{count} {verdict}" for verdict, count in counts.items()
    )
    return (
        f"{len(entries)} claims of Sinha 2024, preset {plan.preset}, "
        f"{count_seeds(plan.seeds)}: "
        f"{listed}."
    )


def _describe(
    plan: Plan, experiment: Experiment, missing: dict[str, list[int]]
) -> dict[str, Any]:
    place = f"{experiment.name}/{experiment.condition}"
    absent = missing.get(place, [])
    packing, shown = packing_of(experiment)
    mixture = experiment.mixture
    chance = 1 / mixture.alphabet_size
    return {
        "experiment": experiment.name,
        "condition": experiment.condition,
        "question": plan.module.describe(experiment.condition),
        "mappings": list(experiment.eval_mappings),
        "accuracy_metric": experiment.evaluation.accuracy,
        "seeds": [seed for seed in plan.seeds if seed not in absent],
        "missing_seeds": absent,
        "floor": {
            "told": told_floor(packing),
            "inferred": inferring_floor(packing, shown),
        },
        "chance": dict.fromkeys(experiment.eval_mappings, chance),
        "memoriser": {
            label: memorisation_accuracy(mixture.coverage(label), chance)
            for label in experiment.eval_mappings
        },
        "sparse": list(plan.module.SPARSE),
        "num_epochs": experiment.train.num_epochs,
    }


def _show(console: Console, ledger: dict[str, Any]) -> None:
    table = Table("claim", "verdict", "because", title=ledger["summary"])
    for claim in ledger["claims"]:
        table.add_row(claim["title"], claim["verdict"], claim["because"])
    console.print(table)
    for line in ledger["missing"]:
        console.print(f"missing: {line}", style="bold")
