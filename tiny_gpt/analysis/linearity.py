"""Linearity: how far the effect of a perturbation is from linear."""

from collections.abc import Callable, Sequence

import numpy as np

from tiny_gpt.analysis.statistics import require


def norm(x: np.ndarray) -> float:
    """Returns the root of the sum of squares of all numbers.

    On busy cores it is faster than `np.linalg.norm`, whose threads wait.
    """
    return float(np.sqrt((x * x).sum()))


def first_order_change(
    output: Callable[[complex], np.ndarray], step: float = 1e-30
) -> np.ndarray:
    """Returns the derivative of an output at epsilon = 0, without cancellation.

    Im output(i h) / h (Squire and Trapp 1998), for outputs that are
    analytic in epsilon.
    """
    return np.imag(output(1j * step)) / step


def departure(change: np.ndarray, slope: np.ndarray, epsilon: float) -> float:
    """Returns how far a change is from linear: |c - epsilon s| / |epsilon s|.

    Raises:
        ValueError: if the slope or epsilon is 0: there is no relative size.
    """
    size = norm(epsilon * slope)
    rule = "`slope` and `epsilon` must not be 0"
    require(size > 0, rule, epsilon=epsilon, size=size)
    return norm(change - epsilon * slope) / size


def log_log_slope(epsilons: Sequence[float], sizes: Sequence[float]) -> float:
    """Returns the least-squares slope of log size against log epsilon."""
    return float(np.polyfit(np.log(epsilons), np.log(sizes), 1)[0])


def breaking_epsilon(
    departure_at: Callable[[float], float],
    threshold: float,
    ends: tuple[float, float] = (1e-4, 1e3),
) -> float:
    """Finds the least epsilon at which a departure exceeds a threshold.

    Takes the first of 10 points per decade that exceeds it, then bisects.

    Args:
        departure_at: departure from linearity by epsilon.
        threshold: e.g. 0.1.
        ends: range of the search.

    Returns:
        Epsilon; the lower end if the departure already exceeds the threshold
        there, the upper end if it never does.
    """
    low, high = np.log10(ends)
    places = np.linspace(low, high, 1 + round(10 * (high - low)))
    above: float | None = None
    for place in places:
        if departure_at(10.0**place) > threshold:
            above = place
            break
    if above is None or above == low:
        return float(ends[0] if above is not None else ends[1])
    below = above - (places[1] - places[0])
    for _ in range(30):
        middle = (below + above) / 2
        if departure_at(10.0**middle) > threshold:
            above = middle
        else:
            below = middle
    return float(10.0**above)
