"""When seeds leave the plateau, from the curves of the frame."""

import math

from experiments.in_context import NAME, PRESETS
from experiments.in_context_curves import late_losses, reader_losses
from tiny_gpt.analysis.escape import escape_time, share_lost
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.measure import Values
from tiny_gpt.tasks.in_context.data import ABOVE_ALL

PRESET = "whole"
SIZE = PRESETS[PRESET]
LAST = 10  # measurements
PLATEAU = math.log(SIZE.num_symbols)  # nothing of the prompt is used


def escapes(condition: str, share: float = 0.5) -> Values:
    """Returns the reader of the update at which each seed escapes.

    It is infinite for one that stays. `share` is that of `escape_time`. The
    floor is the loss of the best reader on the same targets, to whom all
    bijections are equally likely.
    """

    def values(evidence: Evidence) -> BySeed:
        losses = late_losses(evidence, f"{NAME}/{condition}")
        floors = reader_losses(evidence, f"{NAME}/{condition}")
        return {
            seed: escape_time(
                losses.index.tolist(),
                losses[seed].tolist(),
                PLATEAU,
                floor,
                share,
            )
            for seed, floor in floors.items()
        }

    return values


def ratio(slow: str, fast: str) -> Values:
    """Returns the reader of one condition's escapes over another's, by seed.

    It is infinite if the first alone stays on the plateau, 0 if the second
    does, and NaN, unknown, if both do.
    """

    def values(evidence: Evidence) -> BySeed:
        above, below = escapes(slow)(evidence), escapes(fast)(evidence)
        return {
            seed: math.nan
            if above[seed] == below[seed] == math.inf
            else above[seed] / below[seed]
            for seed in above
        }

    return values


def lost(condition: str) -> Values:
    """Returns the reader of `share_lost` of late answers, by seed.

    1 says that what had been learned was lost; who learned nothing has 0.
    """

    def values(evidence: Evidence) -> BySeed:
        losses = late_losses(evidence, f"{NAME}/{condition}")
        found = {
            int(str(seed)): share_lost(curve.tolist(), PLATEAU)
            for seed, curve in losses.items()
        }
        return {s: 0.0 if math.isnan(x) else x for s, x in found.items()}

    return values


def left_at_end(condition: str) -> Values:
    """Returns the reader of what late answers lose at the end, by seed.

    Nats above the best reader, mean of the last `LAST` measurements.
    """

    def values(evidence: Evidence) -> BySeed:
        above = late_losses(evidence, f"{NAME}/{condition}", ABOVE_ALL)
        found = above.tail(LAST).mean()
        return {int(str(seed)): float(x) for seed, x in found.items()}

    return values
