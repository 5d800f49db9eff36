"""What the claims of a ledger say: missing runs, numbers that decide."""

import re
from collections.abc import Sequence
from typing import Any

from tiny_gpt.report.typeset import format_number

HOLDS, FAILS, OPEN = "What holds", "What does not", "What is open"


def lacks_runs(claim: dict[str, Any]) -> bool:
    """Tells whether a claim is undecided because its runs are missing."""
    return bool(claim["because"].startswith("Runs are missing"))


def is_compared(claim: dict[str, Any], effect: dict[str, Any]) -> bool:
    """Tells whether a rule of a claim compares an effect."""
    name = f"[{effect['name']}]"
    return any(name in rule for rule in claim["rules"].values())


def answer_of(claim: dict[str, Any]) -> tuple[str, str]:
    """Returns what a claim comes to, and the part of the verdict that says so.

    A claim fails if it is not observed, or if the cause that it gives is
    contradicted or not needed. It holds if it is observed and its cause, if it
    gives one, is supported, and is open otherwise.

    Returns:
        `HOLDS`, `FAILS` or `OPEN`; and "observation" or "explanation".
    """
    if lacks_runs(claim):
        return OPEN, "observation"
    if claim["observation"] == "not confirmed":
        return FAILS, "observation"
    if claim["explanation"] in ("contradicted", "not needed"):
        return FAILS, "explanation"
    if claim["observation"] != "confirmed":
        return OPEN, "observation"
    if claim["explanation"] in (None, "supported"):
        return HOLDS, "observation"
    return OPEN, "explanation"


def decisive(
    claim: dict[str, Any], parts: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Returns the effects that made the outcome, at most two of each part.

    Those are effects that the rule of the outcome compares; of an open one,
    the first rule. Effects that all rules of a part compare alike, such as
    that a mapping is known, are conditions of the question and left out if
    others are there.

    Args:
        claim: one of the ledger.
        parts: "observation", "explanation" or both; by default all that have
            rules.
    """
    names: list[str] = []
    for part in parts or claim["rules"]:
        compared = _compared(claim["rules"][part])
        outcome = (
            claim[part] if claim[part] in compared else next(iter(compared))
        )
        own = [name for name in compared[outcome] if name not in names]
        telling = [n for n in own if not _is_alike(n, list(compared.values()))]
        names += (telling or own)[:2]
    by_name = {effect["name"]: effect for effect in claim["effects"]}
    return [by_name[name] for name in names if name in by_name]


def write_truth(claim: dict[str, Any], truth: str) -> str:
    """Writes the numbers of a simulated truth in the units of the claim.

    Args:
        claim: one of the ledger.
        truth: for example "seeds above 50 % = 0.95; rank = 1".
    """
    units = {effect["name"]: effect["unit"] for effect in claim["effects"]}
    written = []
    for part in truth.split("; "):
        name, _, value = part.rpartition(" = ")
        if name in units:
            part = f"{name} = {format_number(value, units[name])}"
        written.append(part)
    return "; ".join(written)


def _compared(rules: str) -> dict[str, dict[str, list[str]]]:
    """Returns the limits of each effect in words, by outcome and effect."""
    found: dict[str, dict[str, list[str]]] = {}
    names: list[str] = []

    def number(match: re.Match) -> str:
        names.append(match[1])
        return f"[{len(names) - 1}]"

    for rule in re.sub(r"\[([^]]*)\]", number, rules).split("; "):
        outcome, has_limits, limits = rule.partition(" if ")
        if not has_limits:
            continue  # "otherwise undecided"
        for limit in re.split(" and |, or if ", limits):
            for index in re.findall(r"\[(\d+)\]", limit):
                of_outcome = found.setdefault(outcome, {})
                said = limit.replace(f"[{index}]", "it")
                of_outcome.setdefault(names[int(index)], []).append(said)
    return found


def _is_alike(name: str, outcomes: list[dict[str, list[str]]]) -> bool:
    """Tells whether several outcomes compare an effect, all in one way."""
    limits = [outcome[name] for outcome in outcomes if name in outcome]
    return len(limits) > 1 and len({tuple(each) for each in limits}) == 1
