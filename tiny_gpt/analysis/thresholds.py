"""Where success begins: thresholds along samples, medians over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from tiny_gpt.analysis.statistics import (
    as_array,
    require,
    require_level,
)

NUM_RESAMPLES = 2000
MOST_STEPS = 100  # of Newton's method


@dataclass(frozen=True)
class Threshold:
    """The number of samples at which half of all seeds succeed.

    Attributes:
        value: samples; 0 if it lies below the grid, inf if above, NaN if
            success does not rise with samples.
        low: lower end of the interval; 0 if open.
        high: upper end of the interval; inf if open.
        slope: of the log-odds, per factor e of samples.
        p_value: of the logistic form against any other (likelihood ratio);
            NaN where nothing is left to test.
        censoring: "none", "below", "above" or "does not rise".
        low_draws: lower end of each bootstrap resample, shape (N,).
        high_draws: upper end of each, shape (N,).
    """

    value: float
    low: float
    high: float
    slope: float
    p_value: float
    censoring: str
    low_draws: np.ndarray = field(repr=False, compare=False)
    high_draws: np.ndarray = field(repr=False, compare=False)


def fit_threshold(
    samples: Sequence[float] | np.ndarray,
    is_success: np.ndarray,
    level: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
) -> Threshold:
    """Fits P(success) = 1 / (1 + exp(-slope (ln x - ln threshold))).

    By the likelihood with Firth's penalty, 1/2 ln |information| (Firth 1993;
    Heinze and Schemper 2002), which is finite where successes and failures
    are separated. The interval is the percentile bootstrap over whole seeds
    (Efron and Tibshirani 1993, ch. 13), the same resamples in every call with
    as many seeds. Where a resample is separated, the grid does not tell more
    than between which two of its values the threshold lies, and both count
    as ends. A threshold outside the grid is censored, not extrapolated.

    Args:
        samples: x, e.g. sentence pairs, positive and increasing, shape (X,).
        is_success: 1, 0, or NaN for no run, shape (R, X).
        level: confidence, in (0, 1).
        num_resamples: resamples of the seeds, N.

    Raises:
        ValueError: if there are fewer than two values of x, or they do not
            increase, or one has no run.
    """
    require_level(level)
    x = as_array("samples", samples)
    outcomes = np.asarray(is_success, float)
    rises = len(x) > 1 and x[0] > 0 and bool((np.diff(x) > 0).all())
    rule = "`samples` must be two or more positive numbers that increase"
    require(rises, rule, samples=samples)
    is_met = outcomes.ndim == 2 and outcomes.shape[1] == len(x)
    is_met = is_met and bool(
        np.isin(outcomes[~np.isnan(outcomes)], (0, 1)).all()
    )
    rule = "`is_success` must be 1, 0 or NaN, a row per seed and a column per x"
    require(is_met, rule, shape=outcomes.shape)
    there = (~np.isnan(outcomes)).astype(float)
    require(bool(there.any(axis=0).all()), "Each x must have a run", x=samples)
    num_seeds = len(outcomes)
    picks = np.random.default_rng(0).integers(
        num_seeds, size=(num_resamples, num_seeds)
    )
    rows = np.concatenate([np.arange(num_seeds)[None], picks])
    successes = np.nan_to_num(outcomes)[rows].sum(axis=1)  # (1 + N, X)
    counts = there[rows].sum(axis=1)
    log_x = np.log(x)
    offset, slope = _fit_logistic(log_x, successes, counts)
    low, high, censoring = _ends(x, successes, counts, offset, slope)
    lows, highs = np.sort(low[1:]), np.sort(high[1:])
    tail = (1 - level) / 2
    first = int(np.floor(tail * (num_resamples - 1)))
    value = math.nan
    if censoring[0] != "does not rise":
        value = float(np.sqrt(low[0] * high[0])) if low[0] > 0 else 0.0
        value = math.inf if math.isinf(high[0]) else value
    return Threshold(
        value,
        float(min(lows[first], low[0])),
        float(max(highs[num_resamples - 1 - first], high[0])),
        float(slope[0]),
        _fit_p_value(log_x, successes[0], counts[0], offset[0], slope[0]),
        str(censoring[0]),
        low[1:],
        high[1:],
    )


def _fit_logistic(
    log_x: np.ndarray, successes: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Maximises the penalised likelihood of each row, by Newton's method.

    Args:
        log_x: shape (X,).
        successes: shape (N, X).
        counts: shape (N, X).

    Returns:
        Intercepts and slopes, each of shape (N,).
    """
    centre, scale = log_x.mean(), log_x.std()
    z = (log_x - centre) / scale
    a, b = np.zeros((2, len(successes)))
    for _ in range(MOST_STEPS):
        p = 1 / (1 + np.exp(-np.clip(a[:, None] + b[:, None] * z, -30, 30)))
        w = counts * p * (1 - p)
        aa, ab, bb = w.sum(axis=1), (w * z).sum(axis=1), (w * z**2).sum(axis=1)
        determinant = np.maximum(aa * bb - ab**2, 1e-12)
        # Diagonal of the hat matrix: weight times variance of the log-odds.
        leverage = bb[:, None] - 2 * ab[:, None] * z + aa[:, None] * z**2
        leverage *= w / determinant[:, None]
        score = successes - counts * p + leverage * (0.5 - p)
        u, v = score.sum(axis=1), (score * z).sum(axis=1)
        step = np.stack([bb * u - ab * v, aa * v - ab * u]) / determinant
        size = np.abs(step).max(axis=0)
        step /= np.maximum(size, 1.0)  # no step above 1
        a, b = a + step[0], b + step[1]
        if size.max() < 1e-10:
            break
    return a - b * centre / scale, b / scale


