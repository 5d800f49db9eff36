"""Regimes: four names for the outcome of a run."""

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
    """Names the outcome of a run, one of `REGIMES`.

    - "generalises": unseen sentences reach the threshold.
    - "memorises": only seen sentences do; or, if neither do, the training
      loss is more than `margin` below the floor of a reader without memory of
      the text.
    - "lacks steps": the training loss is more than `margin` above the floor.
    - "lacks data": the text is fitted, but the mapping does not occur in it
      often enough to be found.

    Args:
        unseen: accuracy on sentences that were not shown, in [0, 1]; NaN if
            there are none.
        seen: accuracy on sentences that were shown; NaN if there are none.
        loss_above_floor: last training loss minus its floor, nats per token;
            NaN if there is no floor.
        threshold: accuracy that counts as success.
        margin: nats per token.

    Returns:
        One of `REGIMES`; `UNKNOWN` if it depends on a number that is NaN.
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
