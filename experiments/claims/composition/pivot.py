"""Rules of what carries the answer inside a network that composes."""

from experiments.claims.composition import FAMILY, LEAD, SEEN
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import by_seed
from tiny_gpt.claims.measure import (
    FRACTION,
    Measure,
    Values,
    difference,
)
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    either,
    observed,
)
from tiny_gpt.claims.values import LEARNED, dots


def _inside(condition: str, metric: str, mapping: str = "A->C") -> Values:
    """Returns the reader of a number of `measurements.composing`."""
    return lambda evidence: by_seed(
        evidence.rows(
            "composition/composing",
            mapping=mapping,
            tier=condition,
            prompt="all",
            metric=metric,
        )
    )


_WORKS = Measure(
    name="B->C itself follows, B->B added",
    values=_inside("held_out_2_bridge", "exchange", "B->C"),
    bounds=FRACTION,
)
_FOLLOWS = difference(
    "A->C follows, B->B added: another B word - a D word",
    _inside("held_out_2_bridge", "exchange"),
    _inside("held_out_2_bridge", "exchange_control"),
)
_MORE = difference(
    "A->C follows another B word: B->B - D->D",
    _inside("held_out_2_bridge", "exchange"),
    _inside("held_out_2_placebo", "exchange"),
)

CLAIMS = (
    Claim(
        family=FAMILY,
        name="pivot_carries",
        title="Where A->C is composed, its answer is made of the B word",
        statement=(
            "A causal GPT decomposes new or sparse distributions into latent "
            "variables and learns their compositions: A->C as B->C after A->B."
        ),
        source="Sinha 2024, assumption 2, sec. 2 and fig. 3",
        conditions=("composition/composing",),
        statistic=(
            "In the residual stream of A->C the part along the direction of "
            "the own B word, as B->C holds it, less what the head reads as C "
            "words, is moved to the direction of a B word of no word in the "
            "sentence: share of answers that become that word's C word; at "
            "the point and place where most do in one half of the sentences, "
            "counted in the other half. Controls: the direction of a D word "
            "of the same number; a network with the placebo; B->C itself, "
            "where the B word is for certain. Paired differences"
        ),
        measures=(_WORKS, _FOLLOWS, _MORE),
        shown=(
            *(
                Measure(
                    name=f"A->C follows another B word, {words}, {says}",
                    values=_inside(condition, f"exchange_{words}"),
                    bounds=FRACTION,
                )
                for words in ("held_out_words", "shown_words")
                for says, condition in (
                    ("B->B", "held_out_2_bridge"),
                    ("D->D", "held_out_2_placebo"),
                    ("A->E and B->E", "common_target"),
                )
            ),
            *(
                Measure(
                    name=f"words right that need their B word, {says}",
                    values=_inside(condition, "use"),
                    unit="difference",
                    bounds=(-1.0, 1.0),
                )
                for says, condition in (
                    ("B->B", "held_out_2_bridge"),
                    ("D->D", "held_out_2_placebo"),
                )
            ),
        ),
        observation=observed(
            case(
                CONFIRMED,
                above(_WORKS.name, LEARNED),
                above(_FOLLOWS.name, LEAD),
                above(_MORE.name, LEAD),
            ),
            either(
                NOT_CONFIRMED,
                *(
                    (above(_WORKS.name, LEARNED), below(m.name, LEAD))
                    for m in (_FOLLOWS, _MORE)
                ),
            ),
        ),
        margin=(
            "One answer in five is far more than chance, one in eight, and "
            "far less than all. Where the B word is for certain, more than "
            "half must follow, or the instrument does not work."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_FOLLOWS.name: 0.4, _MORE.name: 0.4}),
            Scenario(NOT_CONFIRMED, {_FOLLOWS.name: 0.0, _MORE.name: 0.0}),
        ),
        figure=dots(
            "Share of answers that follow another B word",
            {
                "A->C, B->B added": _inside("held_out_2_bridge", "exchange"),
                "the same, a D word": _inside(
                    "held_out_2_bridge", "exchange_control"
                ),
                "A->C, D->D added": _inside("held_out_2_placebo", "exchange"),
                "B->C itself": _inside("held_out_2_bridge", "exchange", "B->C"),
            },
            {"none": 0.0},
        ),
    ),
)
