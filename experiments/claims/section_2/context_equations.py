"""Rules of proposition 3, which is proved by equation 2."""

from collections.abc import Callable

from experiments.claims.section_2 import FAMILY, SEEN
from experiments.measurements.contexts import (
    COUNTS,
    LONG,
    NAME,
    RARE,
    SPARSE,
    demonstrated,
    tier_of,
)
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence, by_seed, series
from tiny_gpt.claims.measure import (
    FRACTION,
    FREE,
    Measure,
    Values,
    constant,
    difference,
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
)
from tiny_gpt.claims.values import MARGIN, MASTERED, MOST

PLACE = f"theory/{NAME}"
MOST_SHOWN = {SPARSE: 2, LONG: 3}  # demonstrations that fit the window
BARE = demonstrated(0, RARE)
FULL = demonstrated(MOST_SHOWN[LONG], RARE)
EXACT = 0.001  # by which an equation may be off


def read(
    evidence: Evidence,
    metric: str,
    mapping: str,
    prompt: str,
    place: str = SPARSE,
) -> BySeed:
    """Returns a number of the first answer word, by seed."""
    tier = tier_of(place, 1)
    rows = evidence.rows(
        PLACE, mapping=mapping, tier=tier, prompt=prompt, metric=metric
    )
    return by_seed(rows)


def of(metric: str, mapping: str, prompt: str, place: str = SPARSE) -> Values:
    """Returns the reader of a number of the first answer word."""
    return lambda evidence: read(evidence, metric, mapping, prompt, place)


def greatest(values: Values) -> Callable[[Evidence], float]:
    """Returns the reader of the greatest: exact numbers, alike in all seeds."""
    return lambda evidence: max(values(evidence).values())


def _by_demonstrations(metric: str, place: str) -> list[Values]:
    return [
        of(metric, RARE, demonstrated(i, RARE), place)
        for i in range(MOST_SHOWN[place] + 1)
    ]


_EPSILON = _by_demonstrations("epsilon", LONG)
_FELL = difference("epsilon, 0 - 3 demonstrations", _EPSILON[0], _EPSILON[-1])
_LEFT = share(
    "seeds with less than 5 % of epsilon left", _EPSILON[-1], below=MARGIN
)
_PAIRS = difference(
    "epsilon, 10 - 400 pairs",
    of("epsilon", RARE, BARE, COUNTS[10]),
    of("epsilon", RARE, BARE, COUNTS[400]),
)
_MIMICS = share(
    "seeds in which the solver's word is the most probable in 90 %",
    of("argmax_is_solver", RARE, FULL, LONG),
    above=MASTERED,
)
_GAP = constant(
    "as printed: gap of the sum",
    greatest(of("bayes_identity_gap_as_printed", RARE, BARE, LONG)),
    "probability",
)
_VIOLATION = constant(
    "as printed: inequality off by",
    greatest(of("bayes_bound_violation_as_printed", RARE, BARE, LONG)),
    "probability",
)
_NEVER = constant(
    "as printed: epsilon of all tasks, 3 demonstrations",
    greatest(of("bayes_epsilon_as_printed_of_solvers", RARE, FULL, LONG)),
    "probability",
)


def _epsilon(evidence: Evidence):
    lines = {
        "model, window of 40": _EPSILON,
        "model, window of 30": _by_demonstrations("epsilon", SPARSE),
        "Bayes": _by_demonstrations("bayes_epsilon", LONG),
    }
    (never,) = _NEVER.values(evidence).values()
    return {
        "kind": "curve",
        "axis": "Epsilon of equation 2, A->C shown",
        "unit": "fraction",
        "x_axis": "Demonstrations",
        "log_x": False,
        "series": [
            series(
                evidence,
                label,
                list(range(len(parts))),
                [values(evidence) for values in parts],
                FREE if label == "Bayes" else FRACTION,  # Bayes is exact
            )
            for label, parts in lines.items()
        ],
        "lines": {"as printed, of all tasks": never},
    }


CLAIMS = (
    Claim(
        family=FAMILY,
        name="proposition_3",
        title="Epsilon vanishes, and the model mimics the task's solver",
        statement=(
            "A task solver can be effectively mimicked by identifying the "
            "optimal context theta* from the prompt; as the examples for "
            "theta* and the prompt increase, epsilon goes to 0. As printed "
            "the conditionals Pr(y|theta_i, x) are summed without their "
            "weights: their sum is not Pr(y|x). Read as joint probabilities "
            "Pr(y, theta_i|x) it is, and epsilon, summed over y, is 1 - "
            "Pr(theta*|x) and bounds the left side; at one y alone it does "
            "not."
        ),
        source="Sinha 2024, prop. 3 and eq. 2",
        conditions=(PLACE,),
        statistic=(
            "theta* = A->C. Observation, windows of 40: epsilon, in the joint "
            "reading, is the probability of B words at the first answer word: "
            "after 3 demonstrations, against 0, and without one with 10 pairs "
            "against 400; and the share of questions whose most probable word "
            "is the right one of A->C, after 3. Explanation: the printed sum "
            "and inequality, exact, of the generator, without a demonstration."
        ),
        measures=(_FELL, _LEFT, _PAIRS, _MIMICS, _GAP, _VIOLATION),
        shown=(
            Measure(
                name="epsilon left",
                values=_EPSILON[-1],
                unit="probability",
                bounds=FRACTION,
            ),
            Measure(
                name="most probable word is the solver's",
                values=of("argmax_is_solver", RARE, FULL, LONG),
                bounds=FRACTION,
            ),
            _NEVER,
        ),
        observation=observed(
            case(
                CONFIRMED,
                above(_FELL.name, 0.0),
                above(_LEFT.name, MOST),
                above(_PAIRS.name, 0.0),
                above(_MIMICS.name, MOST),
            ),
            either(
                NOT_CONFIRMED,
                (below(_FELL.name, 0.0),),
                (below(_LEFT.name, MOST),),
                (below(_PAIRS.name, 0.0),),
                (below(_MIMICS.name, MOST),),
            ),
        ),
        cause="Equation 2 as printed, a sum of conditional probabilities.",
        explanation=explained(
            case(
                SUPPORTED,
                below(_GAP.name, EXACT),
                below(_VIOLATION.name, EXACT),
            ),
            either(
                CONTRADICTED,
                (above(_GAP.name, EXACT),),
                (above(_VIOLATION.name, EXACT),),
            ),
        ),
        margin=(
            "What vanishes is below 5 %, and falls. To mimic is to agree in "
            "more than 90 % of the questions. Both fall into two groups, so "
            "seeds are counted, and more than half of all seeds must do it. "
            "Equations are exact but for rounding."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(
                CONFIRMED,
                {
                    _FELL.name: 0.9,
                    _LEFT.name: 0.95,
                    _PAIRS.name: 0.13,
                    _MIMICS.name: 0.95,
                },
            ),
            Scenario(NOT_CONFIRMED, {_LEFT.name: 0.05}),
            Scenario(NOT_CONFIRMED, {_MIMICS.name: 0.05}),
        ),
        figure=_epsilon,
    ),
)
