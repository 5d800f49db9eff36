"""Rules of the claims that a control decides."""

from experiments import controls
from experiments.claims.section_3 import FAMILY, PILOT, SEEN, WORDS
from experiments.controls_curve import KINDS, describe_curve
from tiny_gpt.claims.claim import Claim, Scenario
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
    CHANCE,
    HALF_A_RANK,
    IN_LANGUAGE,
    LEARNED,
    MARGIN,
    MOST,
    OF_ACCURACY,
    OF_RANKS,
    OF_SHARES,
    TRANSLATED,
    dots,
    final,
    mean_of,
)

CURVE = controls.CURVE[:-1]  # at 50 pairs everything is near its ceiling
REAL, SCRAMBLED, NO_ROUTE = KINDS.values()
SIZE = 8  # words of a language


def below_ceiling(kind: str, metric: str) -> Values:
    """Returns the reader of the mean over all numbers of pairs but 50."""
    return mean_of(
        [final(f"controls/{kind}_{n}", metric=metric) for n in CURVE]
    )


def _lead(control: str, name: str, metric: str = "rank") -> Measure:
    is_rank = metric == "rank"
    return difference(
        f"{'rank of the right C word' if is_rank else metric}, real - {name}",
        below_ceiling(REAL, metric),
        below_ceiling(control, metric),
        unit="count" if is_rank else "difference",
        bounds=(1.0 - SIZE, SIZE - 1.0) if is_rank else None,
    )


_FIFTY = share(
    "seeds above 50 %, 50 pairs", final(f"controls/{REAL}"), above=LEARNED
)
_SCRAMBLED = _lead(SCRAMBLED, "scrambled")
_NO_ROUTE = _lead(NO_ROUTE, "no route")
_RANKS = (_SCRAMBLED.name, _NO_ROUTE.name)

_HELD_OUT = [f"controls/held_out_{n}" for n in (1, 2, 3)]


def _held_out(metric: str, mapping: str = "A->C"):
    return mean_of(
        [final(p, mapping, metric, "held_out_words") for p in _HELD_OUT]
    )


_OUTSIDE = share(
    "seeds below chance, held-out words in A->C",
    _held_out("accuracy_aligned"),
    below=CHANCE,
)


def _few(kind: str, metric: str = IN_LANGUAGE):
    places = [f"controls/{kind}_{n}" for n in controls.FEW]
    return mean_of([final(place, metric=metric) for place in places])


_BETTER = difference("balanced - alone", _few("balanced"), _few("alone"))
_RELATED = difference(
    "related - unrelated majority, balanced",
    _few("balanced"),
    _few("balanced_unrelated"),
)


