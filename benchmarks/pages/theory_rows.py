"""Rows of `theory_beside.py`: numbers by seed, with intervals."""

import math
import re

import pandas as pd

from experiments import theory
from tiny_gpt.claims.evidence import BySeed, Evidence, by_seed
from tiny_gpt.experiment import updates_per_epoch

FREE = (-math.inf, math.inf)
# Topics whose numbers are shares, but for differences, losses and cosines.
SHARES = (
    *("samples", "parts", "contexts", "prior", "lens", "use", "heads"),
    *("patched", "alignment", "delta", "one layer"),
)
Row = tuple[str, str, float, float, float]


class Rows:
    """Rows of one frame."""

    def __init__(self, evidence: Evidence):
        self.evidence = evidence

    def of(self, place: str, **columns: object) -> BySeed:
        """Returns one number of each seed."""
        return by_seed(self.evidence.rows(f"theory/{place}", **columns))

    def row(self, topic: str, what: str, values: BySeed) -> Row:
        """Returns a mean with its interval, within [0, 1] for shares."""
        is_share = topic in SHARES and not re.search(
            " - |nats|cosine|loss", what
        )
        bounds = (0.0, 1.0) if is_share else FREE
        if what.split(",")[0].endswith("_loss"):  # of accuracy
            bounds = (-1.0, 1.0)
        found = self.evidence.mean(values, bounds)
        return topic, what, found.value, found.low, found.high

    def times(self, topic: str, what: str, logs: BySeed) -> Row:
        """Returns a factor, from logarithms."""
        found = self.evidence.mean(logs, FREE)
        low, high = math.exp(found.low), math.exp(found.high)
        return topic, what, math.exp(found.value), low, high


def minus(first: BySeed, second: BySeed) -> BySeed:
    """Returns differences, seed by seed."""
    return {seed: first[seed] - second[seed] for seed in first}


def product(first: BySeed, second: BySeed) -> BySeed:
    """Returns products, seed by seed."""
    return {seed: first[seed] * second[seed] for seed in first}


def half(first: BySeed, second: BySeed) -> BySeed:
    """Returns means of two, seed by seed."""
    return {seed: (first[seed] + second[seed]) / 2 for seed in first}


def by_seed_max(rows: pd.DataFrame) -> BySeed:
    """Returns the greatest value of each seed."""
    return {
        int(str(seed)): float(part["value"].max())
        for seed, part in rows.groupby("seed")
    }


def never(times: BySeed, place: str) -> int:
    """Returns the number of seeds that ended without having learned."""
    experiment = theory.build_experiment("quick", place)
    last = updates_per_epoch(experiment) * experiment.train.num_epochs
    return sum(time >= last for time in times.values())


def alone(count: float) -> tuple[float, float, float]:
    """Returns a count, which has no interval."""
    return float(count), math.nan, math.nan
