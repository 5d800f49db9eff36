"""The ledger of a reproduction: verdicts and conditions."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import pandas as pd
from rich.console import Console
from rich.table import Table

from tiny_gpt.claims.claim import Family, decide_all
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.claims.protocol import protocol_of
from tiny_gpt.commands.outputs import evidence_of
from tiny_gpt.commands.plan import Plan, count_seeds
from tiny_gpt.commands.reporting.conditions import describe_condition
from tiny_gpt.commands.reproduction import Reproduction
from tiny_gpt.report.schema import FORMAT
from tiny_gpt.report.typeset import format_effect


def build_ledger(
    protocol: Reproduction,
    plans: tuple[Plan, ...],
    metrics: pd.DataFrame,
    missing: dict[str, list[int]],
    theory: Plan | None = None,
) -> dict[str, Any]:
    """Decides every claim and describes every condition.

    Args:
        protocol: the claims.
        plans: what was run.
        metrics: metrics frame of all plans.
        missing: missing seeds, by experiment and condition.
        theory: runs that test the theory; None to leave its claims out.

    Returns:
        The ledger, as `tiny_gpt.report.page.render_report` reads it.
    """
    first, main = plans[0], protocol.family
    paper = metrics
    if first.preset != "paper":
        paper = pd.read_csv(protocol.paper_metrics)
    evidence = evidence_of(plans, metrics, paper, main.interval_level)
    families = {
        family: claims
        for family, claims in protocol.families.items()
        if theory is not None or family.target != "theory"
    }
    entries = []
    for family, claims in families.items():
        of_family = dataclasses.replace(evidence, level=family.interval_level)
        command = command_of(family.target, first.preset, first.seeds)
        entries += decide_all(claims, of_family, command)
    for entry in entries:
        entry["more_figures"] = protocol.more_figures(entry["name"], evidence)
    all_plans = plans if theory is None else (*plans, theory)
    found = protocol_of(
        protocol.page, protocol.rules, protocol.families, first.seeds
    )
    return {
        **describe_runs(all_plans, missing, evidence),
        "kind": found["kind"],
        "level": main.level,
        "protocol": found,
        "families": [describe_family(family) for family in families],
        "summary": summarise(entries, first.preset, first.seeds, found["kind"]),
        "claims": entries,
    }


def describe_runs(
    plans: Sequence[Plan], missing: dict[str, list[int]], evidence: Evidence
) -> dict[str, Any]:
    """Returns the part of a ledger that does not depend on claims."""
    return {
        "format": FORMAT,
        "preset": plans[0].preset,
        "seeds": list(plans[0].seeds),
        "missing": [
            f"{place}: seeds {', '.join(map(str, seeds))}"
            for place, seeds in missing.items()
        ],
        "conditions": [
            describe_condition(
                plan.study,
                experiment,
                missing.get(f"{experiment.name}/{experiment.condition}", []),
                evidence,
            )
            for plan in plans
            for experiment in plan.experiments
        ],
    }


def describe_family(family: Family) -> dict[str, Any]:
    """Returns name, size and level of a family."""
    return {
        "name": family.name,
        "title": family.title,
        "num_claims": len(family.claims),
        "num_intervals": family.num_intervals,
        "interval_level": family.interval_level,
    }


def command_of(target: str, preset: str, seeds: tuple[int, ...]) -> str:
    """Returns the command that repeats a target with these seeds."""
    parts = [f"make {target} PRESET={preset} SEEDS={len(seeds)}"]
    if keras.backend.backend() != "jax":
        parts.append(f"BACKEND={keras.backend.backend()}")
    if seeds[0]:
        parts.append(f'ARGS="--first-seed {seeds[0]}"')
    return " ".join(parts)


def summarise(
    entries: list[dict[str, Any]],
    preset: str,
    seeds: tuple[int, ...],
    kind: str,
) -> str:
    """Counts the verdicts, in two sentences."""
    # Of published curves and arithmetic alone: no seed can change it.
    fixed = [e for e in entries if not e["num_intervals"]]
    observed = _count([e["observation"] for e in entries])
    explained = _count(
        [e["explanation"] for e in entries if e["explanation"] is not None]
    )
    return (
        f"{len(entries)} claims, preset {preset}, {count_seeds(seeds)}, "
        f"{kind}; {len(fixed)} of them rest on published curves or arithmetic "
        f"and need no seed. Observations: {observed}. Explanations: "
        f"{explained}."
    )


def _count(outcomes: list[str]) -> str:
    counts = pd.Series(outcomes, dtype=str).value_counts()
    listed = [f"{count} {outcome}" for outcome, count in counts.items()]
    return "; ".join(listed) or "none"


def verdict_table(ledgers: dict[str, dict[str, Any]]) -> str:
    """Writes verdicts as a Markdown table.

    Args:
        ledgers: contents of claims.json by heading. The first shows its first
            effect; the verdicts of the others follow in further columns.

    Returns:
        The table, one row per claim.
    """
    first, *others = ledgers.values()
    rows = [
        ["claim", "paper", "effect", *(f"{x}" for x in ledgers)],
        ["---"] * (3 + len(ledgers)),
    ]
    for claim in first["claims"]:
        shown = claim["effects"][:1]
        effects = [f"{e['name']}: {format_effect(e)}" for e in shown]
        same = [claim]
        for other in others:
            same += [c for c in other["claims"] if c["name"] == claim["name"]]
        source = claim["source"].removeprefix("Sinha 2024, ")
        verdicts = [verdict_in_words(each) for each in same]
        rows.append([claim["title"], source, *(effects or [""]), *verdicts])
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return lines.replace("->", " → ").replace("\u00a0", " ")


def verdict_in_words(claim: dict[str, Any]) -> str:
    """Returns both parts, e.g. "**confirmed**; explanation: not needed"."""
    words = f"**{claim['observation']}**"
    if claim["explanation"] is None:
        return words
    return f"{words}; explanation: {claim['explanation']}"


def show(console: Console, ledger: dict[str, Any]) -> None:
    """Prints the verdicts."""
    table = Table(
        *("claim", "observation", "explanation", "because"),
        title=ledger["summary"],
    )
    for claim in ledger["claims"]:
        verdict = claim["observation"], claim["explanation"] or ""
        table.add_row(claim["title"], *verdict, claim["because"])
    console.print(table)
    for line in ledger["missing"]:
        console.print(f"missing: {line}", style="bold")
