"""Falls of a loss curve (Sinha 2024, prop. 1 and sec. 3.1.3)."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LossDrop:
    """A fall of a loss curve.

    Attributes:
        epoch: epoch at which the fall was complete, counted from 1.
        size: `before` - `after`, nats per token.
        before: loss at the start of the window.
        after: loss at `epoch`.
    """

    epoch: int
    size: float
    before: float
    after: float


def find_loss_drops(
    losses: Sequence[float], min_drop: float = 0.1, window: int = 5
) -> list[LossDrop]:
    """Finds the epochs at which a loss curve has just dropped.

    Epoch e counts if loss[e - window] - loss[e] >= min_drop and none of the
    `window` epochs before e counted. The rule looks only backwards, so it
    gives the same events while training as afterwards.

    Args:
        losses: mean training loss of each epoch, nats per token, shape (E,).
        min_drop: smallest fall that counts, nats per token.
        window: epochs over which the fall is measured.

    Returns:
        The drops, in order.

    Raises:
        ValueError: if `min_drop` is not positive or `window` below 1.
    """
    detector = DropDetector(min_drop, window)
    for epoch, loss in enumerate(losses, start=1):
        detector.update(float(loss), epoch)
    return [drop for _, drop in detector.drops]


class DropDetector:
    """Finds the drops of `find_loss_drops`, one value at a time.

    Args:
        min_drop: smallest fall that counts, nats per token.
        window: values over which the fall is measured.

    Attributes:
        drops: (time at the start of the window, drop) of each one so far.

    Raises:
        ValueError: if `min_drop` is not positive or `window` below 1.
    """

    def __init__(self, min_drop: float = 0.1, window: int = 5):
        if min_drop <= 0:
            raise ValueError(
                f"`min_drop` must be above 0. Received: min_drop={min_drop}"
            )
        if window < 1:
            raise ValueError(
                f"`window` must be at least 1. Received: window={window}"
            )
        self._min_drop = min_drop
        self._last: deque[tuple[int, float]] = deque(maxlen=window + 1)
        self._num_since = window  # values after the last drop
        self.drops: list[tuple[int, LossDrop]] = []

    def update(self, loss: float, time: int) -> LossDrop | None:
        """Takes the next value of the curve.

        Args:
            loss: nats per token; NaN and infinite values are skipped.
            time: epoch at which it was measured.

        Returns:
            The drop that this value completes; None if none.
        """
        if not math.isfinite(loss):
            return None
        self._last.append((time, loss))
        self._num_since += 1
        if len(self._last) < (self._last.maxlen or 0):
            return None
        start, before = self._last[0]
        overlaps = self._num_since < len(self._last)
        if before - loss >= self._min_drop and not overlaps:
            drop = LossDrop(time, before - loss, before, loss)
            self.drops.append((start, drop))
            self._num_since = 0
            return drop
        return None
