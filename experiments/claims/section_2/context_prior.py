"""Rules of proposition 2, which is proved by equation 1."""

from experiments.claims.section_2 import FAMILY, SEEN
from experiments.claims.section_2.context_equations import (
    BARE,
    PLACE,
    greatest,
    of,
    read,
)
from experiments.measurements.contexts import COUNTS, RARE
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import Evidence, by_seed, series
from tiny_gpt.claims.measure import (
    FRACTION,
    FREE,
    RATIO,
    Measure,
    Values,
    constant,
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

FIFTY = COUNTS[50]
NO_PRIOR = 0.1  # slope: 40 times the pairs, 1.45 times the odds
FACTOR = 2.0  # in slope and in odds, within which a prior is calibrated


def _fitted(metric: str) -> Values:
    return lambda evidence: by_seed(
        evidence.rows(PLACE, prompt=BARE, metric=metric)
    )


def _gap_of_line(line: int) -> Measure:
    metric = f"bayes_equation_1_gap_line_{line}"
    return constant(
        f"printed line {line} of eq. 1 - line 1",
        greatest(of(metric, RARE, BARE, FIFTY)),
        "probability",
    )


_SLOPE = Measure(
    name="slope of logit mass on ln pairs",
    values=_fitted("prior_slope"),
    unit="ratio",
)
_ODDS = Measure(
    name="odds of C words over those of the share of pairs",
    values=_fitted("prior_offset"),
    unit="ratio",
    kind=RATIO,
)


def _prior(evidence: Evidence):
    counts = [n for n in COUNTS if n]
    model, bayes = (
        [read(evidence, metric, RARE, BARE, COUNTS[n]) for n in counts]
        for metric in ("language_mass", "bayes_posterior")
    )
    return {
        "kind": "curve",
        "axis": "Probability of C words, no demonstration",
        "unit": "fraction",
        "x_axis": "A->C sentence pairs",
        "log_x": True,
        "series": [
            series(evidence, "model", counts, model),
            # Exact, and alike in all seeds: without an interval.
            series(evidence, "Bayes, share of pairs", counts, bayes, FREE),
        ],
        "lines": {},
    }


CLAIMS = (
    Claim(
        family=FAMILY,
        name="proposition_2_prior",
        title="The more pairs of a mapping, the more it is expected",
        statement=(
            "An increase in the number of pre-training examples for each "
            "theta indicates a context pattern that will dominate the output. "
            "Equation 1 as printed sums Pr(y|theta, x) without the weights "
            "Pr(theta|x), so that counts cancel; and D falls as Pr(theta, x) "
            "rises, where the text has it rise. Read as joint probabilities, "
            "the weight before any demonstration is the share of pairs."
        ),
        source="Sinha 2024, prop. 2 and eq. 1",
        conditions=(PLACE,),
        statistic=(
            "probability of C words at the first answer word, no "
            "demonstration, with 10 to 400 A->C pairs: slope of its logit on "
            "the logarithm of the pairs; and its odds over those of their "
            "share among pairs that start with A, geometric mean over pairs "
            "and seeds"
        ),
        measures=(_SLOPE, _ODDS),
        shown=(
            *(
                Measure(
                    name=f"C words, {n} pairs",
                    values=of("language_mass", RARE, BARE, COUNTS[n]),
                    unit="probability",
                    bounds=FRACTION,
                )
                for n in (0, 10, 400)
            ),
            _gap_of_line(2),
            _gap_of_line(4),
        ),
        observation=observed(
            case(NOT_CONFIRMED, below(_SLOPE.name, NO_PRIOR)),
            case(CONFIRMED, above(_SLOPE.name, 0.0)),
        ),
        cause="A mapping weighs as much as its share of the pairs.",
        explanation=explained(
            case(
                SUPPORTED,
                within(_SLOPE.name, 1 / FACTOR, FACTOR),
                within(_ODDS.name, 1 / FACTOR, FACTOR),
            ),
            either(
                CONTRADICTED,
                (below(_SLOPE.name, 1 / FACTOR),),
                (above(_SLOPE.name, FACTOR),),
                (below(_ODDS.name, 1 / FACTOR),),
                (above(_ODDS.name, FACTOR),),
            ),
        ),
        margin=(
            "With a slope of 0.1, 40 times the pairs make 1.45 times the "
            "odds: counts hardly matter. Bayes has a slope and odds of 1; a "
            "factor of 2 is what a reader would still call the same prior."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_SLOPE.name: 0.5}),
            Scenario(NOT_CONFIRMED, {_SLOPE.name: 0.0}),
            Scenario(SUPPORTED, {_SLOPE.name: 1.0, _ODDS.name: 1.0}),
            Scenario(CONTRADICTED, {_ODDS.name: 0.25}),
        ),
        figure=_prior,
    ),
)
