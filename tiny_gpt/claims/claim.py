"""Claims, and the families in which they are decided."""

import contextlib
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tiny_gpt.analysis.statistics import Interval, corrected_level
from tiny_gpt.claims.evidence import (
    BySeed,
    Evidence,
    MissingRunsError,
    effect,
    strip,
)
from tiny_gpt.claims.measure import CONSTANT, SHARE, Measure
from tiny_gpt.claims.rule import UNDECIDED, Rule
from tiny_gpt.report.typeset import format_effect

LEVEL = 0.95  # for all intervals of a family together
QUICK, PAPER = "quick", "paper"


@dataclass(frozen=True)
class Family:
    """A group of claims whose intervals hold together: one published table.

    A family is fixed before the runs that decide it: one more claim would
    widen the intervals of the others. A new claim brings a family of its own.

    Attributes:
        name: e.g. "section_3".
        claims: names of its claims, in the order of the report.
        num_intervals: intervals that their rules compare.
        title: what the family is about.
        seeds: first and last of the seeds that decide it; None if none are
            reserved, so that all its verdicts are exploratory.
        target: command that runs their conditions, "reproduce", "theory", or
            that of an experiment, whose claims a reproduction leaves out.
        page: file of the protocol that lists the rules, beside that of the
            reproduction; empty for the reproduction's own.
        level: confidence of all intervals together.
    """

    name: str
    claims: tuple[str, ...]
    num_intervals: int
    title: str = ""
    seeds: tuple[int, int] | None = None
    target: str = "reproduce"
    page: str = ""
    level: float = LEVEL

    @property
    def interval_level(self) -> float:
        """Level of each interval (Bonferroni's correction)."""
        return corrected_level(self.level, self.num_intervals)

    @property
    def num_seeds(self) -> int:
        """Seeds that decide it, 0 if none are reserved."""
        return len(range(*self.seeds)) + 1 if self.seeds else 0

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
                f"missing, {len(claims)} claims of {count} intervals"
            )
        return tuple(by_name[name] for name in self.claims)


