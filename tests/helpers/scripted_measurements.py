"""Scripted measurements: evidence with the values that a test needs."""

import pandas as pd

from tiny_gpt.claims.claim import Claim
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.claims.rule import Rule
from tiny_gpt.metrics.columns import COLUMNS

SEEDS = tuple(range(20))
LEVEL = 0.999  # of each interval
STEPS = (1, 3, 7, 9, 11, 13, 17, 19)  # each takes 20 seeds to 20 places


def evidence_of(
    values: dict, claim: Claim, spread: float, seeds=SEEDS
) -> Evidence:
    """Returns evidence of the measurement that a claim is decided on.

    Args:
        values: by (mapping, tier, prompt, metric), a number, or several that
            the seeds have in turn.
        claim: its first condition names the measurement.
        spread: the values of a key have 0 to 19 times this added, in an order
            of its own, so that differences vary from seed to seed, too.
        seeds: seeds of the frame.
    """
    condition = claim.conditions[0].split("/")[1]
    rows = []
    for number, (key, value) in enumerate(values.items()):
        step = STEPS[number % len(STEPS)]
        several = value if isinstance(value, list) else [value]
        for i, seed in enumerate(seeds):
            shown = several[i % len(several)]
            start = ("theory", condition, seed, 0, 0)
            added = spread * (step * seed % len(SEEDS))
            rows.append((*start, *key, shown + added))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return Evidence(frame, seeds, None, pd.DataFrame(), LEVEL)


def outcomes(rule: Rule | None) -> set[str]:
    """Returns all that a rule can conclude."""
    if rule is None:
        return set()
    return {case.outcome for case in rule.cases} | {rule.otherwise}
