"""Methods that find events in a curve."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import ruptures

from tiny_gpt.analysis.changes import find_changes
from tiny_gpt.analysis.events import find_loss_drops

MIN_SIZE = 0.05

Found = list[tuple[float, float]]  # last epoch before it, epoch of the report
Finder = Callable[[np.ndarray, str], Found]


def by_detector(threshold: float, drift: float) -> Finder:
    """Returns our method."""

    def find(values: np.ndarray, direction: str) -> Found:
        changes = find_changes(
            values,
            direction=direction,
            min_size=MIN_SIZE,
            threshold=threshold,
            drift=drift,
        )
        return [(c.start, c.time) for c in changes]

    return find


def by_threshold(window: int) -> Finder:
    """Returns the plain threshold at its default size."""

    def find(values: np.ndarray, direction: str) -> Found:
        losses = values if direction == "fall" else -values
        drops = find_loss_drops(list(losses), window=window)
        return [(float(d.epoch - window), float(d.epoch)) for d in drops]

    return find


def by_segments(kernel: str, is_increments: bool, penalty: float) -> Finder:
    """Returns optimal segmentation of the values or of their increments.

    The penalty of a break is `penalty` ln n, times the variance of the noise
    for the linear kernel (squared error). A break counts if the level falls
    by `MIN_SIZE`, or if the new slope falls that far beyond the old one.
    """

    def find(values: np.ndarray, direction: str) -> Found:
        losses = values if direction == "fall" else -values
        steps = np.diff(losses)
        series = steps if is_increments else losses
        cost = penalty * math.log(len(series))
        if kernel == "linear":
            deviations = np.abs(steps - np.median(steps))
            sd = max(1.4826 * np.median(deviations) / 2**0.5, MIN_SIZE / 4)
            cost *= sd**2 * (2 if is_increments else 1)
        fitted = ruptures.KernelCPD(kernel=kernel, min_size=2).fit(series)
        ends = [0, *map(int, fitted.predict(pen=cost))]
        means = [series[a:b].mean() for a, b in pairwise(ends)]
        found: Found = []
        for i in range(1, len(means)):
            fall = means[i - 1] - means[i]
            if is_increments:
                fall *= ends[i + 1] - ends[i]
            if fall >= MIN_SIZE:
                start = float(ends[i] + is_increments)
                found.append((start, start + 1.0))
        return found

    return find
