"""The commands `reproduce`, `theory` and `report`: runs, verdicts, report."""

import argparse
import copy
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

from tiny_gpt.commands.outputs import evidence_of
from tiny_gpt.commands.plan import (
    Plan,
    choose_placement,
    count_seeds,
    folder_of_host,
)
from tiny_gpt.commands.reporting.protocol import (
    Reproduction,
    load_reproduction,
)
from tiny_gpt.commands.reporting.theory import read_theory, run_theory
from tiny_gpt.commands.reporting.verdicts import (
    build_ledger,
    describe_runs,
    show,
    verdict_table,
)
from tiny_gpt.commands.runner import read_runs, run_plan
from tiny_gpt.commands.study import Study, load_study
from tiny_gpt.commands.sweeping.words import load_maps
from tiny_gpt.report.page import render_report
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.environment import describe_environment

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
    """

    protocol: Reproduction
    plans: tuple[Plan, ...]
    folder: Path
    overwrite: bool
    command: str
    theory: Plan | None = None

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
        trains = options.command != "report"
        placement = choose_placement(options) if trains else None
        folder = folder_of_host(folder) if trains else folder

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

    def run(self, target: str) -> None:
        """Runs what is missing, decides the claims and writes the report.

        Args:
            target: "reproduce"; "theory", which runs of the other experiments
                only what is measured; or "report", which runs nothing.
        """
        console = Console()
        start = time.perf_counter()
        if target == "theory" and self.theory is not None:
            run_theory(self.protocol, self.theory, self.plans, console)
        parts = []
        for plan in self.plans:
            if target == "reproduce":
                parts.append((plan, run_plan(plan, console, is_shown=False)))
            else:
                parts.append((plan, read_runs(plan)))
        if self.theory is not None:
            done = read_theory(self.protocol, self.theory)
            parts.append((self.theory, done))
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
        check_finished(metrics, self.folder)
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
            "rules_commit": ledger["rules_commit"],
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **describe_environment(first.placement),
            "precision": first.precision,
        }


def run_command(options: argparse.Namespace, command: list[str]) -> None:
    """Runs `reproduce`, `theory` or `report`.

    Raises:
        ValueError: if an option is invalid, or there is nothing to report.
    """
    if options.command != "report":
        plan = ReproductionPlan.from_options(options, command)
        with results_folder.hold_folder(plan.folder):
            plan.reserve()
            plan.run(options.command)
        return
    folder = options.out or FOLDER
    manifest = _read_manifest(folder)
    config = manifest["config"]
    again = copy.copy(options)
    again.out = folder
    again.preset, again.precision = config["preset"], config["precision"]
    again.clipping = config.get("clipping", "global")
    again.seeds, again.first_seed = len(config["seeds"]), min(config["seeds"])
    if config["experiment"] == "reproduce":
        ReproductionPlan.from_options(again, command).run("report")
        return
    again.conditions = again.conditions or list(config["conditions"])
    experiment = manifest.get("file") or config["experiment"]
    study = load_study(experiment, options.experiments)
    report_study(Plan.from_options(study, again, command), manifest)


def report_study(plan: Plan, manifest: dict[str, Any]) -> None:
    """Writes the report of one experiment, which has no claims.

    Raises:
        ValueError: if no run is finished.
    """
    done = read_runs(plan)
    check_finished(done.metrics, plan.folder)
    metrics, events = pd.concat(done.metrics), pd.concat(done.events)
    name = plan.study.name
    missing = {f"{name}/{c}": seeds for c, seeds in done.missing.items()}
    evidence = evidence_of([plan], metrics)
    ledger = {
        **describe_runs([plan], missing, evidence),
        "num_tests": 0,
        "level": evidence.level,
        "corrected_level": evidence.level,
        "rules_commit": "",
        "summary": f"{name}, preset {plan.preset}, {count_seeds(plan.seeds)}.",
        "claims": [],
    }
    page = render_report(ledger, metrics, events, manifest)
    results_folder.write_text(plan.folder / "report.html", page)
    show_page(Console(), plan.folder / "report.html")


def show_page(console: Console, path: Path) -> None:
    """Says which page to open, in one line however long."""
    console.print(f"Open in a browser: {path}", soft_wrap=True, highlight=False)


def check_finished(metrics: Sequence[pd.DataFrame], folder: Path) -> None:
    """Raises a ValueError if no run of a folder is finished."""
    if not metrics:
        raise ValueError(
            f"A report needs a finished run. Received: {folder}, which has none"
        )


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Returns the manifest of a folder that can be reported."""
    what = "A report needs the folder of a reproduction or of an experiment"
    hint = "`tiny-gpt run` and `tiny-gpt reproduce` make one"
    if not (folder / results_folder.MANIFEST).exists():
        raise ValueError(
            f"{what}; {hint}. Received: {folder}, which has no "
            f"{results_folder.MANIFEST}"
        )
    manifest = results_folder.read_manifest(folder)
    config, format_ = manifest["config"], manifest["format"]
    needed = {"experiment", "preset", "seeds", "precision"}
    if config.get("experiment") != "reproduce":
        needed.add("conditions")
    if format_ != results_folder.FORMAT or needed - set(config):
        raise ValueError(
            f"{what}, of format {results_folder.FORMAT}. Received: {folder}, "
            f"of {config.get('experiment')!r}, format {format_}"
        )
    return manifest


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")
