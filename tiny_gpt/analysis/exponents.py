"""Exponents: how thresholds scale, with warnings of what a grid cannot show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tiny_gpt.analysis.statistics import (
    Interval,
    as_array,
    require,
    require_level,
)
from tiny_gpt.analysis.thresholds import Threshold, expanded_tail

LEAST_POINTS = 4  # thresholds below which an exponent has a warning
DECADES = 2.0  # of either axis, below which a power law has one


@dataclass(frozen=True)
class Exponent:
    """A power law of thresholds: threshold = factor * axis ** exponent.

    Attributes:
        exponent: with its interval.
        factor: threshold at 1 on the axis.
        r_squared: share of the variance of ln threshold that it explains.
        exponential_r_squared: the same for threshold = a exp(b axis).
        num_points: thresholds that were fitted.
        warnings: what the grid cannot support, a line each.
    """

    exponent: Interval
    factor: float
    r_squared: float
    exponential_r_squared: float
    num_points: int
    warnings: tuple[str, ...]


def fit_exponent(
    values: Sequence[float],
    thresholds: Sequence[Threshold],
    level: float = 0.95,
) -> Exponent:
    """Fits a power law to thresholds by least squares of the logarithms.

    The interval is the percentile bootstrap over seeds, expanded for their
    number like that of a threshold. All values share the resamples of the
    seeds: each resample gives one threshold at each value, and one exponent.
    If a resample leaves a threshold between two ends, a random point between
    them is taken, on the log scale. Censored thresholds are left out, with a
    warning.

    Args:
        values: of the axis, e.g. alphabet sizes, positive, shape (Y,).
        thresholds: one for each value.
        level: confidence, in (0, 1).

    Returns:
        The fit; NaN if fewer than two thresholds are known. The ends of the
        interval are NaN for a single seed.

    Raises:
        ValueError: if the lengths differ, a value is not positive or occurs
            twice, or thresholds have different numbers of resamples.
    """
    require_level(level)
    axis = as_array("values", values)
    is_met = len(axis) == len(thresholds) and bool((axis > 0).all())
    is_met = is_met and len(set(axis.tolist())) == len(axis)
    rule = "`values` must be positive and differ, one for each threshold"
    require(is_met, rule, values=values, thresholds=len(thresholds))
    sizes = sorted({len(t.low_draws) for t in thresholds})
    rule = "All thresholds must have as many resamples"
    require(len(sizes) == 1, rule, resamples=sizes)
    is_known = np.array([t.censoring == "none" for t in thresholds])
    known = [t for t, k in zip(thresholds, is_known, strict=True) if k]
    warnings = _warn_of_grid(axis, thresholds, is_known)
    nan = math.nan
    if len(known) < 2:
        none = Interval(nan, nan, nan)
        return Exponent(none, nan, nan, nan, len(known), tuple(warnings))
    log_axis = np.log(axis[is_known])
    log_value = np.log([t.value for t in known])
    exponent, constant = np.polyfit(log_axis, log_value, 1)
    draws = _draw(known)  # (Y, N)
    is_whole = np.isfinite(draws).all(axis=0)
    centred = log_axis - log_axis.mean()
    slopes = np.sort(centred @ draws[:, is_whole] / (centred @ centred))
    low = high = nan
    num_seeds, lost = min(t.num_seeds for t in known), 1 - is_whole.mean()
    if len(slopes) and num_seeds > 1:
        tail = expanded_tail(level, num_seeds)
        first = int(tail * (len(slopes) - 1))
        low = min(slopes[first], exponent)
        high = max(slopes[-1 - first], exponent)
    if lost > (1 - level) / 2:
        warnings.append(
            f"{100 * lost:.0f} % of the resamples leave a threshold outside "
            "the grid; the interval is of the others, and too narrow"
        )
    power = _r_squared(log_axis, log_value)
    exponential = _r_squared(axis[is_known], log_value)
    if len(known) > 2 and exponential >= power:
        warnings.append("an exponential fits as well as a power law")
    return Exponent(
        Interval(float(exponent), float(low), float(high)),
        float(np.exp(constant)),
        power,
        exponential,
        len(known),
        tuple(warnings),
    )


def _draw(known: Sequence[Threshold]) -> np.ndarray:
    """Returns logarithms of the resampled thresholds, NaN where censored."""
    share = np.random.default_rng(0).random(
        (len(known), len(known[0].low_draws))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.log(np.array([t.low_draws for t in known]))
        high = np.log(np.array([t.high_draws for t in known]))
        return np.where(low == high, low, low + share * (high - low))


def _r_squared(x: np.ndarray, y: np.ndarray) -> float:
    if np.ptp(y) == 0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1] ** 2)


def _warn_of_grid(axis, thresholds, is_known) -> list[str]:
    warnings = []
    left_out = [
        f"{value:g} ({threshold.censoring})"
        for value, threshold in zip(axis, thresholds, strict=True)
        if threshold.censoring != "none"
    ]
    if left_out:
        warnings.append(
            "no threshold inside the grid at " + ", ".join(left_out)
        )
    if is_known.sum() < LEAST_POINTS:
        warnings.append(
            f"only {is_known.sum()} thresholds, fewer than {LEAST_POINTS}"
        )
    if is_known.sum() >= 2:
        found = np.array([t.value for t in thresholds])
        spans = [np.ptp(np.log10(v[is_known])) for v in (axis, found)]
        if min(spans) < DECADES - 1e-9:
            warnings.append(
                "axis and thresholds span factors of "
                f"{10 ** spans[0]:.3g} and {10 ** spans[1]:.3g}; below "
                f"{10**DECADES:g}, a power law cannot be told from another "
                "curve (Stumpf and Porter 2012)"
            )
    return warnings