CLAIMS = (
    Claim(
        family=FAMILY,
        name="composition",
        title="A->C is learned by composing A->B and B->C",
        statement=(
            "The model is able to re-use previous data of different tasks and "
            "a few hints of the A to C training data; it learns latent "
            "patterns and their compositions."
        ),
        source="Sinha 2024, sec. 3.1.3, assumption 2 and fig. 3",
        conditions=tuple(
            f"controls/{kind}{end}"
            for end in ("", *(f"_{n}" for n in CURVE))
            for kind in (REAL, SCRAMBLED, NO_ROUTE)
        ),
        statistic=(
            f"Observation: {WORDS}, 50 pairs. Explanation: mean rank of the "
            "right word among the words of C, teacher-forced, unseen "
            "sentences, mean of 4, 8, 12, 16 and 25 pairs (50 is a ceiling "
            "for all); paired differences over seeds."
        ),
        measures=(_FIFTY, _SCRAMBLED, _NO_ROUTE),
        shown=(
            *(
                _lead(control, name, metric)
                for metric in ("accuracy_aligned", IN_LANGUAGE)
                for control, name in (
                    (SCRAMBLED, "scrambled"),
                    (NO_ROUTE, "no route"),
                )
            ),
        ),
        observation=observed(
            case(CONFIRMED, above(_FIFTY.name, MOST)),
            case(NOT_CONFIRMED, below(_FIFTY.name, MOST)),
        ),
        cause="The network goes from A to B and from B to C.",
        explanation=explained(
            case(
                SUPPORTED,
                above(_FIFTY.name, MOST),
                *(below(m, -HALF_A_RANK) for m in _RANKS),
            ),
            case(CONTRADICTED, *(above(m, 0.0) for m in _RANKS)),
            case(NOT_NEEDED, *(above(m, -HALF_A_RANK) for m in _RANKS)),
        ),
        margin=f"{OF_SHARES} {OF_RANKS}",
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_FIFTY.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_FIFTY.name: 0.05}),
            Scenario(
                SUPPORTED, {_FIFTY.name: 0.95, **dict.fromkeys(_RANKS, -1.5)}
            ),
            Scenario(NOT_NEEDED, dict.fromkeys(_RANKS, 0.25)),
            Scenario(CONTRADICTED, dict.fromkeys(_RANKS, 1.0)),
        ),
        figure=describe_curve,
    ),
    Claim(
        family=FAMILY,
        name="out_of_distribution",
        title="Words never shown in A->C are not translated",
        statement=(
            "GPT models are unable to generate data that is truly "
            "out-of-distribution."
        ),
        source="Sinha 2024, sec. 1",
        conditions=tuple(_HELD_OUT),
        statistic=(
            "share of the held-out words right and in place, averaged over 1, "
            "2 and 3 held-out words"
        ),
        measures=(_OUTSIDE,),
        shown=(
            Measure(
                name="held-out words in A->C",
                values=_held_out("accuracy_aligned"),
                bounds=FRACTION,
            ),
            *(
                Measure(
                    name=f"the same words in {m}",
                    values=_held_out("accuracy_aligned", m),
                    bounds=FRACTION,
                )
                for m in ("A->B", "B->C")
            ),
            Measure(
                name="rank of the right word, of 8",
                values=_held_out("rank"),
                unit="count",
                bounds=(1.0, 8.0),
            ),
        ),
        observation=observed(
            case(CONFIRMED, above(_OUTSIDE.name, MOST)),
            case(NOT_CONFIRMED, below(_OUTSIDE.name, MOST)),
        ),
        margin=(
            "A guess among the words of C is right in 12.5 %. More than half "
            "of all seeds must stay below."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_OUTSIDE.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_OUTSIDE.name: 0.05}),
        ),
        figure=dots(
            "Accuracy, words held out of A->C",
            {
                "A->C": _held_out("accuracy_aligned"),
                "same words, A->B": _held_out("accuracy_aligned", "A->B"),
                "same words, B->C": _held_out("accuracy_aligned", "B->C"),
            },
            {"chance": CHANCE},
        ),
    ),
    Claim(
        family=FAMILY,
        name="assumption_2",
        title="What was learned before is used again",
        statement=(
            "A causal GPT learns latent pattern variables and their "
            "compositions and thus performs better than a freshly trained "
            "model on the same task."
        ),
        source="Sinha 2024, assumption 2",
        conditions=tuple(
            f"controls/{kind}_{n}"
            for n in controls.FEW
            for kind in ("alone", "balanced", "balanced_unrelated")
        ),
        statistic=(
            f"{TRANSLATED}; mean of 4, 8 and 16 A->C pairs, where fresh "
            "models are below their ceiling. Beside a majority A->C is "
            "repeated to a third of the text; alone it is all of it. Paired "
            "differences."
        ),
        measures=(_BETTER, _RELATED),
        shown=tuple(
            Measure(
                name=f"{says}{end}",
                values=_few(kind, metric),
                bounds=FRACTION,
            )
            for kind, says in (
                ("alone", "alone"),
                ("balanced", "beside A->B and B->C"),
                ("balanced_unrelated", "beside D->E and E->F"),
            )
            for metric, end in (
                (IN_LANGUAGE, ""),
                ("accuracy_aligned", ", of all words"),
            )
        ),
        observation=observed(
            case(CONFIRMED, above(_BETTER.name, MARGIN)),
            case(NOT_CONFIRMED, below(_BETTER.name, MARGIN)),
        ),
        cause="Patterns of A->B and B->C are common to A->C.",
        explanation=explained(
            case(SUPPORTED, above(_RELATED.name, MARGIN)),
            case(CONTRADICTED, below(_RELATED.name, -MARGIN)),
            case(NOT_NEEDED, below(_RELATED.name, MARGIN)),
        ),
        margin=OF_ACCURACY,
        seen=PILOT,
        scenarios=(
            Scenario(CONFIRMED, {_BETTER.name: 0.15}),
            Scenario(NOT_CONFIRMED, {_BETTER.name: 0.0}),
            Scenario(SUPPORTED, {_RELATED.name: 0.15}),
            Scenario(NOT_NEEDED, {_RELATED.name: 0.0}),
            Scenario(CONTRADICTED, {_RELATED.name: -0.15}),
        ),
    ),
)
