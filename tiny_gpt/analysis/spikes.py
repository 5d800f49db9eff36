"""Spikes: single values of a curve far above what it does by itself."""

import math

import numpy as np

from tiny_gpt.analysis.changes import FEWEST, forecast, normal_from_t


class SpikeDetector:
    """Finds values far above a falling or level curve, one at a time.

    A value is a spike if it lies above the forecast of the line through the
    last `window` values by `min_size`, and by `threshold` normal deviates of
    the curve's own noise. Line and noise are those of `ChangeDetector`: the
    median slope (Theil 1950; Sen 1968), the upper quartile of the absolute
    errors, Student's t carried to the normal (Wallace 1959). A rising line is
    taken as flat. Spikes are left out of the line, but not more than half a
    window of them on end: then the higher level is the new normal.

    Args:
        min_size: smallest rise that counts, in the unit of the values.
        threshold: in normal deviates. The default was chosen for at most 1
            false alarm in 1000 epochs of white noise (docs/runs/false_alarms).
        window: values through which the line goes, at most.

    Raises:
        ValueError: if an argument is outside its range.
    """

    def __init__(
        self, min_size: float = 0.1, threshold: float = 3.5, window: int = 16
    ):
        for name, value in (("min_size", min_size), ("threshold", threshold)):
            if not 0 < value < math.inf:
                raise ValueError(
                    f"`{name}` must be finite and above 0. "
                    f"Received: {name}={value}"
                )
        if window < 2 * FEWEST:
            raise ValueError(
                f"`window` must be at least {2 * FEWEST}. "
                f"Received: window={window}"
            )
        self._min_size, self._threshold = min_size, threshold
        self._window = window
        self.reset()

    def reset(self) -> None:
        """Forgets every value, for a new curve."""
        self._line: list[tuple[float, float]] = []
        self._spikes: list[tuple[float, float]] = []

    def update(self, value: float, time: float) -> float | None:
        """Takes the next value of the curve.

        Args:
            value: a finite number.
            time: point at which it was measured, above the one before.

        Returns:
            What was expected in its place, if it is a spike; else None.
        """
        point = (float(time), float(value))
        if len(self._line) < FEWEST:
            self._line.append(point)
            return None
        times, values = np.array(self._line).T
        line = forecast(times, values, point[0])
        scale = max(line.scale, self._min_size / self._threshold / 4)
        error = value - line.value
        z = normal_from_t(error / line.spread / scale, line.freedom)
        if error >= self._min_size and z >= self._threshold:
            self._spikes.append(point)
            if len(self._spikes) > self._window // 2:
                self._line, self._spikes = self._spikes, []
            return line.value
        self._spikes = []
        self._line = [*self._line, point][-self._window :]
        return None
