"""The commands `reproduce`, `theory` and `report`."""

import argparse
import copy
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from tiny_gpt.commands.outputs import evidence_of
from tiny_gpt.commands.plan import Plan, count_seeds
from tiny_gpt.commands.reporting.reproduce import (
    FOLDER,
    ReproductionPlan,
    check_finished,
    show_page,
)
from tiny_gpt.commands.reporting.verdicts import describe_runs
from tiny_gpt.commands.runner import read_runs
from tiny_gpt.commands.study import load_study
from tiny_gpt.commands.tracking import send_runs
from tiny_gpt.report.page import render_report
from tiny_gpt.runtime import results_folder


def run_command(options: argparse.Namespace, command: list[str]) -> None:
    """Runs `reproduce`, `theory` or `report`.

    Raises:
        ValueError: if an option is invalid, or there is nothing to report.
    """
    if options.command != "report":
        plan = ReproductionPlan.from_options(options, command)
        plan.plans[0].open_store()  # refused before a folder is reserved
        plan.reserve()
        plan.run(options.command)
        return
    folder = options.out or FOLDER
    manifest = read_manifest(folder)
    if not options.store.exists():
        raise ValueError(
            "A report is drawn from the store of its runs; --store names it. "
            f"Received: {options.store}, which does not exist"
        )
    config = manifest["config"]
    again = copy.copy(options)
    again.out = folder
    again.preset, again.precision = config["preset"], config["precision"]
    conditions = config.get("conditions", {}).values()
    trained = [each["train"] for each in conditions] or [config]
    again.clipping = trained[0].get("clipping", "global")
    again.num_devices = config.get("num_replicas")
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
    check_finished(done.metrics, plan)
    metrics, events = pd.concat(done.metrics), pd.concat(done.events)
    name = plan.study.name
    missing = {f"{name}/{c}": seeds for c, seeds in done.missing.items()}
    evidence = evidence_of([plan], metrics)
    ledger = {
        **describe_runs([plan], missing, evidence),
        "kind": "",
        "level": evidence.level,
        "protocol": {},
        "families": [],
        "summary": f"{name}, preset {plan.preset}, {count_seeds(plan.seeds)}.",
        "claims": [],
    }
    page = render_report(ledger, metrics, events, manifest)
    results_folder.write_text(plan.folder / "report.html", page)
    if plan.track is not None:
        send_runs(plan.track, plan.folder, metrics, events)
    show_page(Console(), plan.folder / "report.html")


def read_manifest(folder: Path, who: str = "A report") -> dict[str, Any]:
    """Returns the manifest of a folder, made by a command of this version.

    Args:
        folder: the results folder.
        who: what needs it, for a message.

    Raises:
        ValueError: if there is none, or it is of another format.
    """
    what = f"{who} needs the folder of a reproduction or of an experiment"
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
