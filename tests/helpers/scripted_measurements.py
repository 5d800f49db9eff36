"""Scripted measurements: evidence with the values that a test needs."""

import pandas as pd

from tiny_gpt.claims.claim import Claim
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.metrics.columns import COLUMNS

SEEDS = (0, 1, 2, 3, 4)


def evidence_of(
    values: dict, claim: Claim, spread: float, seeds=SEEDS
) -> Evidence:
    """Returns evidence of the measurement that a claim is decided on.

    Args:
        values: by (mapping, tier, prompt, metric), a number or one per seed.
        claim: its first condition names the measurement.
        spread: what seed s adds, over s.
        seeds: seeds of the frame.
    """
    condition = claim.conditions[0].split("/")[1]
    rows = []
    for key, value in values.items():
        for i, seed in enumerate(seeds):
            shown = value[i] if isinstance(value, list) else value
            start = ("theory", condition, seed, 0, 0)
            rows.append((*start, *key, shown + spread * seed))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return Evidence(frame, seeds, None, pd.DataFrame(), 0.99)
