"""Change points: falls of a loss and jumps of an accuracy, found online."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

DIRECTIONS = ("fall", "rise")
# A line of 4 points leaves 2 degrees of freedom for its scale.
FEWEST = 4
# Three normal deviates of four lie within it.
NORMAL_QUARTILE = 1.1503493803760079


@dataclass(frozen=True)
class Change:
    """A fall of a loss or a rise of an accuracy.

    Attributes:
        start: last point before the change, e.g. an epoch counted from 1.
        end: point at which it was complete, as far as is known: the first
            one that is within a tenth of `size`, or half a scale of the
            noise, of `after`.
        time: point at which it was found, never before its second value.
        size: |before - after|, above the smallest size that counts.
        before: level at `start`, on the line through the values before it.
        after: level reached: the lowest running median of three, or the
            highest for a rise.
    """

    start: float
    end: float
    time: float
    size: float
    before: float
    after: float


class ChangeDetector:
    """Finds falls (or rises) of a noisy curve, one value at a time.

    Page's (1954) one-sided cumulative sum of studentised forecast errors:

        S = max(0, S + min(z - drift, threshold / 2)), found at S >= threshold

    z is the error of a straight line. The line goes through the last `window`
    values before S left 0 and has the median of all slopes (Theil 1950; Sen
    1968). The error is standardised as a recursive residual (Brown, Durbin
    and Evans 1975), by the scale of the values about the line. It is carried
    from Student's t to the normal (Wallace 1959), so that a few values weigh
    less, as in Hawkins' (1987) self-starting sum. The start is the last point
    at which S was 0 (Page 1954). After it the line is kept fixed, lest it
    follow the change.

    We differ from the sources in five points:

    - One value counts for half the threshold at most, and the running median
      of three must have moved by `min_size`. An outlier is no change.
    - A line against the watched direction is taken as flat: a rising loss is
      no reason to expect a further rise.
    - The scale comes from the upper quartile of the absolute errors, divided
      by that of normal ones. Their median is 0 for a coarse accuracy that is
      mostly 0.
    - The scale is at least a quarter of `min_size`.
    - A change that is not found within `window` values is the new normal.

    A loss that decays ever more slowly stays above its line: no change. The
    way back from a spike is no change either: the level reached must also
    pass the best known level by `min_size`, once half a window of values is
    known. The line follows a slow drift. Nothing is found in the first four
    values, and in the first four from the end of a change on.

    Only the past counts, so the changes are the same while training as
    afterwards. A change that was found is only extended, never taken back.
    There is no state to save: a run that continues feeds its earlier values
    again.

    Args:
        direction: "fall" for a loss, "rise" for an accuracy.
        min_size: smallest change that counts, in the unit of the values.
        threshold: h, sum at which a change is found. The defaults of it and
            of `drift` were calibrated to at most 1 false alarm in 1000 epochs
            (docs/runs/detection).
        drift: k, what a change must exceed per value, in scales.
        window: values through which the line goes, at most.

    Attributes:
        changes: the changes found so far, in order.

    Raises:
        ValueError: if an argument is outside its range.
    """

    def __init__(
        self,
        direction: str = "fall",
        min_size: float = 0.05,
        threshold: float = 6.0,
        drift: float = 1.0,
        window: int = 16,
    ):
        if direction not in DIRECTIONS:
            raise ValueError(
                "`direction` must be 'fall' or 'rise'. "
                f"Received: direction={direction!r}"
            )
        _require_above_zero("min_size", min_size)
        _require_above_zero("threshold", threshold)
        _require_above_zero("drift", drift)
        if window < FEWEST:
            raise ValueError(
                f"`window` must be at least {FEWEST}. Received: window={window}"
            )
        self._sign = 1.0 if direction == "fall" else -1.0
        self._min_size = min_size
        self._threshold = threshold
        self._drift = drift
        self._window = window
        self.reset()

    def reset(self) -> None:
        """Forgets every value and every change, for a new curve."""
        self.changes: list[Change] = []
        # (time, value) with falls downwards: those the line goes through, and
        # those after the last point at which the sum was 0.
        self._line: list[tuple[float, float]] = []
        self._pending: list[tuple[float, float]] = []
        self._sum = 0.0
        self._scale = 0.0
        self._lowest = math.inf
        self._known: Change | None = None  # the change that is going on
        self._last_time = -math.inf

    def update(self, value: float, time: float) -> Change | None:
        """Takes the next value of the curve.

        Args:
            value: loss or accuracy. NaN and infinite values are skipped, e.g.
                of epochs without an evaluation.
            time: point at which it was measured, e.g. the epoch.

        Returns:
            The change that this value found or extended; None if none.

        Raises:
            ValueError: if `time` is not after the one before.
        """
        if not self._last_time < time < math.inf:
            raise ValueError(
                "`time` must be finite and increase. "
                f"Received: time={time} after {self._last_time}"
            )
        self._last_time = float(time)
        if not math.isfinite(value):
            return None
        point = (float(time), self._sign * float(value))
        if self._known is not None:
            self._pending.append(point)
            return self._extend(self._known)
        if len(self._line) < FEWEST:
            self._line.append(point)
            return None
        return self._test(point)

    def _test(self, point: tuple[float, float]) -> Change | None:
        times, values = np.array(self._line).T
        line = forecast(times, values, point[0])
        scale = self._scale_of(line)
        self._scale = max(scale, self._min_size / 4)
        error = (line.value - point[1]) / line.spread / self._scale
        z = normal_from_t(error, line.freedom)
        gain = min(z - self._drift, self._threshold / 2)
        self._sum = max(0.0, self._sum + gain)
        self._pending.append(point)
        if len(values) * 2 >= self._window:  # fewer values are no level yet
            self._lowest = min(self._lowest, line.last)
        level = min(self._lowest, line.last)
        after = self._median_of_three()
        if self._sum >= self._threshold and after < level - self._min_size:
            start, before = float(times[-1]), self._sign * line.last + 0.0
            found = Change(start, start, point[0], 0.0, before, before)
            self.changes.append(found)
            return self._extend(found)
        if self._sum == 0.0 or len(self._pending) >= self._window:
            self._line = [*self._line, *self._pending][-self._window :]
            self._pending = []
            self._sum = 0.0
        return None

    def _scale_of(self, line: "Forecast") -> float:
        """Returns the scale of the noise that errors are measured by."""
        return line.scale

    def _extend(self, known: Change) -> Change | None:
        after = min(self._sign * known.after, self._median_of_three())
        size = self._sign * known.before - after
        near = after + max(size / 10, self._scale / 2)
        is_reached = [value <= near for _, value in self._pending]
        place = is_reached.index(True)
        change = replace(
            known,
            end=self._pending[place][0],
            size=size,
            after=self._sign * after + 0.0,  # no -0.0
        )
        self.changes[-1] = self._known = change
        if len(self._pending) - place >= FEWEST:
            self._line = self._pending[place:]
            self._lowest = min(self._lowest, after)
            self._pending = []
            self._sum = 0.0
            self._known = None
        return None if change == known else change

    def _median_of_three(self) -> float:
        last = [*self._line[-2:], *self._pending][-3:]
        return sorted(value for _, value in last)[1]


def find_changes(
    values: Sequence[float] | np.ndarray,
    times: Sequence[float] | np.ndarray | None = None,
    direction: str = "fall",
    min_size: float = 0.05,
    threshold: float = 6.0,
    drift: float = 1.0,
    window: int = 16,
) -> list[Change]:
    """Finds falls (or rises) of a whole curve with a `ChangeDetector`.

    Args:
        values: the curve, shape (E,); values that are not finite are skipped.
        times: when it was measured, increasing; 1, 2, ... by default.
        direction: "fall" for a loss, "rise" for an accuracy.
        min_size: smallest change that counts, in the unit of the values.
        threshold: sum at which a change is found.
        drift: what a change must exceed per value, in scales.
        window: values through which the line goes, at most.

    Returns:
        The changes, in order.

    Raises:
        ValueError: if an argument is outside its range, `times` do not
            increase, or the lengths differ.
    """
    if times is None:
        times = range(1, len(values) + 1)
    if len(times) != len(values):
        raise ValueError(
            "`times` must have one entry for each value. "
            f"Received: {len(times)} times, {len(values)} values"
        )
    detector = ChangeDetector(direction, min_size, threshold, drift, window)
    for value, time in zip(values, times, strict=True):
        detector.update(value, time)
    return detector.changes


def normal_from_t(t: float, freedom: int) -> float:
    """Returns the normal deviate about as extreme as Student's t.

    z = (8n + 1) / (8n + 3) sqrt(n ln(1 + t^2 / n)) for n degrees of freedom
    (Wallace 1959), with the sign of t. Up to z = 4 it is below the exact
    deviate by at most 0.21 for n = 2, and by at most 0.12 from n = 3 on.

    Args:
        t: deviate of Student's distribution.
        freedom: n, at least 1.
    """
    n = freedom
    z = math.sqrt(n * math.log1p(t * t / n)) * (8 * n + 1) / (8 * n + 3)
    return math.copysign(z, t)


@dataclass(frozen=True)
class Forecast:
    """The forecast of a straight line.

    Attributes:
        value: the forecast.
        spread: standard error of the forecast error, in scales.
        scale: of the values about the line.
        freedom: degrees of freedom of the scale.
        last: the line at its last point.
    """

    value: float
    spread: float
    scale: float
    freedom: int
    last: float


def forecast(times: np.ndarray, values: np.ndarray, time: float) -> Forecast:
    """Continues the falling or level line through some values.

    Args:
        times: points in time, increasing, at least 4.
        values: values at these times.
        time: when the forecast is for.
    """
    num = len(values)
    first, second = np.triu_indices(num, 1)
    rises = values[second] - values[first]
    slope = min(0.0, _quantile(rises / (times[second] - times[first]), 1 / 2))
    # A flat line takes one degree of freedom, any other two.
    freedom = num - 2 if slope < 0 else num - 1
    centred = times - times.mean()
    middle = _quantile(values - slope * centred, 1 / 2)
    residuals = np.abs(values - middle - slope * centred)
    # The line passes through about as many values as it has parameters.
    kept = np.sort(residuals)[num - freedom :]
    ahead = time - times.mean()
    variance = 1.0 + 1.0 / num
    if slope < 0:
        variance += ahead**2 / (centred @ centred)
    return Forecast(
        value=float(middle + slope * ahead),
        spread=math.sqrt(variance),
        scale=_quantile(kept, 3 / 4) / NORMAL_QUARTILE,
        freedom=freedom,
        last=float(middle + slope * centred[-1]),
    )


def _quantile(values: np.ndarray, level: float) -> float:
    # Linear between order statistics; np.quantile is slow for a few values.
    ordered = np.sort(values)
    place = level * (len(ordered) - 1)
    low, part = int(place), place % 1.0
    if part == 0.0:
        return float(ordered[low])
    return float(ordered[low] * (1.0 - part) + ordered[low + 1] * part)


def _require_above_zero(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(
            f"`{name}` must be finite and above 0. Received: {name}={value}"
        )
