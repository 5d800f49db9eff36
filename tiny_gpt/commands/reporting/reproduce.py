"""All experiments, the verdict on every claim of the paper, and a report."""

import argparse
import copy
import dataclasses
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from rich.console import Console

from experiments import theory
from experiments.__main__ import EXPERIMENTS
from tiny_gpt.commands.reporting.study import collect_study, run_study
from tiny_gpt.commands.reporting.verdicts import (
    build_ledger,
    show,
    verdict_table,
)
from tiny_gpt.commands.running.plan import (
    Plan,
    choose_placement,
    folder_of_host,
)
from tiny_gpt.commands.running.runner import read_runs, run_plan
from tiny_gpt.commands.sweeping.words import load_maps
from tiny_gpt.report.page import render_report
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.environment import describe_environment


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
        theory: runs that test the paper's theory, if they are there
            (`measurements.study`).
    """

    plans: tuple[Plan, ...]
    folder: Path
    overwrite: bool
    command: str
    trains: bool
    theory: Plan | None = None

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
        trains = options.experiment != "report"
        if not trains:
            options = _as_reproduced(options, folder)
        placement = choose_placement(options) if trains else None
        folder = folder_of_host(folder) if trains else folder

        def plan(name: str) -> Plan:
            part = copy.copy(options)
            part.experiment, part.out = name, folder / name
            planned = Plan.from_options(part, command, placement)
            return dataclasses.replace(planned, folder=folder / name)

        is_studied = (folder / theory.NAME / results_folder.MANIFEST).exists()
        is_studied |= options.experiment == "theory"
        return cls(
            tuple(map(plan, EXPERIMENTS)),
            folder,
            options.overwrite,
            shlex.join(command),
            trains,
            plan(theory.NAME) if is_studied else None,
        )

    @property
    def _all_plans(self) -> tuple[Plan, ...]:
        return self.plans if self.theory is None else (*self.plans, self.theory)

    @property
    def config(self) -> dict[str, Any]:
        """All that the results depend on."""
        first = self.plans[0]
        clipping = first.experiments[0].train.clipping
        return {
            **({} if clipping == "global" else {"clipping": clipping}),
            "experiment": "reproduce",
            "preset": first.preset,
            "seeds": list(first.seeds),
            "backend": keras.backend.backend(),
            "precision": first.precision,
        }

    def reserve(self) -> None:
        """Reserves the folder and that of each experiment."""
        results_folder.reserve_folder(self.folder, self.config, self.overwrite)
        for plan in self._all_plans:
            plan.reserve()

    def study(self) -> None:
        """Runs and measures what tests the theory, and writes the report."""
        if self.theory is None:
            raise ValueError(
                "A study needs a plan. Received: a reproduction without one"
            )
        start = time.perf_counter()
        run_study(self.theory, self.plans, Console())
        dataclasses.replace(self, trains=False).execute(start)

    def execute(self, start: float | None = None) -> None:
        """Runs what is missing, decides the claims and writes the report.

        Args:
            start: `time.perf_counter()` where the command began; now by
                default.
        """
        console = Console()
        start = time.perf_counter() if start is None else start
        parts = []
        for plan in self.plans:
            if self.trains:
                parts.append((plan, run_plan(plan, console, is_shown=False)))
            else:
                parts.append((plan, read_runs(plan)))
        if self.theory is not None:
            parts.append((self.theory, collect_study(self.theory)))
        metrics = [frame for _, done in parts for frame in done.metrics]
        events = [frame for _, done in parts for frame in done.events]
        missing = {
            f"{plan.module.NAME}/{condition}": seeds
            for plan, done in parts
            for condition, seeds in done.missing.items()
        }
        wall_s = {
            f"{plan.module.NAME}/{condition}": value
            for plan, done in parts
            for condition, value in done.wall_s.items()
        }
        if not metrics:
            raise ValueError(
                "A report needs a finished run. "
                f"Received: {self.folder}, which has none"
            )
        seconds = time.perf_counter() - start
        times = {"last_command_s": round(seconds, 1), "wall_s": wall_s}
        self._write(
            console, pd.concat(metrics), pd.concat(events), missing, times
        )

    def _write(self, console, metrics, events, missing, times) -> None:
        # Six digits are more than a seed repeats, and compress well.
        metrics = metrics.assign(value=metrics["value"].map(_six_digits))
        results_folder.write_frame(self.folder / "metrics.csv", metrics)
        results_folder.write_frame(self.folder / "events.csv", events)
        ledger = build_ledger(self.plans, metrics, missing, self.theory)
        results_folder.write_json(self.folder / "claims.json", ledger)
        manifest = {**self._manifest(ledger), **times}
        results_folder.write_manifest(self.folder, manifest)
        table = verdict_table({"verdict": ledger})
        results_folder.write_text(self.folder / "verdicts.md", table)
        maps = load_maps(self.folder / "sweeps")
        page = render_report(ledger, metrics, events, manifest, maps)
        results_folder.write_text(self.folder / "report.html", page)
        show(console, ledger)
        console.print(f"See {self.folder / 'report.html'}")

    def _manifest(self, ledger: dict[str, Any]):
        first = self.plans[0]
        return {
            "format": results_folder.FORMAT,
            "status": "unfinished" if ledger["missing"] else "finished",
            "config": self.config,
            "seeds": list(first.seeds),
            "command": self.command,
            "commit": first.commit,
            "rules_commit": ledger["rules_commit"],
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **describe_environment(first.placement),
            "precision": first.precision,
        }


def _as_reproduced(
    options: argparse.Namespace, folder: Path
) -> argparse.Namespace:
    """Returns the options of the reproduction that a folder holds."""
    if not (folder / results_folder.MANIFEST).exists():
        raise ValueError(
            "A report needs the folder of a reproduction. "
            f"Received: {folder}, which has no {results_folder.MANIFEST}"
        )
    manifest = results_folder.read_manifest(folder)
    config = manifest["config"]
    is_known = manifest["format"] == results_folder.FORMAT
    if not is_known or config.get("experiment") != "reproduce":
        raise ValueError(
            "A report needs the folder of a reproduction, of format "
            f"{results_folder.FORMAT}. Received: {folder}, of "
            f"{config.get('experiment')!r}, format {manifest['format']}"
        )
    again = copy.copy(options)
    again.preset, again.precision = config["preset"], config["precision"]
    again.clipping = config.get("clipping", "global")
    again.seeds, again.first_seed = len(config["seeds"]), min(config["seeds"])
    return again


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")
