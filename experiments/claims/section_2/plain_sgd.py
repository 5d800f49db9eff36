"""Rule of proposition 1 under plain SGD, the optimizer of its proof."""

from experiments.claims.section_2 import FAMILY
from experiments.claims.section_2.majority import (
    EPOCH,
    MAJORITY,
    lag_of,
    times_of,
)
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence, strip
from tiny_gpt.claims.measure import FREE, Measure
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    observed,
)

PLACE = "sgd_50"
_LAG = lag_of("A->C after the majority, plain SGD, updates", PLACE)


def _time(mapping: str) -> Measure:
    def values(evidence: Evidence) -> BySeed:
        return times_of(evidence, PLACE, mapping)

    return Measure(
        name=f"updates until {mapping} is learned", values=values, unit="count"
    )


def _times(evidence: Evidence):
    groups = {m: times_of(evidence, PLACE, m) for m in (*MAJORITY, "A->C")}
    return strip(evidence, "Updates until learned, plain SGD", groups, {}, FREE)


CLAIMS = (
    Claim(
        family=FAMILY,
        name="prop_1_sgd",
        title="The majority first under plain SGD, too",
        statement=(
            "w_(t+1) = w_t - eta grad L(T1, T2): the majority's term "
            "initially dominates the gradient update. The proof has plain "
            "gradient descent; the paper's runs have Adam."
        ),
        source="Sinha 2024, prop. 1, proof",
        conditions=(f"theory/{PLACE}",),
        statistic=(
            "updates until an answer word of fresh text costs half of ln 8 "
            "nats; the last update where it never does; A->C minus the slower "
            "of A->B and B->C, 50 pairs. Learning rate 0.1, no clipping, "
            "chosen by A->B and B->C alone with seeds 1000 to 1002."
        ),
        measures=(_LAG,),
        shown=tuple(_time(m) for m in (*MAJORITY, "A->C")),
        observation=observed(
            case(CONFIRMED, above(_LAG.name, 0.0)),
            case(NOT_CONFIRMED, below(_LAG.name, 0.0)),
        ),
        margin="A question of order: any delay counts.",
        seen=(
            "The delay under Adam had been seen with seeds 0 to 9 and 100 to "
            "109. Under plain SGD no A->C had been asked or read by a person."
        ),
        scenarios=(
            Scenario(CONFIRMED, {_LAG.name: 4 * EPOCH}),
            Scenario(NOT_CONFIRMED, {_LAG.name: -4 * EPOCH}),
        ),
        figure=_times,
    ),
)
