"""Rules of the claim that the sparse mappings of table 1 are composed."""

from experiments import four_languages_controls as four
from experiments.claims.section_3 import FAMILY, PILOT
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.measure import FRACTION, Measure, difference, share
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    NOT_NEEDED,
    SUPPORTED,
    above,
    below,
    case,
    explained,
    observed,
)
from tiny_gpt.claims.values import (
    HALF_A_RANK,
    IN_LANGUAGE,
    MARGIN,
    MOST,
    OF_RANKS,
    TRANSLATED,
    final,
    mean_of,
)


def _of_table(condition: str, metric: str):
    place = f"{four.NAME}/{condition}"
    return mean_of([final(place, m, metric) for m in four.SPARSE])


def _four_lead(control: str, name: str) -> Measure:
    return difference(
        f"rank of the right word, real - {name}",
        _of_table("sparse_pairs", "rank"),
        _of_table(control, "rank"),
        unit="count",
        bounds=(-11.0, 11.0),
    )


_FOUR_LEARNED = share(
    "seeds above chance + 5 points, 12 pairs each",
    _of_table("sparse_pairs", IN_LANGUAGE),
    above=1 / 12 + MARGIN,
)
_FOUR = (
    _four_lead("scrambled_pairs", "scrambled"),
    _four_lead("no_route", "no route"),
)

CLAIMS = (
    Claim(
        family=FAMILY,
        name="table_1_composition",
        title="The sparse mappings of four languages are composed",
        statement=(
            "A Causal GPT model learns latent pattern variables and their "
            "compositions from the dataset, enabling it to generalize from "
            "sparse distributions."
        ),
        source="Sinha 2024, assumption 2, sec. 3.2 and fig. 4",
        conditions=tuple(
            f"{four.NAME}/{name}"
            for name in ("sparse_pairs", "scrambled_pairs", "no_route")
        ),
        statistic=(
            "12 pairs each of D->B, D->C and B->C, as many as words. "
            f"Observation: {TRANSLATED}; mean of the three. Explanation: mean "
            "rank of the right word among the 12 of its language; paired "
            "differences. The three scrambled mappings disagree with each "
            "other as well; without a route by way of A, the three sparse "
            "mappings still agree."
        ),
        measures=(_FOUR_LEARNED, *_FOUR),
        shown=tuple(
            Measure(
                name=f"{m}, {says}",
                values=final(f"{four.NAME}/{condition}", m, IN_LANGUAGE),
                bounds=FRACTION,
            )
            for m in four.SPARSE
            for condition, says in (
                ("sparse_pairs", "real"),
                ("scrambled_pairs", "scrambled"),
                ("no_route", "no route"),
            )
        ),
        observation=observed(
            case(CONFIRMED, above(_FOUR_LEARNED.name, MOST)),
            case(NOT_CONFIRMED, below(_FOUR_LEARNED.name, MOST)),
        ),
        cause="D->B is D->A and then A->B; the others likewise.",
        explanation=explained(
            case(
                SUPPORTED,
                above(_FOUR_LEARNED.name, MOST),
                *(below(m.name, -HALF_A_RANK) for m in _FOUR),
            ),
            case(CONTRADICTED, *(above(m.name, 0.0) for m in _FOUR)),
            case(NOT_NEEDED, *(above(m.name, -HALF_A_RANK) for m in _FOUR)),
        ),
        margin=OF_RANKS,
        seen=PILOT,
        scenarios=(
            Scenario(CONFIRMED, {_FOUR_LEARNED.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_FOUR_LEARNED.name: 0.05}),
            Scenario(
                SUPPORTED,
                {_FOUR_LEARNED.name: 0.95, **{m.name: -1.5 for m in _FOUR}},
            ),
            Scenario(NOT_NEEDED, {m.name: 0.25 for m in _FOUR}),
            Scenario(CONTRADICTED, {m.name: 1.0 for m in _FOUR}),
        ),
    ),
)
