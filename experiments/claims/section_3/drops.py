"""Rule of the claim that loss drops belong to tasks."""

import pandas as pd

from experiments.claims.section_3 import FAMILY, PILOT
from experiments.claims.section_3.epochs import answer_losses, show_losses
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.measure import difference, share
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    either,
    observed,
    within,
)
from tiny_gpt.claims.values import MOST, SPARSE

TOGETHER = 1  # epochs
SMALLEST_DROP = 0.01  # nats per token
BY_CHANCE = 0.25


def steepest(curve: pd.Series) -> int:
    """Returns the epoch in which a loss falls most."""
    falls = (-curve.diff()).iloc[1:]
    return int(falls.index[int(falls.to_numpy().argmax())])


def drops(curve: pd.Series) -> list[int]:
    """Returns the epochs in which a loss falls more than just before or after.

    A fall of less than `SMALLEST_DROP` is none.
    """
    falls = (-curve.diff()).iloc[1:]
    before, after = falls.shift(1), falls.shift(-1)
    is_peak = ~(falls < before) & ~(falls < after)
    return [int(e) for e in falls.index[is_peak & (falls >= SMALLEST_DROP)]]


def _is_near(epoch: int, epochs: list[int]) -> float:
    return float(any(abs(epoch - each) <= TOGETHER for each in epochs))


def matched(mapping: str):
    """Returns the reader of whether a task's drop is one of the total loss."""

    def values(evidence: Evidence) -> BySeed:
        total = evidence.curves(SPARSE, "loss", "all", "all")
        own = answer_losses(evidence, mapping)
        return {s: _is_near(steepest(own[s]), drops(total[s])) for s in own}

    return values


def matched_by_chance(evidence: Evidence) -> BySeed:
    """The same with A->C's drop of the other seeds, mean over them."""
    total = evidence.curves(SPARSE, "loss", "all", "all")
    epochs = {
        s: steepest(c) for s, c in answer_losses(evidence, "A->C").items()
    }
    chance = {}
    for seed in epochs:
        others = [epochs[other] for other in epochs if other != seed]
        near = [_is_near(each, drops(total[seed])) for each in others]
        chance[seed] = sum(near) / max(1, len(near))
    return chance


_MATCHED = share(
    "seeds in which A->C's drop is one of the total loss",
    matched("A->C"),
    above=0.5,
)
_KNOWN = share("the same for A->B", matched("A->B"), above=0.5)
_BEYOND = difference(
    "matched - matched by chance", matched("A->C"), matched_by_chance
)

CLAIMS = (
    Claim(
        family=FAMILY,
        name="distinct_drops",
        title="Different loss drops belong to different tasks",
        statement=(
            "Different loss drops correspond to distinct task distributions "
            "in the pretraining dataset."
        ),
        source="Sinha 2024, sec. 1, contributions",
        conditions=(SPARSE,),
        statistic=(
            "A drop of the total training loss is an epoch in which it falls "
            "by 0.01 nats or more, and not less than just before and just "
            "after. A task's drop is the epoch in which the loss of its "
            "answers in fresh text falls most. Matched: at most one epoch "
            "apart. By chance: the same with A->C's drop of another seed."
        ),
        measures=(_MATCHED, _BEYOND, _KNOWN),
        observation=observed(
            case(
                CONFIRMED,
                above(_MATCHED.name, MOST),
                above(_BEYOND.name, BY_CHANCE),
                above(_KNOWN.name, MOST),
            ),
            either(
                NOT_CONFIRMED,
                (below(_MATCHED.name, MOST), above(_KNOWN.name, MOST)),
                (
                    within(_BEYOND.name, -BY_CHANCE, BY_CHANCE),
                    above(_KNOWN.name, MOST),
                ),
            ),
        ),
        margin=(
            "More than half of the seeds must show it, and more than chance. "
            "A quarter more than chance is the least that would let a reader "
            "tell tasks by drops. The drop of A->B, half of all text, must be "
            "found, or the instrument is blind."
        ),
        seen=PILOT,
        scenarios=(
            Scenario(
                CONFIRMED,
                {_MATCHED.name: 0.95, _BEYOND.name: 0.5, _KNOWN.name: 0.95},
            ),
            Scenario(
                NOT_CONFIRMED,
                {_MATCHED.name: 0.1, _BEYOND.name: 0.0, _KNOWN.name: 0.95},
            ),
        ),
        figure=show_losses,
    ),
)
