"""Rules of assumption 2: layers that two tasks share."""

from experiments.claims.section_2 import FAMILY, SEEN
from experiments.claims.section_2.pivot import SIGNED, TWICE
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.measure import Measure, Values, difference, share
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
from tiny_gpt.claims.values import MARGIN, MOST, dots, measured


def _alike(
    mapping: str = "A->B|A->C", tier: str = "trained", metric: str = "cka"
) -> Values:
    return measured(
        "theory/alignment",
        mapping=mapping,
        tier=tier,
        prompt="inside.answer",
        metric=metric,
    )


def _ahead(name: str, other: Values) -> Measure:
    return difference(
        f"alignment - {name}", _alike(), other, "probability", TWICE
    )


_SHUFFLED = share(
    "seeds whose alignment is 0.05 above shuffled sentences",
    _ahead("", _alike(metric="cka_shuffled")).values,
    above=MARGIN,
)
_UNTRAINED = _ahead("untrained", _alike(tier="fresh"))
_UNRELATED = _ahead("unrelated tasks", _alike("D->E|A->C"))
_NULLS = (_UNTRAINED.name, _UNRELATED.name)


CLAIMS = (
    Claim(
        family=FAMILY,
        name="assumption_2_layers",
        title="The same sentences are represented alike in two tasks",
        statement=(
            "Common latent variable patterns across different dataset chunks "
            "are learned by the model."
        ),
        source="Sinha 2024, assumption 2 and fig. 3",
        conditions=("theory/alignment",),
        statistic=(
            "The paper does not say what it is to be common; read as the same "
            "geometry of the same sentences in two tasks: debiased linear "
            "centred-kernel alignment of the residual streams of A->B and "
            "A->C where the answers are given, word by word, mean over words "
            "and over the points after the embedding; paired differences over "
            "seeds. Observation: to shuffled sentences. Explanation: to an "
            "untrained network, and to two unrelated tasks, D->E and A->C "
            "beside it. Alike is not shared: networks trained apart are "
            "alike, too"
        ),
        measures=(_SHUFFLED, _UNTRAINED, _UNRELATED),
        shown=(
            _ahead("shuffled", _alike(metric="cka_shuffled")),
            *(
                Measure(
                    name=name,
                    values=values,
                    unit="probability",
                    bounds=SIGNED,
                )
                for name, values in (
                    ("alignment of A->B and A->C", _alike()),
                    (
                        "alignment of A->C trained apart",
                        _alike("A->C", "alone"),
                    ),
                    *(
                        (
                            f"cosine of {pair.replace('|', ' and ')}",
                            _alike(pair, metric="cosine"),
                        )
                        for pair in ("A->B|A->C", "B->C|A->C", "D->E|A->C")
                    ),
                )
            ),
        ),
        observation=observed(
            case(CONFIRMED, above(_SHUFFLED.name, MOST)),
            case(NOT_CONFIRMED, below(_SHUFFLED.name, MOST)),
        ),
        cause="The two tasks have patterns in common that training finds.",
        explanation=explained(
            case(SUPPORTED, *(above(name, MARGIN) for name in _NULLS)),
            either(NOT_NEEDED, *((below(name, MARGIN),) for name in _NULLS)),
        ),
        margin=(
            "Alignment is 0 for unrelated geometries and 1 for equal ones; "
            "that of shuffled sentences stays within 0.02 of 0. A twentieth "
            "of the range is well beyond that; less is not called common. "
            "Seeds are counted for the first: a few are far from all others, "
            "and more than half of all seeds must show it."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_SHUFFLED.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_SHUFFLED.name: 0.05}),
            Scenario(SUPPORTED, dict.fromkeys(_NULLS, 0.15)),
            Scenario(NOT_NEEDED, {_UNRELATED.name: 0.0}),
        ),
        figure=dots(
            "Alignment (CKA) of two tasks",
            {
                "A->B, A->C": _alike(),
                "sentences shuffled": _alike(metric="cka_shuffled"),
                "untrained": _alike(tier="fresh"),
                "D->E, A->C": _alike("D->E|A->C"),
            },
            {},
            SIGNED,
        ),
    ),
)
