"""Numbers by seed that measures are made of, and words of several claims."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tiny_gpt.claims.evidence import (
    BySeed,
    Evidence,
    average,
    by_seed,
    series,
    strip,
)
from tiny_gpt.claims.measure import FRACTION, Values

CHANCE = 1 / 8
LEARNED = 0.5  # of words; four times chance
MASTERED = 0.9
NOTHING = 0.01
MARGIN = 0.05  # differences of accuracies below this count as none
MOST = 0.5  # of the seeds: a success is the rule, not the exception
UNSEEN = "A->C, words of unseen sentences"
SPARSE = "triangle/sparse_a_to_c"

OF_ACCURACY = (
    "5 points are less than half a word of a list of 8 (12.5 points): a "
    "smaller difference would not change what is said about any list."
)
OF_SHARES = (
    "Accuracies fall into two groups, so seeds are counted. A seed succeeds "
    "above 50 %, four times chance. More than half of all seeds is the least "
    "that 'the model does it' can mean; it takes 18 of 20 seeds."
)

OF_RANKS = (
    "Most answers below the ceiling are words of another language, so the "
    "rank of the right word within its own language is compared (1 is best). "
    "Half a rank is what one word in two that moves by one place makes."
)
HALF_A_RANK = 0.5
IN_LANGUAGE = "accuracy_in_language"
TRANSLATED = (
    "share of words that are right when only words of the target language "
    "may be answered: teacher-forced, unseen sentences; the choice of the "
    "language is left out"
)


def final(
    place: str,
    mapping: str = "A->C",
    metric: str = "accuracy_aligned",
    tier: str = "unseen_sentences",
    prompt: str | None = None,
) -> Values:
    """Returns the reader of a number of the exact evaluation.

    Args:
        place: experiment and condition.
        mapping: mapping of the questions.
        metric: one of `tiers.exact_rows`.
        tier: words that count.
        prompt: name of the prompt; None for the main one.
    """
    return lambda evidence: evidence.final(place, mapping, metric, tier, prompt)


def measured(place: str, **columns: str) -> Values:
    """Returns the reader of a number of a measurement.

    Args:
        place: "theory" and the name of the measurement.
        **columns: values of the columns that single it out.
    """
    return lambda evidence: by_seed(evidence.rows(place, **columns))


def later(first: BySeed, second: BySeed) -> BySeed:
    """Returns the greater of two times, seed by seed."""
    return {seed: max(first[seed], second[seed]) for seed in first}


def mean_of(parts: Sequence[Values]) -> Values:
    """Returns the reader of the mean of several numbers, seed by seed."""
    return lambda evidence: average([part(evidence) for part in parts])


def crossing(times, values, threshold: float) -> float:
    """Returns when a curve first reaches a threshold, interpolated.

    Returns:
        A time, linear between two measurements; inf if it is not reached.
    """
    values = np.asarray(values, float)
    reached = np.flatnonzero(values >= threshold)
    if not len(reached):
        return math.inf
    i = int(reached[0])
    if i == 0:
        return float(times[0])
    share = (threshold - values[i - 1]) / (values[i] - values[i - 1])
    return float(times[i - 1] + share * (times[i] - times[i - 1]))


def crossings(curves: Mapping[int, pd.Series], threshold: float) -> BySeed:
    """Returns the epoch at which each seed's curve reaches a threshold.

    One that never does counts as one epoch after the last.
    """
    return {
        seed: min(
            crossing(curve.index, curve.to_numpy(), threshold),
            float(curve.index.max()) + 1,
        )
        for seed, curve in curves.items()
    }


def epochs_of(
    evidence: Evidence,
    label: str,
    curves: Mapping[int, pd.Series],
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> dict[str, Any]:
    """Describes one line of a figure over epochs."""
    x = sorted(next(iter(curves.values())).index)
    values = [{s: float(c[e]) for s, c in curves.items()} for e in x]
    return series(evidence, label, [int(e) for e in x], values, bounds)


def dots(
    axis: str,
    groups: Mapping[str, Values],
    lines: Mapping[str, float] | None = None,
    bounds: tuple[float, float] = FRACTION,
):
    """Returns a figure with one dot per seed and group, for a claim."""

    def figure(evidence: Evidence) -> dict[str, Any]:
        read = {label: values(evidence) for label, values in groups.items()}
        return strip(evidence, axis, read, lines, bounds)

    return figure
