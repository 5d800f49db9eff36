"""Rules of composition, switched on and off (docs/protocol_composition.md)."""

from experiments.composition import HELD_OUT
from tiny_gpt.claims.claim import Claim, Family, Scenario
from tiny_gpt.claims.evidence import by_seed
from tiny_gpt.claims.measure import (
    FRACTION,
    Measure,
    Values,
    difference,
    share,
)
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
from tiny_gpt.claims.values import LEARNED, MASTERED, MOST, dots, final

FAMILY = Family(
    name="composition",
    title="Composition, switched on and off",
    seeds=(220, 239),
    target="exp-composition",
    page="protocol_composition.md",
    num_intervals=18,
    claims=("by_itself", "bridge", "shared_answer", "pivot_carries"),
)
LEAD = 0.2  # over a placebo
MOST_HELD_OUT = 4
SEEN = (
    "Ten seeds of these conditions, 1000 to 1009, had been seen "
    "(docs/runs/composition_pilot). Seeds 220 to 239 had not."
)
WORDS = (
    "share of the held-out words that are right and in place in A->C, greedy, "
    "over every sentence, after two demonstrations of A->C, in which held-out "
    "words may occur"
)
OF_ELIMINATION = (
    "Whoever gives the held-out A words those C words that are left over is "
    "right in 1 of h on average. 20 points are nearly half of what is left "
    "above that with two words held out; a placebo has as much text and as "
    "many updates."
)


def _words(name: str, mapping: str = "A->C"):
    return final(f"composition/{name}", mapping, tier="held_out_words")


def _mean(name: str, condition: str) -> Measure:
    return Measure(name=name, values=_words(condition), bounds=FRACTION)


def _eliminated(held_out: int) -> float:
    return 1 / held_out