def _ends(x, successes, counts, offset, slope):
    """Returns both ends of each threshold, and how it is censored."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        root = np.exp(-offset / slope)
    low, high = root.copy(), root.copy()
    has_failure, has_success = successes < counts, successes > 0
    last_failure = _last(has_failure & (counts > 0))
    first_success = len(x) - 1 - _last((has_success & (counts > 0))[:, ::-1])
    any_failure, any_success = has_failure.any(axis=1), has_success.any(axis=1)
    is_separated = any_failure & any_success & (last_failure < first_success)
    low = np.where(is_separated, x[last_failure], low)
    high = np.where(is_separated, x[first_success], high)
    censoring = np.full(len(root), "none", dtype=object)
    is_below = ~any_failure | (~is_separated & (root < x[0]) & (slope > 0))
    is_above = ~any_success | (~is_separated & (root > x[-1]) & (slope > 0))
    is_flat = any_failure & any_success & (slope <= 0)
    is_flat |= ~any_failure & ~any_success  # a resample without a run
    for mask, name, first, last in (
        (is_below, "below", 0.0, x[0]),
        (is_above, "above", x[-1], math.inf),
        (is_flat, "does not rise", 0.0, math.inf),
    ):
        censoring[mask], low[mask], high[mask] = name, first, last
    return low, high, censoring


def _last(mask: np.ndarray) -> np.ndarray:
    """Returns the last place of True in each row; 0 if there is none."""
    places = np.where(mask, np.arange(mask.shape[1]), 0)
    return places.max(axis=1)


def _fit_p_value(log_x, successes, counts, offset, slope) -> float:
    is_used = counts > 0
    degrees = int(is_used.sum()) - 2
    if degrees < 1:
        return math.nan
    k, n = successes[is_used], counts[is_used]
    p = 1 / (1 + np.exp(-(offset + slope * log_x[is_used])))
    p = np.clip(p, 1e-12, 1 - 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.nan_to_num(k * np.log(k / (n * p)), nan=0.0)
        rest = (n - k) * np.log((n - k) / (n * (1 - p)))
        parts += np.nan_to_num(rest, nan=0.0)
    return float(stats.chi2.sf(2 * parts.sum(), degrees))


def median_intervals(
    values: np.ndarray, level: float = 0.95, num_resamples: int = NUM_RESAMPLES
) -> np.ndarray:
    """Returns medians over seeds with their percentile bootstrap.

    As `bootstrap_interval`, for many cells at once; all have the same
    resamples of the seeds.

    Args:
        values: shape (C, R), NaN for no run.
        level: confidence, in (0, 1).
        num_resamples: resamples of the seeds.

    Returns:
        Median, low and high, shape (C, 3); NaN for a cell without a run, NaN
        ends for one with a single run.
    """
    require_level(level)
    values = np.asarray(values, float)
    found = np.full((len(values), 3), math.nan)
    counts = (~np.isnan(values)).sum(axis=1)
    for count in sorted(set(counts[counts > 0].tolist())):
        rows = np.flatnonzero(counts == count)
        there = np.sort(values[rows], axis=1)[:, :count]  # NaN sort last
        found[rows, 0] = np.median(there, axis=1)
        if count == 1:
            continue
        picks = np.random.default_rng(0).integers(
            count, size=(num_resamples, count)
        )
        for row, cell in zip(rows, there, strict=True):
            medians = np.median(cell[picks], axis=1)
            tails = (1 - level) / 2, (1 + level) / 2
            found[row, 1:] = np.quantile(medians, tails)
    return found
