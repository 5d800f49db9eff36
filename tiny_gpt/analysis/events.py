"""Falls of a loss curve (Sinha 2024, prop. 1 and sec. 3.1.3)."""

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
    if min_drop <= 0:
        raise ValueError(
            f"`min_drop` must be above 0. Received: min_drop={min_drop}"
        )
    if window < 1:
        raise ValueError(
            f"`window` must be at least 1. Received: window={window}"
        )
    drops: list[LossDrop] = []
    for epoch in range(window + 1, len(losses) + 1):
        before, after = (
            float(losses[epoch - window - 1]),
            float(losses[epoch - 1]),
        )
        overlaps = bool(drops) and epoch - drops[-1].epoch <= window
        if before - after >= min_drop and not overlaps:
            drops.append(LossDrop(epoch, before - after, before, after))
    return drops
