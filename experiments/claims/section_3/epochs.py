"""Rules of the claims about the course of training, and about prompts."""

import math
from typing import Any

import pandas as pd

from experiments.claims.section_3 import FAMILY, PILOT, SEEN
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.measure import (
    FRACTION,
    Measure,
    share,
    subtract,
)
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    NOT_NEEDED,
    SUPPORTED,
    above,
    below,
    case,
    either,
    explained,
    observed,
)
from tiny_gpt.claims.values import (
    CHANCE,
    LEARNED,
    MARGIN,
    MASTERED,
    MOST,
    OF_SHARES,
    SPARSE,
    crossings,
    epochs_of,
    final,
    later,
)

MAJORITY = ("A->B", "B->C")
HALF_LOSS = math.log(8) / 2
RISE = 2 * CHANCE


def answer_losses(evidence: Evidence, mapping: str) -> dict[int, pd.Series]:
    """Returns the loss of answer words in fresh text, by seed."""
    return evidence.curves(
        SPARSE, "loss_answer_words", mapping, "fresh_windows"
    )


def _accuracies(evidence: Evidence, mapping: str) -> dict[int, pd.Series]:
    return evidence.curves(SPARSE, evidence.accuracy, mapping, "all")


def _half_loss(evidence: Evidence, mapping: str) -> BySeed:
    falls = {s: -curve for s, curve in answer_losses(evidence, mapping).items()}
    return crossings(falls, -HALF_LOSS)


def loss_delay(evidence: Evidence) -> BySeed:
    """Epochs by which A->C's loss falls after the later of the majority's."""
    majority = later(*(_half_loss(evidence, m) for m in MAJORITY))
    return subtract(_half_loss(evidence, "A->C"), majority)


def rise_delay(evidence: Evidence) -> BySeed:
    """Epochs by which A->C passes 25 % after the majority passes 90 %.

    A seed in which A->C never does has -1: it does not count as later.
    """
    majority = later(
        *(crossings(_accuracies(evidence, m), MASTERED) for m in MAJORITY)
    )
    curves = _accuracies(evidence, "A->C")
    rises = crossings(curves, RISE)
    return {
        seed: rises[seed] - majority[seed] if curve.max() >= RISE else -1.0
        for seed, curve in curves.items()
    }


