"""The ledger of a reproduction: verdicts, and what every condition says."""

import dataclasses
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from rich.console import Console
from rich.table import Table

from experiments.claims.families import CLAIMS
from experiments.claims.section_2.family import THEORY
from experiments.extra_figures import more_figures
from tiny_gpt.claims.claim import (
    LEVEL,
    decide_all,
    interval_level,
    num_intervals,
)
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.commands.reporting.conditions import describe_condition
from tiny_gpt.commands.running.outputs import PUBLISHED
from tiny_gpt.commands.running.plan import Plan, count_seeds, last_commit
from tiny_gpt.report.schema import FORMAT
from tiny_gpt.report.typeset import format_effect

ROOT = Path(__file__).parents[3]
PAPER_FRAME = ROOT / "docs" / "runs" / "triangle_paper" / "metrics.csv.gz"
RULES = ROOT / "experiments" / "claims"
FAMILY = (
    f"The {len(THEORY)} of section 2 are a family of their own, of "
    f"{num_intervals(THEORY)} intervals at {interval_level(THEORY):.4f} each."
)


def build_ledger(
    plans: tuple[Plan, ...],
    metrics: pd.DataFrame,
    missing: dict[str, list[int]],
    theory: Plan | None = None,
) -> dict[str, Any]:
    """Decides every claim and describes every condition.

    Args:
        plans: what was run.
        metrics: metrics frame of all of it.
        missing: seeds missing, by experiment and condition.
        theory: what was run to test the theory; None to leave its claims out.

    Returns:
        The ledger, as `tiny_gpt.report.page.render_report` reads it.
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
        interval_level(CLAIMS),
        evaluation.exact_demonstrations[0],
        evaluation.accuracy,
    )
    entries = decide_all(CLAIMS, evidence, _command(first))
    family = ""
    if theory is not None:
        level = interval_level(THEORY)
        entries += decide_all(
            THEORY,
            dataclasses.replace(evidence, level=level),
            _command(first, "theory"),
        )
        family = f" {FAMILY}"
    for entry in entries:
        entry["more_figures"] = more_figures(entry["name"], evidence)
    all_plans = plans if theory is None else (*plans, theory)
    conditions = [
        describe_condition(plan, experiment, missing, evidence)
        for plan in all_plans
        for experiment in plan.experiments
    ]
    return {
        "format": FORMAT,
        "preset": first.preset,
        "seeds": list(first.seeds),
        "num_tests": num_intervals(CLAIMS),
        "level": LEVEL,
        "corrected_level": interval_level(CLAIMS),
        "rules_commit": last_commit(RULES),
        "missing": [
            f"{place}: seeds {', '.join(map(str, seeds))}"
            for place, seeds in missing.items()
        ],
        "summary": summarise(entries, first.preset, first.seeds) + family,
        "claims": entries,
        "conditions": conditions,
    }


def _command(plan: Plan, target: str = "reproduce") -> str:
    """Returns the command that repeats a reproduction, or another target."""
    parts = [f"make {target} PRESET={plan.preset} SEEDS={len(plan.seeds)}"]
    if keras.backend.backend() != "jax":
        parts.append(f"BACKEND={keras.backend.backend()}")
    if plan.seeds[0]:
        parts.append(f'ARGS="--first-seed {plan.seeds[0]}"')
    return " ".join(parts)


def summarise(
    entries: list[dict[str, Any]], preset: str, seeds: tuple[int, ...]
) -> str:
    """Counts the verdicts, in a sentence."""
    counts = pd.Series([e["verdict"] for e in entries]).value_counts()
    listed = "; ".join(
        f"{count} {verdict}" for verdict, count in counts.items()
    )
    return (
        f"{len(entries)} claims of Sinha 2024, preset {preset}, "
        f"{count_seeds(seeds)}: {listed}."
    )


def verdict_table(ledgers: dict[str, dict[str, Any]]) -> str:
    """Writes verdicts as a Markdown table.

    Args:
        ledgers: contents of claims.json by heading; further ones stand beside
            the first, whose first effect is shown.

    Returns:
        The table, one row per claim.
    """
    first, *others = ledgers.values()
    rows = [
        ["claim", "paper", "effect", *ledgers],
        ["---"] * (3 + len(ledgers)),
    ]
    for claim in first["claims"]:
        shown = claim["effects"][:1]
        effects = [f"{format_effect(e)} {e['name']}" for e in shown]
        same = [claim]
        for other in others:
            same += [c for c in other["claims"] if c["name"] == claim["name"]]
        source = claim["source"].removeprefix("Sinha 2024, ")
        verdicts = [each["verdict"] for each in same]
        rows.append([claim["title"], source, *(effects or [""]), *verdicts])
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return lines.replace("->", " → ").replace("\u00a0", " ")


def show(console: Console, ledger: dict[str, Any]) -> None:
    """Prints the verdicts."""
    table = Table("claim", "verdict", "because", title=ledger["summary"])
    for claim in ledger["claims"]:
        table.add_row(claim["title"], claim["verdict"], claim["because"])
    console.print(table)
    for line in ledger["missing"]:
        console.print(f"missing: {line}", style="bold")
