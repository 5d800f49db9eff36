"""What a claim is, and how a family of them is decided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tiny_gpt.analysis.statistics import corrected_level
from tiny_gpt.claims.evidence import (
    UNDECIDED,
    Decision,
    Evidence,
    MissingRunsError,
)

LEVEL = 0.95  # for all intervals of a family together
QUICK, PAPER = "quick", "paper"
UNSEEN_RUNS = "Written before any run of these conditions."


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes:
        name: short name, also that of its section in the report.
        title: the claim in our words.
        statement: what the paper says.
        source: where.
        decided_on: `QUICK`, the runs under test, or `PAPER`.
        conditions: experiment and condition of each run that tests it.
        statistic: what is compared.
        rule: how it is decided.
        rule_history: what had been seen when the rule was written.
        num_intervals: intervals that the rule compares.
        decide: the rule.
    """

    name: str
    title: str
    statement: str
    source: str
    decided_on: str
    conditions: tuple[str, ...]
    statistic: str
    rule: str
    rule_history: str
    num_intervals: int
    decide: Callable[[Evidence], Decision]


def num_intervals(claims: Sequence[Claim]) -> int:
    """Returns the intervals that all rules together compare."""
    return sum(claim.num_intervals for claim in claims)


def interval_level(claims: Sequence[Claim]) -> float:
    """Returns the level of each, so that all hold together at `LEVEL`."""
    return corrected_level(LEVEL, num_intervals(claims))


def decide_all(
    claims: Sequence[Claim], evidence: Evidence, command: str
) -> list[dict[str, Any]]:
    """Applies every rule.

    Args:
        claims: a family, which shares one level of its intervals.
        evidence: frames of the runs.
        command: command that repeats them, put beside each claim.

    Returns:
        One entry per claim, in their order, as
        `tiny_gpt.report.page.render_report` reads it.
    """
    entries = []
    for claim in claims:
        try:
            decision = claim.decide(evidence)
        except MissingRunsError as error:
            decision = Decision(UNDECIDED, f"Runs are missing: {error}.")
        entries.append(
            {
                "name": claim.name,
                "title": claim.title,
                "statement": claim.statement,
                "source": claim.source,
                "decided_on": claim.decided_on,
                "conditions": list(claim.conditions),
                "statistic": claim.statistic,
                "rule": claim.rule,
                "rule_history": claim.rule_history,
                "verdict": decision.verdict,
                "because": decision.because,
                "num_seeds": decision.num_seeds,
                "effects": decision.effects,
                "figure": decision.figure,
                "command": command,
            }
        )
    return entries