_ALONE = {
    n: share(
        f"seeds below 1 of {n}, {n} words held out, nothing added",
        _words(f"held_out_{n}_none"),
        below=_eliminated(n),
    )
    for n in HELD_OUT
}
_BRIDGE = {
    n: _mean(f"{n} words held out, B->B added", f"held_out_{n}_bridge")
    for n in HELD_OUT
}
_LEADS = {
    n: difference(
        f"{n} words held out, B->B - D->D",
        _words(f"held_out_{n}_bridge"),
        _words(f"held_out_{n}_placebo"),
    )
    for n in HELD_OUT
}
_ROUTE = tuple(
    difference(
        f"B->B added: real - {name}",
        _words("held_out_2_bridge"),
        _words(f"{condition}_bridge"),
    )
    for name, condition in (
        ("scrambled", "scrambled"),
        ("no route", "no_route"),
    )
)
_COMMON = _mean(
    f"{MOST_HELD_OUT} words held out, A->E and B->E added",
    f"common_target_{MOST_HELD_OUT}",
)
_SHARED = difference(
    f"{MOST_HELD_OUT} words held out, A->E and B->E - B->E and D->E",
    _words(f"common_target_{MOST_HELD_OUT}"),
    _words(f"second_target_{MOST_HELD_OUT}"),
)
_KNOWN = tuple(
    share(
        f"seeds above 90 %, {m}, nothing added",
        _words(f"held_out_{MOST_HELD_OUT}_none", m),
        above=MASTERED,
    )
    for m in ("A->B", "B->C")
)


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
        name="by_itself",
        title="A->B and B->C compose by themselves",
        statement=(
            "The model is able to re-use previous data of different tasks; it "
            "learns latent patterns and their compositions."
        ),
        source="Sinha 2024, sec. 3.1.3 and fig. 3",
        conditions=tuple(f"composition/held_out_{n}_none" for n in HELD_OUT),
        statistic=f"{WORDS}; the same words in A->B and B->C, which are read",
        measures=(*_ALONE.values(), *_KNOWN),
        observation=observed(
            case(CONFIRMED, *(below(m.name, MOST) for m in _ALONE.values())),
            case(
                NOT_CONFIRMED,
                *(above(m.name, MOST) for m in (*_ALONE.values(), *_KNOWN)),
            ),
        ),
        margin=(
            "Whoever gives the held-out A words those C words that are left "
            "over is right in 1 of h on average. Seeds are counted, since most "
            "are at 0; more than half of all seeds is the least that 'the "
            "model does it' can mean. A network that does not know both steps "
            "says nothing about composing them."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(
                CONFIRMED,
                dict.fromkeys((m.name for m in _ALONE.values()), 0.05),
            ),
            Scenario(
                NOT_CONFIRMED,
                dict.fromkeys(
                    (m.name for m in (*_ALONE.values(), *_KNOWN)), 0.97
                ),
            ),
        ),
        figure=dots(
            "Accuracy, words held out of A->C, nothing added",
            {f"{n} held out": _words(f"held_out_{n}_none") for n in HELD_OUT},
        ),
    ),
    Claim(
        family=FAMILY,
        name="bridge",
        title="Identity pairs B->B turn composition on",
        statement=(
            "Supervising a network on a zero-hop identity task enables it to "
            "perform out-of-distribution two-hop reasoning, which it otherwise "
            "fails."
        ),
        source="Lin, Chen and Xu 2025, arXiv 2509.24653",
        conditions=(
            *(
                f"composition/held_out_{n}_{name}"
                for n in HELD_OUT
                for name in ("bridge", "placebo")
            ),
            "composition/scrambled_bridge",
            "composition/no_route_bridge",
        ),
        statistic=(
            f"{WORDS}. Explanation: two words held out; the scrambled A->C "
            "disagrees with B->C after A->B on every word, and without a route "
            "D->C stands in place of B->C. Paired differences."
        ),
        measures=(*_BRIDGE.values(), *_LEADS.values(), *_ROUTE),
        shown=tuple(
            Measure(
                name=f"{n} words held out, D->D added",
                values=_words(f"held_out_{n}_placebo"),
                bounds=FRACTION,
            )
            for n in HELD_OUT
        ),
        observation=observed(
            case(
                CONFIRMED,
                *(above(m.name, _eliminated(n)) for n, m in _BRIDGE.items()),
                *(above(m.name, LEAD) for m in _LEADS.values()),
            ),
            either(
                NOT_CONFIRMED,
                *((below(m.name, _eliminated(n)),) for n, m in _BRIDGE.items()),
                *((below(m.name, LEAD),) for m in _LEADS.values()),
            ),
        ),
        cause="The network goes from A to B and from B to C.",
        explanation=explained(
            case(
                SUPPORTED,
                *(above(m.name, _eliminated(n)) for n, m in _BRIDGE.items()),
                *(above(m.name, LEAD) for m in (*_LEADS.values(), *_ROUTE)),
            ),
            case(NOT_NEEDED, *(below(m.name, LEAD) for m in _ROUTE)),
        ),
        margin=OF_ELIMINATION,
        seen=SEEN,
        scenarios=(
            Scenario(
                CONFIRMED,
                {
                    **{
                        m.name: _eliminated(n) + 0.25
                        for n, m in _BRIDGE.items()
                    },
                    **{m.name: 0.5 for m in _LEADS.values()},
                },
            ),
            Scenario(
                NOT_CONFIRMED,
                {
                    **{m.name: 0.1 for m in _BRIDGE.values()},
                    **{m.name: 0.0 for m in _LEADS.values()},
                },
            ),
            Scenario(
                SUPPORTED,
                {
                    **{
                        m.name: _eliminated(n) + 0.25
                        for n, m in _BRIDGE.items()
                    },
                    **{m.name: 0.5 for m in (*_LEADS.values(), *_ROUTE)},
                },
            ),
            Scenario(NOT_NEEDED, dict.fromkeys((m.name for m in _ROUTE), 0.0)),
        ),
        figure=dots(
            "Accuracy, two words held out of A->C",
            {
                "B->B": _words("held_out_2_bridge"),
                "D->D": _words("held_out_2_placebo"),
                "B->B, scrambled": _words("scrambled_bridge"),
                "B->B, no route": _words("no_route_bridge"),
            },
            {"elimination": 0.5},
        ),
    ),
    Claim(
        family=FAMILY,
        name="shared_answer",
        title="No identity is needed: an answer that A and B share is enough",
        statement=(
            "Ours: A words are translated by way of B as soon as A and B have "
            "a translation in common, as A->B and B->B have B, or A->E and "
            "B->E have E."
        ),
        source="tiny_gpt, docs/composition.md",
        conditions=(
            f"composition/common_target_{MOST_HELD_OUT}",
            f"composition/second_target_{MOST_HELD_OUT}",
        ),
        statistic=(
            f"{WORDS}; four words held out, where elimination gives least. "
            "With B->E and D->E B words have a second translation, too, but "
            "share it with D. Paired differences."
        ),
        measures=(_COMMON, _SHARED),
        observation=observed(
            case(
                CONFIRMED,
                above(_COMMON.name, _eliminated(MOST_HELD_OUT)),
                above(_SHARED.name, LEAD),
            ),
            either(
                NOT_CONFIRMED,
                (below(_COMMON.name, _eliminated(MOST_HELD_OUT)),),
                (below(_SHARED.name, LEAD),),
            ),
        ),
        margin=OF_ELIMINATION,
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_COMMON.name: 0.5, _SHARED.name: 0.5}),
            Scenario(NOT_CONFIRMED, {_COMMON.name: 0.05, _SHARED.name: 0.0}),
        ),
        figure=dots(
            "Accuracy, four words held out of A->C",
            {
                "A->E and B->E": _words(f"common_target_{MOST_HELD_OUT}"),
                "B->E and D->E": _words(f"second_target_{MOST_HELD_OUT}"),
            },
            {"elimination": 0.25},
        ),
    ),
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
