"""Rules of assumption 2 inside the network: the B word on the way to C."""

from experiments.claims.section_2 import FAMILY, SEEN
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.measure import (
    FRACTION,
    Measure,
    Values,
    difference,
    share,
)
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
    LEARNED,
    MARGIN,
    MASTERED,
    MOST,
    OF_SHARES,
    dots,
    measured,
)

SIGNED = (-1.0, 1.0)
TWICE = (-2.0, 2.0)  # a difference of two such numbers
REAL = "sparse_a_to_c"
WITHOUT_ROUTE = {
    "scrambled": "scrambled_a_to_c",
    "no route": "no_route_to_c",
}


def _inside(
    metric: str, mapping: str = "A->C", condition: str = REAL
) -> Values:
    return measured(
        "theory/pivot",
        mapping=mapping,
        tier=condition,
        prompt="all",
        metric=metric,
    )


def _found(mapping: str, condition: str = REAL) -> Values:
    """Returns the reader of how far the lens finds the B word.

    A place far worse than those of wrong mappings counts as -1.
    """
    found = _inside("lens_found", mapping, condition)

    def values(evidence: Evidence) -> BySeed:
        return {s: max(-1.0, value) for s, value in found(evidence).items()}

    return values


_LEARNED = share("seeds above 50 %, A->C", _inside("accuracy"), above=LEARNED)
_SEEN = share("seeds with B seen in A->C", _found("A->C"), above=MARGIN)
_LENS = share("seeds with B seen in A->B", _found("A->B"), above=MASTERED)
_NEEDED = Measure(
    name="use of B in B->C",
    values=_inside("use_inside", "B->C"),
    unit="difference",
    bounds=SIGNED,
)
_USE = Measure(
    name="use of B in A->C",
    values=_inside("use"),
    unit="difference",
    bounds=SIGNED,
)
_MORE = tuple(
    difference(
        f"use of B - {name}",
        _inside("use"),
        _inside("use", condition=condition),
        bounds=TWICE,
    )
    for name, condition in WITHOUT_ROUTE.items()
)
# Nothing follows from what is not learned, nor from an instrument that does
# not find the B word where it is for certain.
_IS_LEARNED = above(_LEARNED.name, MOST)
_LENS_WORKS = above(_LENS.name, MOST)
_REMOVAL_WORKS = above(_NEEDED.name, LEARNED)


CLAIMS = (
    Claim(
        family=FAMILY,
        name="assumption_2_pivot",
        title="The B word can be read inside a network that translates A->C",
        statement=(
            "A causal GPT decomposes new or sparse distributions into latent "
            "variables and learns their compositions: A->C as B->C after A->B."
        ),
        source="Sinha 2024, assumption 2, sec. 2 and fig. 3",
        conditions=("theory/pivot",),
        statistic=(
            "The paper does not say what is decomposed; read as a B word that "
            "is made inside and of which the answer is made (read as "
            "behaviour, see the claim `composition`). Observation: how far "
            "the lens ranks the right B word, at its best point and place, "
            "above the best of wrong mappings (0), up to always first (1). "
            "Explanation, use: A->C words still right after the direction of "
            "another B word, as B->C holds it, less what the head reads as C "
            "words, is taken out of the residual stream, minus those right "
            "after their own is; at the point and place with most use in one "
            "half of the sentences, counted in the other half. Without a "
            "route, that B or D word counts which leads to the same C word"
        ),
        measures=(_LEARNED, _SEEN, _LENS, _NEEDED, _USE, *_MORE),
        shown=(
            Measure(
                name="A->C words right",
                values=_inside("accuracy"),
                bounds=FRACTION,
            ),
            *(
                Measure(
                    name=f"B seen in A->C, {name}",
                    values=_found("A->C", condition),
                    bounds=SIGNED,
                )
                for name, condition in (("real", REAL), *WITHOUT_ROUTE.items())
            ),
        ),
        observation=observed(
            case(CONFIRMED, _IS_LEARNED, above(_SEEN.name, MOST)),
            case(
                NOT_CONFIRMED,
                _IS_LEARNED,
                _LENS_WORKS,
                below(_SEEN.name, MOST),
            ),
        ),
        cause="The answer of A->C is made of the B word.",
        explanation=explained(
            case(
                SUPPORTED,
                _IS_LEARNED,
                above(_USE.name, MARGIN),
                *(above(m.name, MARGIN) for m in _MORE),
            ),
            case(
                CONTRADICTED,
                _IS_LEARNED,
                _REMOVAL_WORKS,
                below(_USE.name, MARGIN),
            ),
            case(
                NOT_NEEDED,
                _IS_LEARNED,
                _REMOVAL_WORKS,
                *(below(m.name, MARGIN) for m in _MORE),
            ),
        ),
        margin=(
            "5 points are one answer in twenty: fewer are not how A->C is "
            "answered. Where the B word is for certain, the lens must find it "
            "above 90 % in A->B, and B->C itself must lose more than 50 "
            "points. Both conditions without a route must agree. "
            f"{OF_SHARES}"
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_SEEN.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_SEEN.name: 0.05}),
            Scenario(
                SUPPORTED, {_USE.name: 0.25, **{m.name: 0.2 for m in _MORE}}
            ),
            Scenario(CONTRADICTED, {_USE.name: 0.0}),
            Scenario(
                NOT_NEEDED, {_USE.name: 0.15, **{m.name: 0.0 for m in _MORE}}
            ),
        ),
        figure=dots(
            "Share of answers that need their own B word",
            {
                "A->C": _inside("use"),
                **{
                    name: _inside("use", condition=condition)
                    for name, condition in WITHOUT_ROUTE.items()
                },
                "B->C itself": _inside("use_inside", "B->C"),
            },
            {"none": 0.0},
            SIGNED,
        ),
    ),
)
