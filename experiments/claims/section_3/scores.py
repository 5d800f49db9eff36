"""Rules of claims about the score: memory, chance and mirages."""

import pandas as pd

from experiments import triangle
from experiments.claims.section_3 import (
    ARITHMETIC,
    FAMILY,
    SEEN,
)
from experiments.claims.section_3.published_numbers import (
    CONDITION,
)
from tiny_gpt.analysis.baseline import (
    memorisation_tail,
    memorisation_tail_bound,
    printed_baseline,
)
from tiny_gpt.claims.claim import PAPER, Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.measure import (
    constant,
    share,
)
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    SUPPORTED,
    above,
    below,
    case,
    either,
    explained,
    observed,
    within,
)
from tiny_gpt.claims.values import (
    CHANCE,
    MOST,
    OF_SHARES,
    SPARSE,
    crossing,
    epochs_of,
)

AS_SHARP = 2.0  # times as many epochs
ROUNDED = 5e-5  # the bound is printed with two decimals of a percent


def width_of_rise(curve: pd.Series) -> float:
    """Returns epochs from a tenth to nine tenths of a curve's whole change."""
    shares = (curve - curve.iloc[0]) / (curve.iloc[-1] - curve.iloc[0])
    start, end = (
        crossing(shares.index, shares.to_numpy(), mark) for mark in (0.1, 0.9)
    )
    return end - start


def is_as_sharp(evidence: Evidence) -> BySeed:
    """Tells of each seed whether its answer loss falls as sharply, 1 or 0.

    The accuracy must have risen by 25 points for a 1.
    """
    losses = evidence.curves(
        SPARSE, "loss_answer_words", "A->C", "fresh_windows"
    )
    scores = evidence.curves(SPARSE, evidence.accuracy, "A->C", "all")
    found = {}
    for seed, score in scores.items():
        has_risen = score.iloc[-1] - score.iloc[0] > 2 * CHANCE
        widest = AS_SHARP * max(1.0, width_of_rise(score)) if has_risen else 0
        found[seed] = float(width_of_rise(losses[seed]) <= widest)
    return found


_SHARP = share(
    "seeds whose log-probability rises as sharply", is_as_sharp, above=0.5
)
# 0.24 for one word of four is a misprint: the authors' code gives 0.25.
_LINEAR = constant(
    "largest departure of the printed score from a share of words",
    lambda evidence: 0.25 - 0.24,
    "fraction",
)


def _corrected() -> float:
    coverage = 1 - (1 - 1 / 1680) ** 50
    return coverage + (1 - coverage) * CHANCE


_PRINTED = constant(
    "bound as printed",
    lambda e: memorisation_tail_bound(0.6, printed_baseline(50, 1680), 5),
    "probability",
)
_WORD_LIST = constant(
    "expected score of a memoriser of words",
    lambda e: triangle.build_experiment("paper", CONDITION).task.baselines()[
        "dictionary"
    ]["A->C"],
    "fraction",
)


def _curves(evidence: Evidence):
    losses = evidence.curves(
        SPARSE, "loss_answer_words", "A->C", "fresh_windows"
    )
    return {
        "kind": "epochs",
        "axis": "Loss of A->C's answers, fresh text (nats)",
        "series": [epochs_of(evidence, "A->C", losses)],
        "lines": {},
        "marks": {},
    }


CLAIMS = (
    Claim(
        family=FAMILY,
        name="mirage",
        title="The ability is no artefact of the score",
        statement=(
            "Metric functions that scale non-linearly ensure that no mirage "
            "effect creeps into evaluating the emergent abilities."
        ),
        source="Sinha 2024, sec. 3.1",
        conditions=(SPARSE,),
        statistic=(
            "A mirage is a sharp rise of a score over a smooth one of the "
            "log-probability (Schaeffer et al. 2023). Epochs from a tenth to "
            "nine tenths of the whole change, of the loss of A->C's answers "
            "in fresh text and of its accuracy. A seed succeeds if the first "
            "are at most twice the second (at least one epoch), and its "
            "accuracy has risen by 25 points."
        ),
        measures=(_SHARP, _LINEAR),
        observation=observed(
            case(CONFIRMED, above(_SHARP.name, MOST)),
            case(NOT_CONFIRMED, below(_SHARP.name, MOST)),
        ),
        cause="The score is not linear.",
        explanation=explained(
            case(CONTRADICTED, within(_LINEAR.name, -0.05, 0.05)),
            case(SUPPORTED, above(_LINEAR.name, 0.05)),
        ),
        margin=(
            "Twice as wide is what one epoch more makes of a rise within one "
            f"epoch. {OF_SHARES}"
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_SHARP.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_SHARP.name: 0.05}),
        ),
        figure=_curves,
    ),
    Claim(
        family=FAMILY,
        name="proposition_4",
        title="60 % on 5 sentences is no memorisation",
        statement=(
            "The chance that the model gets 60 % accuracy by memorisation is "
            "less than or equal to 7.74 % for 5 test samples."
        ),
        source="Sinha 2024, prop. 4, eq. 4 and sec. 3.1.3",
        decided_on=PAPER,
        conditions=(),
        statistic=(
            "Hoeffding's bound with the printed baseline; and what a "
            "memoriser of words scores that has read the 50 sentences"
        ),
        measures=(_PRINTED, _WORD_LIST),
        shown=(
            constant(
                "bound with guesses",
                lambda e: memorisation_tail_bound(0.6, _corrected(), 5),
                "probability",
            ),
            constant(
                "exact, with guesses",
                lambda e: memorisation_tail(
                    0.6, 1 - (1 - 1 / 1680) ** 50, CHANCE, 4, 5
                ),
                "probability",
            ),
        ),
        observation=observed(
            case(
                CONFIRMED,
                within(_PRINTED.name, 0.0774 - ROUNDED, 0.0774 + ROUNDED),
            ),
            either(
                NOT_CONFIRMED,
                (above(_PRINTED.name, 0.0774),),
                (below(_PRINTED.name, 0.0774),),
            ),
        ),
        cause="60 % cannot be had by recall.",
        explanation=explained(
            case(CONTRADICTED, above(_WORD_LIST.name, 0.6)),
            case(SUPPORTED, below(_WORD_LIST.name, 0.6)),
        ),
        margin="The printed number, to its last digit; 60 % as printed.",
        seen=ARITHMETIC,
    ),
)
