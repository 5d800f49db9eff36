"""Rules: what the intervals of a claim must be for each outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.report.schema import EXPLANATIONS, OBSERVATIONS

CONFIRMED, NOT_CONFIRMED, UNDECIDED = OBSERVATIONS
SUPPORTED, NOT_NEEDED, CONTRADICTED, OPEN, UNTESTED = EXPLANATIONS


@dataclass(frozen=True)
class Condition:
    """A measure's whole interval on one side of a limit, or between two.

    Attributes:
        measure: name of the measure.
        low: the interval starts above it; None for no such limit.
        high: the interval ends below it; None for no such limit.
    """

    measure: str
    low: float | None = None
    high: float | None = None

    def holds(self, interval: Interval) -> bool:
        """Tells whether the whole interval lies where it should.

        An interval with ends of NaN, as of one seed, lies nowhere.
        """
        is_low = self.low is None or interval.low > self.low
        return is_low and (self.high is None or interval.high < self.high)

    def describe(self, unit: str) -> str:
        """Returns the condition in words, e.g. "X > 5.0 points"."""
        low, high = (
            None if x is None else _limit(x, unit)
            for x in (self.low, self.high)
        )
        if low is None:
            return f"[{self.measure}] < {high}"
        if high is None:
            return f"[{self.measure}] > {low}"
        return f"{low} < [{self.measure}] < {high}"


def _limit(value: float, unit: str) -> str:
    """Writes a limit with all its digits."""
    if unit in ("fraction", "difference"):
        is_percent = unit == "fraction"
        text = f"{100 * value:.6g} {'%' if is_percent else 'points'}"
    else:
        name = {"nats": " nats", "epochs": " epochs", "ratio": " ×"}
        text = f"{value:.6g}{name.get(unit, '')}"
    return text.replace("-", "−")


def above(measure: str, limit: float) -> Condition:
    """The whole interval lies above a limit."""
    return Condition(measure, low=limit)


def below(measure: str, limit: float) -> Condition:
    """The whole interval lies below a limit."""
    return Condition(measure, high=limit)


def within(measure: str, low: float, high: float) -> Condition:
    """The whole interval lies between two limits: equivalence."""
    return Condition(measure, low, high)


@dataclass(frozen=True)
class Case:
    """When an outcome is concluded.

    Attributes:
        outcome: the outcome.
        any_of: alternatives; in one of them all conditions hold.
    """

    outcome: str
    any_of: tuple[tuple[Condition, ...], ...]

    def holds(self, intervals: Mapping[str, Interval]) -> bool:
        """Tells whether it is concluded from intervals by measure."""
        return any(
            all(c.holds(intervals[c.measure]) for c in conditions)
            for conditions in self.any_of
        )


def case(outcome: str, *conditions: Condition) -> Case:
    """Returns the case that needs all conditions."""
    return Case(outcome, (conditions,))


def either(outcome: str, *alternatives: tuple[Condition, ...]) -> Case:
    """Returns the case that needs one of several groups of conditions."""
    return Case(outcome, alternatives)


@dataclass(frozen=True)
class Rule:
    """Outcomes in order: the first that holds is concluded.

    Attributes:
        cases: when each is concluded.
        otherwise: the outcome if none holds.
    """

    cases: tuple[Case, ...]
    otherwise: str

    def decide(self, intervals: Mapping[str, Interval]) -> str:
        """Returns the outcome for intervals by name of the measure."""
        for each in self.cases:
            if each.holds(intervals):
                return each.outcome
        return self.otherwise

    @property
    def measures(self) -> frozenset[str]:
        """Names of the measures that are compared."""
        return frozenset(
            condition.measure
            for each in self.cases
            for conditions in each.any_of
            for condition in conditions
        )

    @property
    def content(self) -> list[Any]:
        """All that the rule depends on: outcomes, measures, exact limits."""
        cases = [
            [each.outcome]
            + [
                [[c.measure, repr(c.low), repr(c.high)] for c in conditions]
                for conditions in each.any_of
            ]
            for each in self.cases
        ]
        return [*cases, self.otherwise]

    def describe(self, units: Mapping[str, str]) -> str:
        """Returns the rule in words.

        Args:
            units: unit by name of the measure.
        """
        parts = []
        for each in self.cases:
            alternatives = [
                " and ".join(c.describe(units[c.measure]) for c in conditions)
                for conditions in each.any_of
            ]
            parts.append(f"{each.outcome} if {', or if '.join(alternatives)}")
        return "; ".join([*parts, f"otherwise {self.otherwise}"])


def observed(*cases: Case) -> Rule:
    """Returns the rule of an observation: undecided if no case holds."""
    return Rule(cases, UNDECIDED)


def explained(*cases: Case) -> Rule:
    """Returns the rule of an explanation: undecided if no case holds."""
    return Rule(cases, OPEN)
