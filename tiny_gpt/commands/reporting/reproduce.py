"""A reproduction: its runs, verdicts and report."""

import argparse
import dataclasses
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from rich.console import Console

from tiny_gpt.commands.executors import Making, choose_making
from tiny_gpt.commands.measuring import measure_plan, read_measured
from tiny_gpt.commands.plan import Plan, folder_of_host
from tiny_gpt.commands.reporting.verdicts import (
    build_ledger,
    show,
    verdict_table,
)
from tiny_gpt.commands.reproduction import (
    Reproduction,
    load_reproduction,
)
from tiny_gpt.commands.runner import (
    RunFrames,
    make_missing,
    read_runs,
    say_next,
    write_folder,
)
from tiny_gpt.commands.study import Study
from tiny_gpt.commands.sweeping.words import load_maps
from tiny_gpt.report.page import render_report
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.sweep.run import Runs

FOLDER = Path("results") / "reproduce"


@dataclass(frozen=True)
class ReproductionPlan:
    """The plan of one command about a reproduction.

    Attributes:
        protocol: what is run, measured and decided.
        plans: one per experiment, each in a folder of its own.
        folder: folder of the whole.
        overwrite: whether other results there may be replaced.
        command: the command, for the manifest.
        theory: runs that test the paper's theory, if there are any.
        making: where and how runs are made; None if none are.
    """

    protocol: Reproduction
    plans: tuple[Plan, ...]
    folder: Path
    overwrite: bool
    command: str
    theory: Plan | None = None
    making: Making | None = None

    @classmethod
    def from_options(
        cls, options: argparse.Namespace, command: list[str]
    ) -> "ReproductionPlan":
        """Builds it from a command line.

        Raises:
            ValueError: if a number, preset or option is invalid, or there is
                nothing to report.
        """
        if options.conditions:
            raise ValueError(
                "`--conditions` is an option of `run`; claims need all. "
                f"Received: {options.command} --conditions "
                f"{' '.join(options.conditions)}"
            )
        protocol = load_reproduction(options.experiments)
        folder = options.out or FOLDER
        is_report = options.command == "report"
        making = None if is_report else choose_making(options)
        placement = None if making is None else making.placement
        folder = folder if is_report else folder_of_host(folder)

        def plan(study: Study) -> Plan:
            planned = Plan.from_options(study, options, command, placement)
            return dataclasses.replace(planned, folder=folder / study.name)

        theory = protocol.theory
        has_theory = (folder / theory.name / results_folder.MANIFEST).exists()
        has_theory |= options.command == "theory"
        return cls(
            protocol,
            tuple(map(plan, protocol.studies)),
            folder,
            options.overwrite,
            shlex.join(command),
            plan(theory) if has_theory else None,
            making,
        )

    @property
    def _all_plans(self) -> tuple[Plan, ...]:
        return self.plans if self.theory is None else (*self.plans, self.theory)

    @property
    def config(self) -> dict[str, Any]:
        """All that the results depend on."""
        first = self.plans[0]
        clipping = first.experiments[0].train.clipping
        replicas = {"clipping": clipping, "num_replicas": first.num_replicas}
        return {
            **({} if clipping == "global" else replicas),
            "experiment": "reproduce",
            "preset": first.preset,
            "seeds": list(first.seeds),
            "backend": keras.backend.backend(),
            "precision": first.precision,
        }

    def reserve(self) -> None:
        """Reserves the folder and that of each experiment."""
        with results_folder.hold_folder(self.folder):
            results_folder.reserve_folder(
                self.folder, self.config, self.overwrite
            )
        for plan in self._all_plans:
            plan.reserve()

    def make(self, target: str, making: Making, console: Console) -> None:
        """Makes the runs of a target that are missing.

        Weights are kept where a measurement needs them, or all if asked for.

        Args:
            target: "reproduce"; or "theory", which makes of the other
                experiments only what it measures or compares with.
            making: where and how.
            console: where to show progress.
        """
        measured = self.protocol.measured
        kept, others = [], []
        for plan in self._all_plans:
            is_whole = (plan is self.theory) == (target == "theory")
            for experiment in plan.experiments:
                place = f"{experiment.name}/{experiment.condition}"
                if place in measured and (is_whole or target == "theory"):
                    kept.append(experiment)
                elif is_whole or (
                    target == "theory" and place in self.protocol.compared
                ):
                    others.append(experiment)
        first = self.plans[0]
        is_asked = first.keeps_weights
        for experiments, keeps_weights in ((kept, True), (others, is_asked)):
            plan = dataclasses.replace(first, keeps_weights=keeps_weights)
            runs = Runs(tuple(experiments), first.seeds)
            make_missing(runs, plan.open_store(), making, console)

    def run(self, target: str) -> None:
        """Runs what is missing, decides the claims and writes the report.

        Args:
            target: "reproduce", "theory" or "report", which runs nothing.
        """
        console = Console()
        start = time.perf_counter()
        if self.making is not None:
            self.make(target, self.making, console)
            if not self.making.is_whole:
                say_next(console)
                return
        if target == "theory" and self.theory is not None:
            num_processes = 1
            if self.making is not None:
                num_processes = self.making.num_processes
            measure_plan(
                self.protocol.measurements,
                self.theory,
                self.plans,
                num_processes,
                console,
            )
        with results_folder.hold_folder(self.folder):
            self._draw(target, console, start)

    def _draw(self, target: str, console: Console, start: float) -> None:
        parts: list[tuple[Plan, RunFrames]] = []
        for plan in self.plans:
            done = read_runs(plan)
            if target == "reproduce":
                write_folder(plan, done)
            parts.append((plan, done))
        if self.theory is not None:
            done = read_runs(self.theory)
            if target == "theory":
                write_folder(self.theory, done)
            parts.append((self.theory, self._with_measured(self.theory, done)))
        metrics = [frame for _, done in parts for frame in done.metrics]
        events = [frame for _, done in parts for frame in done.events]
        missing = {
            f"{plan.study.name}/{condition}": seeds
            for plan, done in parts
            for condition, seeds in done.missing.items()
        }
        wall_s = {
            f"{plan.study.name}/{condition}": value
            for plan, done in parts
            for condition, value in done.wall_s.items()
        }
        check_finished(metrics, self.plans[0])
        seconds = time.perf_counter() - start
        times = {"last_command_s": round(seconds, 1), "wall_s": wall_s}
        self._write(
            console, pd.concat(metrics), pd.concat(events), missing, times
        )

    def _with_measured(self, theory: Plan, done: RunFrames) -> RunFrames:
        """Adds the finished measurements to the runs of the theory."""
        modules = self.protocol.measurements
        found = read_measured(modules, theory, self.plans)
        return dataclasses.replace(
            done,
            metrics=[*done.metrics, found.metrics],
            wall_s={**done.wall_s, **found.wall_s},
            missing={**done.missing, **found.missing},
        )

    def _write(self, console, metrics, events, missing, times) -> None:
        # Six digits are more than a seed repeats, and compress well.
        metrics = metrics.assign(value=metrics["value"].map(_six_digits))
        results_folder.write_frame(self.folder / "metrics.csv", metrics)
        results_folder.write_frame(self.folder / "events.csv", events)
        ledger = build_ledger(
            self.protocol, self.plans, metrics, missing, self.theory
        )
        results_folder.write_json(self.folder / "claims.json", ledger)
        manifest = {**self._manifest(ledger), **times}
        results_folder.write_manifest(self.folder, manifest)
        table = verdict_table({"verdict": ledger})
        results_folder.write_text(self.folder / "verdicts.md", table)
        maps = load_maps(self.folder / "sweeps")
        page = render_report(ledger, metrics, events, manifest, maps)
        results_folder.write_text(self.folder / "report.html", page)
        show(console, ledger)
        show_page(console, self.folder / "report.html")

    def _manifest(self, ledger: dict[str, Any]):
        first = self.plans[0]
        return {
            "format": results_folder.FORMAT,
            "status": "unfinished" if ledger["missing"] else "finished",
            "config": self.config,
            "seeds": list(first.seeds),
            "command": self.command,
            "commit": first.commit,
            "protocol": ledger["protocol"],
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **describe_environment(first.placement),
            "precision": first.precision,
        }


def show_page(console: Console, path: Path) -> None:
    """Says which page to open, in one line however long."""
    console.print(f"Open in a browser: {path}", soft_wrap=True, highlight=False)


def check_finished(metrics: Sequence[pd.DataFrame], plan: Plan) -> None:
    """Raises a ValueError if no run of a plan is finished."""
    if not metrics:
        raise ValueError(
            "A report needs a finished run; --store names the store that has "
            f"it. Received: {plan.store}, which has none of {plan.folder}"
        )


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")
