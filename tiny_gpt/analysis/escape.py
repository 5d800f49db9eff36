"""Escape from a plateau of the loss, and what is lost again after it."""

import math
from collections.abc import Sequence

import numpy as np

from tiny_gpt.analysis.statistics import as_array, require
from tiny_gpt.analysis.times import time_to_threshold


def escape_time(
    times: Sequence[float],
    losses: Sequence[float],
    plateau: float,
    floor: float,
    share: float = 0.5,
) -> float:
    """Returns when a loss has fallen by a share of the way to its floor.

    Args:
        times: when the loss was measured, increasing.
        losses: nats, the same length.
        plateau: loss of who has not learned it, e.g. log 8 for one of 8.
        floor: loss of the best reader, below the plateau.
        share: of the way from plateau to floor.

    Returns:
        The first of `times` at which the loss is at most
        plateau - share (plateau - floor); inf if it is not reached.

    Raises:
        ValueError: if `share` is not in (0, 1], `floor` is not below
            `plateau`, or `times` do not increase.
    """
    require(0 < share <= 1, "`share` must lie in (0, 1]", share=share)
    rule = "`floor` must lie below `plateau`"
    require(floor < plateau, rule, floor=floor, plateau=plateau)
    fall = plateau - as_array("losses", losses)
    # Rounding must not hide a loss that is at the threshold.
    least = share * (plateau - floor) * (1 - 1e-9)
    return time_to_threshold(times, fall.tolist(), least)


def share_lost(losses: Sequence[float], plateau: float) -> float:
    """Returns the share of the lowest loss's gain that is lost at the end.

    0 says that the last loss is the lowest one, 1 that it is back at the
    plateau, more that it is above: an ability was transient.

    Args:
        losses: nats, in order of time.
        plateau: loss of who has not learned it.

    Returns:
        (last - lowest) / (plateau - lowest); NaN if the loss was never below
        the plateau.
    """
    curve = as_array("losses", losses)
    gain = plateau - float(np.min(curve))
    return float(curve[-1] - curve.min()) / gain if gain > 0 else math.nan
