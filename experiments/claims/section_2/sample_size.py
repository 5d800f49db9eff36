"""Rules of proposition 4: how many test sentences are enough."""

from experiments.claims.section_2 import FAMILY
from tiny_gpt.analysis.baseline import (
    memorisation_tail,
    memorisation_tail_bound,
    printed_baseline,
    sentences_for_bound,
)
from tiny_gpt.claims.claim import Claim
from tiny_gpt.claims.measure import Measure, constant
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
)
from tiny_gpt.claims.values import CHANCE

SCORE, UNLIKELY = 0.6, 0.05
ENOUGH = 5.5  # between 5 sentences, as the paper has, and 6
COVERAGE = 1 - (1 - 1 / 1680) ** 50


def exact_number() -> int:
    """Returns the sentences from which the exact probability is at most 5 %."""
    return next(
        n
        for n in range(1, 100)
        if memorisation_tail(SCORE, COVERAGE, CHANCE, 4, n) <= UNLIKELY
    )


def _bound(name: str, baseline: float) -> Measure:
    return constant(
        f"sentences for the bound, {name}",
        lambda e: sentences_for_bound(SCORE, baseline, UNLIKELY),
        "count",
    )


_GUESSING = COVERAGE + (1 - COVERAGE) * CHANCE
_EXACT = constant("sentences, exact", lambda e: exact_number(), "count")
_BOUNDS = (
    _bound("as printed", printed_baseline(50, 1680)),
    _bound("with guesses", _GUESSING),
)


CLAIMS = (
    Claim(
        family=FAMILY,
        name="prop_4_sample_size",
        title="5 sentences are enough for the paper's sentence",
        statement=(
            "The chance that the model gets 60 % by memorisation is at most "
            "7.74 % for 5 test sentences: not below 5 %. How many sentences "
            "are?"
        ),
        source="Sinha 2024, prop. 4, eq. 4 and sec. 3.1.3",
        conditions=(),
        statistic=(
            "test sentences from which 60 % has a probability of at most 5 % "
            "for a memoriser of the 50 sentences that guesses C words "
            "otherwise: exact (observation), and by Hoeffding's bound as "
            "printed and with guesses (explanation). A memoriser of eight "
            "words is not excluded by any number"
        ),
        measures=(_EXACT, *_BOUNDS),
        shown=(
            constant(
                "bound with guesses, 5 sentences",
                lambda e: memorisation_tail_bound(SCORE, _GUESSING, 5),
                "probability",
            ),
        ),
        observation=observed(
            case(CONFIRMED, below(_EXACT.name, ENOUGH)),
            case(NOT_CONFIRMED, above(_EXACT.name, ENOUGH)),
        ),
        cause="Hoeffding's bound is below 5 % with the paper's 5 sentences.",
        explanation=explained(
            case(SUPPORTED, *(below(m.name, ENOUGH) for m in _BOUNDS)),
            either(CONTRADICTED, *((above(m.name, ENOUGH),) for m in _BOUNDS)),
        ),
        margin=(
            "5 sentences are what the paper tests; 5 % is the usual limit of "
            "what is called unlikely."
        ),
        seen="Arithmetic: there is nothing to be seen.",
    ),
)