@dataclass(frozen=True)
class Scenario:
    """A truth at which the power of a rule is simulated.

    Attributes:
        outcome: what the rule should then conclude.
        truth: true value by measure: the smallest effect of interest. A
            measure that is not named keeps the mean that exploratory seeds
            have.
    """

    outcome: str
    truth: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the paper: a statement, its measures and its rules.

    Attributes:
        family: claims with which it is decided.
        name: short name, also that of its section in the report.
        title: the claim in our words.
        statement: what the paper says.
        source: where the paper says it.
        decided_on: `QUICK`, the runs under test, or `PAPER`.
        conditions: experiment and condition of each run that tests it.
        statistic: how the measures are made, in words.
        measures: numbers that the rules compare.
        shown: numbers that are shown, and decide nothing.
        observation: the rule of what is seen.
        cause: the explanation that the paper gives; empty for none.
        explanation: the rule of the explanation; None if the paper gives
            none, or if it is not tested.
        margin: why the limits are what they are.
        seen: what had been seen when the rules were written.
        scenarios: truths at which power is simulated.
        figure: describes the figure, as `report.page` reads it; by default
            one dot per seed of all fractions.

    Raises:
        ValueError: if a rule compares what is not a measure, two measures
            share a name, or an explanation lacks its cause.
    """

    family: Family
    name: str
    title: str
    statement: str
    source: str
    decided_on: str = QUICK
    conditions: tuple[str, ...]
    statistic: str
    measures: tuple[Measure, ...]
    shown: tuple[Measure, ...] = ()
    observation: Rule
    cause: str = ""
    explanation: Rule | None = None
    margin: str
    seen: str
    scenarios: tuple[Scenario, ...] = ()
    figure: Callable[[Evidence], dict[str, Any] | None] | None = None

    def __post_init__(self):
        names = [m.name for m in (*self.measures, *self.shown)]
        compared = self.observation.measures
        if self.explanation is not None:
            compared |= self.explanation.measures
        decisive = {measure.name for measure in self.measures}
        if len(set(names)) < len(names) or compared != decisive:
            raise ValueError(
                "The rules of a claim compare its measures, each by its own "
                f"name. Received: {self.name!r} with measures {names}, of "
                f"which {sorted(compared ^ decisive)} are not compared, or "
                "not there"
            )
        if self.explanation is not None and not self.cause:
            raise ValueError(
                "An explanation that is tested has a cause in words. "
                f"Received: {self.name!r} without"
            )

    @property
    def num_intervals(self) -> int:
        """Intervals that the rules compare."""
        return sum(m.kind != CONSTANT for m in self.measures)

    @property
    def rules(self) -> dict[str, str]:
        """Rules in words, by part of the verdict."""
        units = {measure.name: measure.unit for measure in self.measures}
        rules = {"observation": self.observation.describe(units)}
        if self.explanation is not None:
            rules["explanation"] = self.explanation.describe(units)
        return rules

    @property
    def hash(self) -> str:
        """SHA-256 of statement, measures, rules, runs, family and seeds.

        Sixteen hex digits. The code that computes a measure is not part of
        it; the commit of the protocol is.
        """
        content = {
            "name": self.name,
            "family": [
                self.family.name,
                self.family.num_intervals,
                self.family.level,
                list(self.family.seeds or ()),
                list(self.family.claims),
            ],
            "decided_on": self.decided_on,
            "conditions": sorted(self.conditions),
            "statistic": self.statistic,
            "measures": [m.describe() for m in self.measures],
            "observation": self.observation.content,
            "cause": self.cause,
            "explanation": self.explanation and self.explanation.content,
            "statement": self.statement,
            "margin": self.margin,
        }
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def decide(self, evidence: Evidence) -> "Decision":
        """Applies the rules.

        Args:
            evidence: frames of the runs, and the level of each interval.
        """
        try:
            values = {m.name: m.values(evidence) for m in self.measures}
        except MissingRunsError as error:
            return Decision(self, {}, {}, f"Runs are missing: {error}.")
        for measure in self.shown:  # decides nothing, and may be missing
            with contextlib.suppress(MissingRunsError):
                values[measure.name] = measure.values(evidence)
        intervals = {
            m.name: m.interval(values[m.name], evidence.level)
            for m in (*self.measures, *self.shown)
            if m.name in values
        }
        figure = None
        if self.figure is not None:
            with contextlib.suppress(MissingRunsError):
                figure = self.figure(evidence)
        elif fractions := self._fractions(values):
            figure = strip(evidence, "Accuracy", fractions)
        return Decision(self, values, intervals, "", figure)

    def _fractions(self, values: Mapping[str, BySeed]) -> dict[str, BySeed]:
        return {
            m.name: values[m.name]
            for m in (*self.measures, *self.shown)
            if m.unit == "fraction"
            and m.kind not in (CONSTANT, SHARE)
            and m.name in values
        }


@dataclass(frozen=True)
class Decision:
    """The result of applying the rules of a claim to the evidence.

    Attributes:
        claim: the claim.
        values: number of each seed by measure; empty if runs are missing.
        intervals: interval by measure.
        missing: which runs are missing, in a sentence; empty if none.
        figure: what to draw, as `report.page` reads it.
    """

    claim: Claim
    values: Mapping[str, BySeed]
    intervals: Mapping[str, Interval]
    missing: str = ""
    figure: dict[str, Any] | None = None

    @property
    def observation(self) -> str:
        """What is seen, one of `schema.OBSERVATIONS`."""
        if not self.intervals:
            return UNDECIDED
        return self.claim.observation.decide(self.intervals)

    @property
    def explanation(self) -> str | None:
        """The paper's explanation, one of `schema.EXPLANATIONS` or None."""
        rule = self.claim.explanation
        if rule is None:
            return "untested" if self.claim.cause else None
        return rule.decide(self.intervals) if self.intervals else rule.otherwise

    @property
    def num_seeds(self) -> int:
        """Seeds that every measure has."""
        counts = [
            len(self.values[m.name])
            for m in self.claim.measures
            if m.kind != CONSTANT and self.values
        ]
        return min(counts, default=0)

    @property
    def effects(self) -> list[dict[str, Any]]:
        """Name, value, low, high and unit of each number."""
        return [
            effect(m.name, self._shown(m), m.unit)
            for m in (*self.claim.measures, *self.claim.shown)
            if m.name in self.intervals
        ]

    def _shown(self, measure: Measure) -> Interval:
        found = self.intervals[measure.name]
        if measure.kind != CONSTANT:
            return found
        return Interval(found.value, float("nan"), float("nan"))

    @property
    def because(self) -> str:
        """The numbers that the rules compare, in a sentence."""
        if self.missing:
            return self.missing
        decisive = {measure.name for measure in self.claim.measures}
        said = "; ".join(
            f"{each['name']}: {format_effect(each)}"
            for each in self.effects
            if each["name"] in decisive
        )
        few = "One seed is never a verdict. " * (self.num_seeds == 1)
        return f"{few}{said}."


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
    """Applies the rules of every claim.

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
        decision = claim.decide(evidence)
        entries.append(
            {
                "name": claim.name,
                "family": claim.family.name,
                "title": claim.title,
                "statement": claim.statement,
                "source": claim.source,
                "decided_on": claim.decided_on,
                "conditions": list(claim.conditions),
                "statistic": claim.statistic,
                "rules": claim.rules,
                "margin": claim.margin,
                "seen": claim.seen,
                "observation": decision.observation,
                "cause": claim.cause,
                "explanation": decision.explanation,
                "because": decision.because,
                "num_seeds": decision.num_seeds,
                "num_intervals": claim.num_intervals,
                "effects": decision.effects,
                "figure": decision.figure,
                "command": command,
                "hash": claim.hash,
            }
        )
    return entries
