"""Times to an event over seeds, some of which never reach it."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from tiny_gpt.analysis.statistics import (
    Interval,
    as_array,
    median_interval,
    require,
    require_level,
)


def time_to_threshold(
    times: Sequence[float], values: Sequence[float], threshold: float
) -> float:
    """Returns the first time at which a curve is at or above a threshold.

    Args:
        times: when the curve was measured, e.g. epochs, increasing.
        values: the curve, the same length.
        threshold: value to reach; nothing is interpolated.

    Returns:
        One of `times`; inf if not reached, i.e. censored at the last one.

    Raises:
        ValueError: if `times` do not increase, or the lengths differ.
    """
    axis, curve = as_array("times", times), as_array("values", values)
    is_met = len(axis) == len(curve) and bool((np.diff(axis) > 0).all())
    rule = "`times` must increase, one for each value"
    require(is_met, rule, times=times, values=values)
    reached = axis[curve >= as_array("threshold", [threshold])]
    return float(reached[0]) if len(reached) else math.inf


def median_time(
    times: Sequence[float], last_time: float, level: float = 0.95
) -> Interval:
    """Returns the median time over seeds, including those that never arrive.

    It is the first t at which the Kaplan-Meier estimate of P(time > t) is at
    most 1/2 (Kaplan and Meier 1958), inf if there is none. The ends of the
    interval are two of the ordered times (`median_interval`). Since all seeds
    are censored at the same time, it is exact and never covers less than
    `level`. It needs 6 seeds at 0.95, 10 at 0.997; fewer give NaN.

    Args:
        times: one per seed, shape (R,), as from `time_to_threshold`.
        last_time: when every seed stopped; inf in `times` means later.
        level: confidence, in (0, 1).

    Raises:
        ValueError: if there is no time, one is NaN or after `last_time`.
    """
    require_level(level)
    array = np.asarray(times, dtype=float)
    is_censored = array == math.inf
    observed = as_array("times", np.where(is_censored, last_time, array))
    is_met, rule = observed.max() <= last_time, "No time is after `last_time`"
    require(is_met, rule, times=times, last_time=last_time)
    sample = stats.CensoredData.right_censored(observed, is_censored)
    survival = stats.ecdf(sample).sf
    is_past = survival.probabilities <= 0.5 + 1e-9  # it is a rounded product
    median = min(survival.quantiles[is_past], default=math.inf)
    ends = median_interval(array, level)
    low = np.minimum(ends.low, last_time)  # NaN stays NaN
    return Interval(float(median), float(low), ends.high)