def gain_of_epochs(evidence: Evidence) -> BySeed:
    """A->C's accuracy at the last epoch minus that at a third of training."""
    return {
        seed: float(curve.iloc[-1] - curve[curve.index.max() // 3])
        for seed, curve in _accuracies(evidence, "A->C").items()
    }


_DELAY = Measure(
    name="A->C's loss falls after the majority's",
    values=loss_delay,
    unit="epochs",
)
_GROWS = share(
    "seeds that gain 5 points from a third of training to its end",
    gain_of_epochs,
    above=MARGIN,
)
_SHRINKS = share("seeds that lose 5 points", gain_of_epochs, below=-MARGIN)
_LATER = share(
    "seeds in which A->C rises after the majority is fitted",
    rise_delay,
    above=0.0,
)
_WITHOUT = share(
    "seeds above 50 % without a majority, cut moved",
    final("controls/a_to_c_alone_rotated"),
    above=LEARNED,
)


def show_losses(evidence: Evidence) -> dict[str, Any]:
    """Describes the figure of the losses of answers by epoch."""
    return {
        "kind": "epochs",
        "axis": "Loss of answer words, fresh text (nats)",
        "series": [
            epochs_of(evidence, m, answer_losses(evidence, m))
            for m in (*MAJORITY, "A->C")
        ],
        "lines": {"half of ln 8": HALF_LOSS},
        "marks": {},
    }


def _growth(evidence: Evidence):
    curves = _accuracies(evidence, "A->C")
    last = max(next(iter(curves.values())).index)
    return {
        "kind": "epochs",
        "axis": "A->C accuracy, fixed sample",
        "series": [epochs_of(evidence, "A->C", curves, FRACTION)],
        "lines": {"chance": CHANCE},
        "marks": {"a third": float(last // 3)},
    }


CLAIMS = (
    Claim(
        family=FAMILY,
        name="proposition_1",
        title="The majority's loss falls first, the sparse one later",
        statement=(
            "The model initially converges primarily towards minimising the "
            "loss for the majority task; over time the contributions of the "
            "sparse task become more significant."
        ),
        source="Sinha 2024, prop. 1",
        conditions=(SPARSE,),
        statistic=(
            "epoch at which the loss of the answer words of fresh text falls "
            "to half of ln 8; A->C minus the later of A->B and B->C, paired. "
            "One that never does counts as one epoch after the last."
        ),
        measures=(_DELAY,),
        observation=observed(
            case(CONFIRMED, above(_DELAY.name, 0.0)),
            case(NOT_CONFIRMED, below(_DELAY.name, 0.0)),
        ),
        margin="A question of order: any delay counts.",
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_DELAY.name: 2.0}),
            Scenario(NOT_CONFIRMED, {_DELAY.name: -2.0}),
        ),
        figure=show_losses,
    ),
    Claim(
        family=FAMILY,
        name="more_epochs",
        title="More epochs enhance the ability",
        statement=(
            "Increasing the number of training epochs enhances emergent "
            "abilities."
        ),
        source="Sinha 2024, abstract",
        conditions=(SPARSE,),
        statistic=(
            "A->C accuracy, fixed sample, at the last epoch minus that at a "
            "third of training. The learning rate is constant, so that the "
            "first third is what a shorter training gives."
        ),
        measures=(_GROWS, _SHRINKS),
        shown=(
            Measure(
                name="gain from a third of training to its end",
                values=gain_of_epochs,
                unit="difference",
                bounds=(-1.0, 1.0),
            ),
        ),
        observation=observed(
            case(CONFIRMED, above(_GROWS.name, MOST)),
            either(
                NOT_CONFIRMED,
                (below(_GROWS.name, MOST),),
                (above(_SHRINKS.name, MOST),),
            ),
        ),
        margin=(
            "5 points are less than half a word of a list of 8. More than "
            "half of all seeds must gain that much."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_GROWS.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_GROWS.name: 0.05}),
        ),
        figure=_growth,
    ),
    Claim(
        family=FAMILY,
        name="majority_first",
        title="A->C rises because the majority is fitted",
        statement=(
            "The loss of the sparse data starts converging when the overall "
            "loss becomes small enough to fit the majority of the samples."
        ),
        source="Sinha 2024, sec. 3.1.3 and prop. 1",
        conditions=(SPARSE, "controls/a_to_c_alone_rotated"),
        statistic=(
            "epoch at which A->C's accuracy on the fixed sample passes 25 % "
            "minus that at which A->B and B->C have passed 90 %"
        ),
        measures=(_LATER, _WITHOUT),
        shown=(
            Measure(
                name="A->C's rise after the majority's fit",
                values=rise_delay,
                unit="epochs",
            ),
        ),
        observation=observed(
            case(CONFIRMED, above(_LATER.name, MOST)),
            case(NOT_CONFIRMED, below(_LATER.name, MOST)),
        ),
        cause="A->C can be learned once the majority is fitted.",
        explanation=explained(
            case(NOT_NEEDED, above(_WITHOUT.name, MOST)),
            case(SUPPORTED, below(_WITHOUT.name, MOST)),
        ),
        margin=(
            "Fitted is 90 % of the words, the mark of mastery elsewhere; a "
            f"rise is 25 %, twice chance. {OF_SHARES}"
        ),
        seen=PILOT,
        scenarios=(
            Scenario(CONFIRMED, {_LATER.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_LATER.name: 0.05}),
            Scenario(NOT_NEEDED, {_WITHOUT.name: 0.95}),
            Scenario(SUPPORTED, {_WITHOUT.name: 0.05}),
        ),
    ),
)
