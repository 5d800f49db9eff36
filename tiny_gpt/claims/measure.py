"""Measures: numbers over seeds, each with the interval that rules compare."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from tiny_gpt.analysis.statistics import (
    Interval,
    exact_binomial_interval,
    median_interval,
    t_interval,
)
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.report.schema import UNITS
from tiny_gpt.runtime.checks import check_choice

KINDS = ("mean", "share", "ratio", "median", "constant")
MEAN, SHARE, RATIO, MEDIAN, CONSTANT = KINDS
FREE = (-math.inf, math.inf)
FRACTION = (0.0, 1.0)
DIFFERENCE = (-1.0, 1.0)
Values = Callable[[Evidence], BySeed]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number per seed, and the interval over seeds.

    Attributes:
        name: what it is, in words; unique within a claim.
        values: the number of each seed, from the evidence.
        unit: one of the report's `UNITS`.
        kind: "mean", the mean over seeds with Student's t; "share", the
            probability that a seed succeeds, with the exact binomial interval
            (Clopper and Pearson 1934); "ratio", the geometric mean, of values
            that are logarithms; "median", with the interval of the sign test,
            of values that may be infinite (or NaN, for an unknown one);
            "constant", a number that no seed changes,
            such as one of the published curves, without an interval.
        bounds: least and greatest possible value of a mean.
        above: of a share: a seed succeeds if its number is greater.
        below: of a share: a seed succeeds if its number is smaller.

    Raises:
        ValueError: if a choice is unknown, or a share has no success.
    """

    name: str
    values: Values
    unit: str = "fraction"
    kind: str = MEAN
    bounds: tuple[float, float] = FREE
    above: float | None = None
    below: float | None = None

    def __post_init__(self):
        check_choice("kind", self.kind, KINDS)
        check_choice("unit", self.unit, UNITS)
        has_success = (self.above is None) != (self.below is None)
        if has_success != (self.kind == SHARE):
            raise ValueError(
                "A share, and nothing else, has a success: `above` or "
                f"`below`. Received: {self.name!r}, kind={self.kind!r}, "
                f"above={self.above}, below={self.below}"
            )

    def is_success(self, value: float) -> bool:
        """Tells whether a seed with this number succeeds."""
        if self.above is not None:
            return value > self.above
        return self.below is not None and value < self.below

    def interval(self, values: BySeed, level: float) -> Interval:
        """Returns the estimate and its interval.

        Args:
            values: the number of each seed.
            level: confidence of the interval.
        """
        if self.kind == CONSTANT:
            (value,) = values.values()
            return Interval(value, value, value)
        if self.kind == SHARE:
            successes = sum(map(self.is_success, values.values()))
            return exact_binomial_interval(successes, len(values), level)
        if self.kind == MEDIAN:
            return median_interval(list(values.values()), level)
        mean = t_interval(list(values.values()), level, self.bounds)
        if self.kind == RATIO:
            return Interval(*map(math.exp, (mean.value, mean.low, mean.high)))
        return mean

    def describe(self) -> dict[str, object]:
        """Returns all that a rule depends on, but the code of `values`."""
        return {
            "name": self.name,
            "unit": self.unit,
            "kind": self.kind,
            "bounds": list(map(str, self.bounds)),
            "above": self.above,
            "below": self.below,
        }


def constant(
    name: str, number: Callable[[Evidence], float], unit: str
) -> Measure:
    """Returns a measure of one number that no seed changes."""
    return Measure(
        name=name,
        values=lambda evidence: {0: number(evidence)},
        unit=unit,
        kind=CONSTANT,
    )


def share(
    name: str,
    values: Values,
    *,
    above: float | None = None,
    below: float | None = None,
) -> Measure:
    """Returns the probability that a seed is above, or below, a threshold."""
    return Measure(
        name=name,
        values=values,
        kind=SHARE,
        bounds=FRACTION,
        above=above,
        below=below,
    )


def difference(
    name: str,
    first: Values,
    second: Values,
    unit: str = "difference",
    bounds: tuple[float, float] | None = None,
) -> Measure:
    """Returns the mean of first - second over the same seeds.

    Args:
        name: what it is, in words.
        first: number of each seed.
        second: number of each seed, for the same seeds.
        unit: "difference" for one of two fractions.
        bounds: least and greatest possible value; by default those of a
            difference of two fractions if the unit says so, else none.
    """
    if bounds is None:
        bounds = DIFFERENCE if unit == "difference" else FREE

    def values(evidence: Evidence) -> BySeed:
        return subtract(first(evidence), second(evidence))

    return Measure(name=name, values=values, unit=unit, bounds=bounds)


def subtract(first: BySeed, second: BySeed) -> BySeed:
    """Returns first - second, seed by seed.

    Raises:
        ValueError: if the seeds differ.
    """
    unpaired = sorted(first.keys() ^ second.keys())
    if unpaired:
        raise ValueError(
            f"Both need the same seeds. Received: unpaired={unpaired}"
        )
    return {seed: first[seed] - second[seed] for seed in first}
