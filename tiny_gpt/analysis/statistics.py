"""Statistics over a few seeds: intervals and paired differences."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """An estimate and its ends: NaN for too few seeds, infinite if open."""

    value: float
    low: float
    high: float


def require(is_met: bool, rule: str, **received: object) -> None:
    """Raises a ValueError that names the rule and what was received."""
    if not is_met:
        listed = ", ".join(f"{name}={v}" for name, v in received.items())
        raise ValueError(f"{rule}. Received: {listed}")


def require_level(level: float) -> None:
    """Raises a ValueError unless a confidence is in (0, 1)."""
    require(0 < level < 1, "`level` must lie between 0 and 1", level=level)


def as_array(name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Returns numbers as an array; raises a ValueError if one is not finite."""
    array = np.asarray(values, dtype=float)
    is_met = array.ndim == 1 and array.size > 0 and np.isfinite(array).all()
    rule = f"`{name}` must be one or more finite numbers"
    require(bool(is_met), rule, **{name: values})
    return array


def _is_constant(array: np.ndarray) -> bool:
    # Equal up to rounding: 0.1 + 0.2 and 0.3 are no spread over seeds.
    return bool(np.ptp(array) <= 1e-12 * np.abs(array).max())


def t_interval(
    values: Sequence[float],
    level: float = 0.95,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """Returns the mean over seeds and its interval, with Student's t.

    mean -+ t s / sqrt(n), t the (1 + level) / 2 quantile for n - 1 degrees
    of freedom (Student 1908), cut off at `bounds`. It is exact for normal
    values and too narrow for skewed ones. The percentile bootstrap is too
    narrow for both (Efron and Tibshirani 1993, ch. 14).

    One value v gives (v, NaN, NaN), and every comparison with NaN is false.
    n equal values v show no spread, and seeds that differ may only not have
    been drawn. A share p of such seeds stays unseen with probability
    (1 - p)^n, so that at this level p <= q = 1 - ((1 - level) / 2)^(1/n), and
    the mean lies within v - q (v - low) and v + q (high - v), with the
    `bounds` low and high. Without finite bounds the ends are NaN.

    Args:
        values: one number per seed, shape (R,).
        level: confidence, in (0, 1).
        bounds: least and greatest possible value, e.g. (0, 1) for accuracy.

    Raises:
        ValueError: if there is no value, or one not finite or out of bounds.
    """
    array = np.sort(as_array("values", values))  # same bits in any order
    require_level(level)
    is_within = bounds[0] <= array[0] and array[-1] <= bounds[1]
    rule = "`values` must lie within `bounds`"
    require(is_within, rule, values=values, bounds=bounds)
    n = len(array)
    if n == 1:
        return Interval(float(array[0]), math.nan, math.nan)
    if _is_constant(array):
        return _interval_of_equal(float(np.median(array)), n, level, bounds)
    mean, error = array.mean(), stats.sem(array)
    ends = stats.t.interval(level, n - 1, mean, error)
    low, high = np.clip(ends, *bounds)
    return Interval(float(mean), float(low), float(high))


def _interval_of_equal(
    value: float, n: int, level: float, bounds: tuple[float, float]
) -> Interval:
    unseen = 1.0 - ((1.0 - level) / 2) ** (1 / n)
    low, high = (value + unseen * (end - value) for end in bounds)
    if not (math.isfinite(low) and math.isfinite(high)):
        return Interval(value, math.nan, math.nan)
    return Interval(value, low, high)


def bootstrap_interval(
    values: Sequence[float], statistic: str = "median", level: float = 0.95
) -> Interval:
    """Returns the mean or median over seeds and its percentile bootstrap.

    The ends are the quantiles (1 -+ level) / 2 of the statistic over 10,000
    fixed resamples (Efron and Tibshirani 1993, ch. 13). Use it to describe,
    and the `t_interval` to decide: with few seeds the bootstrap covers the
    mean less often. One value v gives (v, NaN, NaN).

    Args:
        values: one number per seed, shape (R,).
        statistic: "mean" or "median".
        level: confidence, in (0, 1).

    Raises:
        ValueError: if there is no value, one is not finite, or `statistic` is
            unknown.
    """
    array = np.sort(as_array("values", values))  # same bits in any order
    require_level(level)
    functions: dict[str, Callable[..., Any]] = {
        "mean": np.mean,
        "median": np.median,
    }
    rule = "`statistic` must be 'mean' or 'median'"
    require(statistic in functions, rule, statistic=repr(statistic))
    function = functions[statistic]
    value = float(function(array))
    if len(array) == 1:
        return Interval(value, math.nan, math.nan)
    if _is_constant(array):
        return Interval(value, value, value)
    ends = stats.bootstrap(
        (array,),
        function,
        confidence_level=level,
        n_resamples=10_000,
        method="percentile",
        rng=0,
    ).confidence_interval
    return Interval(value, float(ends.low), float(ends.high))


def median_interval(
    values: Sequence[float] | np.ndarray, level: float = 0.95
) -> Interval:
    """Returns the median over seeds and its interval, by the sign test.

    The ends are two of the ordered values (Conover 1999, sec. 3.2). Nothing
    is assumed of the distribution but that seeds are independent; the
    interval never covers less than `level`. It needs 6 seeds at 0.95 and 10
    at 0.997; fewer give NaN.

    Args:
        values: one per seed, shape (R,); infinite ones are the largest and
            the smallest. NaN is a value of which nothing is known: each end
            counts it where it makes the interval wider.
        level: confidence, in (0, 1).

    Raises:
        ValueError: if there is no value.
    """
    require_level(level)
    array = np.asarray(values, dtype=float)
    rule = "`values` must be one or more numbers"
    require(array.ndim == 1 and array.size > 0, rule, values=values)
    lowest, highest = (
        np.sort(np.where(np.isnan(array), end, array))
        for end in (-math.inf, math.inf)
    )
    medians = [_middle(part) for part in (lowest, highest)]
    ends = [
        stats.quantile_test(part, p=0.5).confidence_interval(level)
        for part in (lowest, highest)
    ]
    return Interval(
        medians[0] if medians[0] == medians[1] else math.nan,
        float(ends[0].low),
        float(ends[1].high),
    )


def _middle(array: np.ndarray) -> float:
    """Returns the median of sorted values, of which some may be infinite."""
    n = len(array)
    low, high = float(array[(n - 1) // 2]), float(array[n // 2])
    return low if low == high else (low + high) / 2


def wilson_interval(
    num_successes: int, num_trials: int, level: float = 0.95
) -> Interval:
    """Returns a share, e.g. of seeds that succeed, and its Wilson interval.

    It holds all p with |k/n - p| <= z sqrt(p (1 - p) / n), z the
    (1 + level) / 2 normal quantile (Wilson 1927). Its width is not 0 if k is
    0 or n.

    Args:
        num_successes: k, at most `num_trials`.
        num_trials: n, at least 1.
        level: confidence, in (0, 1).

    Raises:
        ValueError: if the counts or `level` are outside their range.
    """
    return _proportion(num_successes, num_trials, level, "wilson")


def _proportion(
    num_successes: int, num_trials: int, level: float, method: str
) -> Interval:
    require_level(level)
    is_met = 0 <= num_successes <= num_trials and num_trials >= 1
    rule = "`num_successes` must be 0 to `num_trials`, and that at least 1"
    require(is_met, rule, num_successes=num_successes, num_trials=num_trials)
    test = stats.binomtest(num_successes, num_trials)
    low, high = test.proportion_ci(level, method=method)
    return Interval(num_successes / num_trials, float(low), float(high))


def exact_binomial_interval(
    num_successes: int, num_trials: int, level: float = 0.95
) -> Interval:
    """Returns a share, e.g. of seeds that succeed, and its exact interval.

    It holds the true probability with at least this level, whatever it is
    (Clopper and Pearson 1934): its ends are the probabilities at which as
    many successes or more, or as many or fewer, have probability
    (1 - level) / 2. 20 of 20 gives 0.71 to 1 at a level of 0.998.

    Args:
        num_successes: k, at most `num_trials`.
        num_trials: n, at least 1.
        level: confidence, in (0, 1).

    Raises:
        ValueError: if the counts or `level` are outside their range.
    """
    return _proportion(num_successes, num_trials, level, "exact")


def bimodality_coefficient(values: Sequence[float]) -> float:
    """Returns Sarle's bimodality coefficient; 5/9 for many uniform values.

    (g^2 + 1) / (k + 3 (n - 1)^2 / ((n - 2) (n - 3))), with g the skewness and
    k the excess kurtosis, both corrected for n (SAS/STAT; Pfister et al.
    2013).

    Args:
        values: one number per seed, shape (R,).

    Raises:
        ValueError: if there are fewer than 4 values, all are equal, or one is
            not finite.
    """
    array, n = as_array("values", values), len(values)
    rule = "`values` must be at least 4 and not all equal"
    require(n >= 4 and not _is_constant(array), rule, values=values)
    skewness = stats.skew(array, bias=False)
    kurtosis = stats.kurtosis(array, bias=False)
    correction = 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))
    return float((skewness**2 + 1) / (kurtosis + correction))


def is_bimodal(values: Sequence[float]) -> bool:
    """Tells whether seeds look like two groups: coefficient above 5/9.

    This is a hint, not a test (Pfister et al. 2013). It is never true below 6
    seeds, misses two groups of equal size below 10, and takes skewness or a
    single outlier for a second group.

    Args:
        values: one number per seed, shape (R,); equal ones are one group.

    Raises:
        ValueError: if there is no value, or one not finite.
    """
    array = as_array("values", values)
    is_too_few = len(array) < 4 or _is_constant(array)
    return not is_too_few and bimodality_coefficient(values) > 5 / 9


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], level: float = 0.95
) -> tuple[Interval, float]:
    """Returns the mean of first - second over the same seeds, and a p-value.

    The interval is the `t_interval`. The two-sided p-value is that of flipping
    the sign of each difference (Fisher 1935, sec. 21): all 2^n flips up to 13
    seeds, 9,999 fixed random ones beyond. It is never below 2 / 2^n: 0.0625
    for 5 seeds, however large the difference.

    Args:
        first: value by seed.
        second: value by seed, for the same seeds.
        level: confidence of the interval, in (0, 1).

    Raises:
        ValueError: if the seeds differ, or a value is missing or not finite.
    """
    unpaired = sorted(first.keys() ^ second.keys())
    require(not unpaired, "Both need the same seeds", unpaired=unpaired)
    differences = [first[seed] - second[seed] for seed in sorted(first)]
    interval = t_interval(differences, level)
    if len(differences) == 1:
        return interval, 1.0  # SciPy refuses one difference
    test = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", rng=0
    )
    return interval, float(test.pvalue)


def corrected_level(level: float, num_tests: int) -> float:
    """Returns the level of each of several tests.

    1 - (1 - level) / num_tests (Bonferroni; Dunn 1961). All intervals then
    hold together with probability at least `level`.

    Args:
        level: confidence for all of them, in (0, 1).
        num_tests: how many, at least 1.

    Raises:
        ValueError: if an argument is outside its range.
    """
    require_level(level)
    rule = "`num_tests` must be at least 1"
    require(num_tests >= 1, rule, num_tests=num_tests)
    return 1.0 - (1.0 - level) / num_tests
