"""Claims, and the families in which they are decided."""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
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
class Family:
    """A group of claims whose intervals hold together.

    A family is fixed before the runs that decide it: one more claim would
    widen the intervals of the others. A new claim brings a family of its own.

    Attributes:
        name: e.g. "section_3".
        claims: names of its claims, in the order of the report.
        num_intervals: intervals that their rules compare.
        target: command that runs their conditions, "reproduce" or "theory".
        level: confidence of all intervals together.
    """

    name: str
    claims: tuple[str, ...]
    num_intervals: int
    target: str = "reproduce"
    level: float = LEVEL

    @property
    def interval_level(self) -> float:
        """Level of each interval (Bonferroni's correction)."""
        return corrected_level(self.level, self.num_intervals)

    def ordered(self, claims: Sequence["Claim"]) -> tuple["Claim", ...]:
        """Returns its claims in the order of the report.

        Raises:
            ValueError: if they are not the claims that the family names.
        """
        by_name = {claim.name: claim for claim in claims}
        count = sum(claim.num_intervals for claim in claims)
        is_whole = sorted(self.claims) == sorted(c.name for c in claims)
        if not is_whole or count != self.num_intervals:
            raise ValueError(
                f"The family {self.name!r} is fixed to {len(self.claims)} "
                f"claims of {self.num_intervals} intervals; a new claim "
                "brings a family of its own. Received: claims "
                f"{sorted(set(by_name) ^ set(self.claims))} too many or "
                f"missing, {len(claims)} of {count} intervals"
            )
        return tuple(by_name[name] for name in self.claims)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the paper.

    Attributes:
        family: claims with which it is decided.
        name: short name, also that of its section in the report.
        title: the claim in our words.
        statement: what the paper says.
        source: where the paper says it.
        decided_on: `QUICK`, the runs under test, or `PAPER`.
        conditions: experiment and condition of each run that tests it.
        statistic: the quantity that is compared.
        rule: how it is decided.
        rule_history: what had been seen when the rule was written.
        num_intervals: intervals that the rule compares.
        decide: the rule as a function.
    """

    family: Family
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


def find_families(package: ModuleType) -> dict[Family, tuple[Claim, ...]]:
    """Finds the `CLAIMS` of every module below a package.

    Returns:
        Claims by family, families by name.

    Raises:
        ValueError: if a family is not whole (`Family.ordered`).
    """
    claims: dict[Family, list[Claim]] = {}
    prefix = f"{package.__name__}."
    for info in pkgutil.walk_packages(package.__path__, prefix):
        module = importlib.import_module(info.name)
        for claim in getattr(module, "CLAIMS", ()):
            claims.setdefault(claim.family, []).append(claim)
    families = sorted(claims, key=lambda family: family.name)
    return {family: family.ordered(claims[family]) for family in families}


def decide_all(
    claims: Sequence[Claim], evidence: Evidence, command: str
) -> list[dict[str, Any]]:
    """Applies every rule.

    Args:
        claims: a family, which shares one level of its intervals.
        evidence: frames of the runs.
        command: command that repeats the runs, shown with each claim.

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
