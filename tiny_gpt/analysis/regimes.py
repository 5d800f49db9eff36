"""What a run has come to: four regimes."""

import math

REGIMES = ("memorises", "lacks data", "lacks steps", "generalises")
UNKNOWN = "unknown"


def classify_regime(
    unseen: float,
    seen: float,
    loss_above_floor: float,
    threshold: float,
    margin: float = 0.05,
) -> str:
    """Names what a run has come to, one of `REGIMES`.

    "generalises": unseen sentences reach the threshold. "memorises": only
    those that were shown do, or, if neither does, the training loss lies by
    more than `margin` below the floor that is reached without memory of the
    text. "lacks steps": it lies as far above. "lacks data": the text is
    fitted, and the mapping is not in it often enough to be found.

    Args:
        unseen: accuracy on sentences that were not shown, in [0, 1]; NaN if
            there are none.
        seen: accuracy on those that were; NaN if there are none.
        loss_above_floor: last training loss less its floor, nats per token;
            NaN if there is no floor, which leaves the last three apart.
        threshold: accuracy that counts as success.
        margin: nats per token.

    Returns:
        One of `REGIMES`; `UNKNOWN` where NaN leaves it open.
    """
    if unseen >= threshold:
        return "generalises"
    if math.isnan(unseen):
        return UNKNOWN
    if seen >= threshold or loss_above_floor < -margin:
        return "memorises"
    if math.isnan(loss_above_floor):
        return UNKNOWN
    return "lacks steps" if loss_above_floor > margin else "lacks data"
