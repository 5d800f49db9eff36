"""Rules of the claims that the ability grows with parameters."""

from experiments.claims.section_3 import FAMILY, PILOT
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.measure import FRACTION, Measure, difference
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    above,
    below,
    case,
    observed,
)
from tiny_gpt.claims.values import (
    CHANCE,
    IN_LANGUAGE,
    MARGIN,
    OF_ACCURACY,
    TRANSLATED,
    dots,
    final,
)


def _sizes(larger: str, smaller: str) -> Measure:
    return difference(
        f"{larger.replace('_', ' ')} - {smaller.replace('_', ' ')}",
        final(f"controls/{larger}", metric=IN_LANGUAGE),
        final(f"controls/{smaller}", metric=IN_LANGUAGE),
    )


_WIDER = _sizes("double_width", "quarter_width")
_DEEPER = _sizes("four_blocks", "one_block")
_GROWTH = {
    "width": "twice the width against a quarter (128 and 16), two blocks",
    "depth": "four blocks against one, width 64",
}


def _parameters(
    kind: str, grows: Measure, conditions: tuple[str, str]
) -> Claim:
    """Returns the claim about width or about depth."""
    return Claim(
        family=FAMILY,
        name=f"parameters_{kind}",
        title=f"The ability grows with parameters: {kind}",
        statement=(
            "We examine how it manifests in a small language model and "
            "evolves over time as the number of parameters and the size of "
            "the dataset increase."
        ),
        source="Sinha 2024, sec. 1",
        conditions=tuple(f"controls/{name}" for name in conditions),
        statistic=(
            f"{TRANSLATED}; 25 A->C pairs, {_GROWTH[kind]}; one learning rate "
            "for all. Paired differences."
        ),
        measures=(grows,),
        shown=tuple(
            Measure(
                name=f"{name.replace('_', ' ')}: {says}",
                values=final(f"controls/{name}", mapping, tier=tier),
                bounds=FRACTION,
            )
            for name in conditions
            for mapping, tier, says in (
                ("A->C", "unseen_sentences", "A->C, of all words"),
                ("A->B", "all_sentences", "A->B"),
            )
        ),
        observation=observed(
            case(CONFIRMED, above(grows.name, MARGIN)),
            case(NOT_CONFIRMED, below(grows.name, MARGIN)),
        ),
        margin=OF_ACCURACY,
        seen=PILOT,
        scenarios=(
            Scenario(CONFIRMED, {grows.name: 0.15}),
            Scenario(NOT_CONFIRMED, {grows.name: 0.0}),
        ),
        figure=dots(
            "Accuracy within C, words of unseen sentences",
            {
                name.replace("_", " "): final(
                    f"controls/{name}", metric=IN_LANGUAGE
                )
                for name in conditions
            },
            {"chance": CHANCE},
        ),
    )


CLAIMS = (
    _parameters("width", _WIDER, ("quarter_width", "double_width")),
    _parameters("depth", _DEEPER, ("one_block", "four_blocks")),
)
