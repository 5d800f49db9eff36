"""Verdicts: thresholds that rules share, and how a verdict is made.

A rule compares intervals with thresholds, which are constants in this module.
All were written before the runs that they judge. Each claim says which figures
had been seen by then.
"""

import math

import numpy as np

from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.claims.evidence import (
    NOT_TESTED,
    REFUTED,
    REPRODUCED,
    UNDECIDED,
    Decision,
    Evidence,
    series,
    within_bounds,
)

CHANCE = 1 / 8
LEARNED = 0.5  # of words; four times chance
NOTHING = 0.01
MASTERED = 0.9
MARGIN = 0.05  # accuracies closer than this count as equal
UNSEEN = "A->C, words of unseen sentences"
SPARSE = "triangle/sparse_a_to_c"


def verdict_of(is_so: bool, is_not: bool) -> str:
    return REPRODUCED if is_so else REFUTED if is_not else UNDECIDED


def decide(
    evidence: Evidence, verdict: str, because: str, effects, figure=None
) -> Decision:
    seeds = len(evidence.seeds)
    if seeds < 2 and verdict != NOT_TESTED:
        verdict = UNDECIDED
        because = f"One seed is never a verdict. {because}"
    return Decision(verdict, because, effects, figure, seeds)


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


def epochs_of(evidence: Evidence, label: str, curves, bounds=None):
    x = sorted(next(iter(curves.values())).index)
    values = [{s: float(c[e]) for s, c in curves.items()} for e in x]
    free = (-math.inf, math.inf)
    return series(evidence, label, [int(e) for e in x], values, bounds or free)


def epochs_text(interval: Interval) -> str:
    ends = f" ({interval.low:.1f} to {interval.high:.1f})"
    return (
        f"{interval.value:.1f} epochs{'' if math.isnan(interval.low) else ends}"
    )


def signed(difference: Interval) -> str:
    """Returns a difference in points, e.g. "+3.1 (-1.0 to +7.2)"."""
    interval = within_bounds(difference)
    value, low, high = (
        100 * x for x in (interval.value, interval.low, interval.high)
    )
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
