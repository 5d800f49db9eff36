"""Contrasts: thresholds of two conditions compared."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiny_gpt.analysis.statistics import Interval, require_level
from tiny_gpt.analysis.thresholds import Threshold, expanded_tail
from tiny_gpt.sweep.collect import axes_of_map, text_of
from tiny_gpt.sweep.grid import Sweep

FAMILY_LEVEL = 0.95  # of all intervals of one sweep together


@dataclass(frozen=True)
class Contrast:
    """The ratio of two thresholds.

    Attributes:
        at: values of the axes that both have in common.
        axis: the axis in which they differ.
        over: values of this axis, that of the numerator first.
        log_ratio: natural logarithm of the ratio, with its interval.
        level: confidence of the interval.
    """

    at: Mapping[str, Any]
    axis: str
    over: tuple[Any, Any]
    log_ratio: Interval
    level: float


def compare_thresholds(
    above: Threshold, below: Threshold, level: float = 0.95
) -> Interval:
    """Returns ln(above / below) with its interval.

    It is the percentile bootstrap over the seeds that both share, with the
    tails of `thresholds.expanded_tail`. If a resample leaves a threshold
    between two ends, each end of the ratio takes the one that makes the
    interval wider. A threshold outside the grid leaves the ratio open on that
    side.

    Args:
        above: threshold in the numerator.
        below: threshold in the denominator, of the same seeds and resamples.
        level: confidence, in (0, 1).

    Returns:
        The interval. Its value is NaN if both thresholds are outside the
        grid on one side; its ends are NaN with a single seed.

    Raises:
        ValueError: if the numbers of resamples differ.
    """
    require_level(level)
    sizes = len(above.low_draws), len(below.low_draws)
    if sizes[0] != sizes[1]:
        raise ValueError(
            "Both thresholds must have the same resamples of the seeds. "
            f"Received: {sizes[0]} and {sizes[1]}"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        lows = np.log(above.low_draws) - np.log(below.high_draws)
        highs = np.log(above.high_draws) - np.log(below.low_draws)
        value = float(np.log(above.value) - np.log(below.value))
    num_seeds = min(above.num_seeds, below.num_seeds)
    if num_seeds < 2:
        return Interval(value, math.nan, math.nan)
    first = int(expanded_tail(level, num_seeds) * (len(lows) - 1))
    low, high = np.sort(lows)[first], np.sort(highs)[-1 - first]
    return Interval(
        value, float(np.fmin(low, value)), float(np.fmax(high, value))
    )


def fit_contrasts(
    sweep: Sweep, thresholds: Mapping[tuple[Any, ...], Threshold]
) -> list[Contrast]:
    """Compares the second value of each axis of words with the first.

    All intervals together hold at `FAMILY_LEVEL` (Bonferroni).

    Args:
        sweep: the sweep.
        thresholds: result of `collect.fit_thresholds`.

    Returns:
        A contrast for each axis of words with exactly two values, at each
        point of the others at which both have a threshold.
    """
    numbers, words = axes_of_map(sweep.axes)
    others = [axis for axis in sweep.axes if axis not in numbers[:1]]
    pairs = []
    for axis in words:
        if len(sweep.axes[axis]) != 2:
            continue
        place = others.index(axis)
        below, above = map(text_of, sweep.axes[axis])
        for point, found in thresholds.items():
            other = (*point[:place], above, *point[place + 1 :])
            if point[place] == below and other in thresholds:
                at = dict(zip(others, point, strict=True))
                del at[axis]
                pairs.append((at, axis, (above, below), other, found))
    level = 1 - (1 - FAMILY_LEVEL) / max(len(pairs), 1)
    return [
        Contrast(
            at,
            axis,
            over,
            compare_thresholds(thresholds[other], found, level),
            level,
        )
        for at, axis, over, other, found in pairs
    ]


def describe_contrast(found: Contrast) -> Mapping[str, Any]:
    """Returns JSON types: None for an end that is open."""
    ends = {"ratio": found.log_ratio.value}
    ends.update(low=found.log_ratio.low, high=found.log_ratio.high)
    return {
        "at": dict(found.at),
        "axis": found.axis,
        "over": list(found.over),
        "level": found.level,
        **{
            name: math.exp(value) if math.isfinite(value) else None
            for name, value in ends.items()
        },
    }
