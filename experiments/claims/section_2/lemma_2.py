"""Rules of lemma 2 with equation 3: from A to B by a delta."""

import math

from experiments.claims.section_2 import FAMILY, SEEN
from experiments.claims.section_2.lemma_1 import POSITIVE, TENTH
from experiments.measurements.shift import LABELS
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.measure import (
    DIFFERENCE,
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
    either,
    explained,
    observed,
)
from tiny_gpt.claims.values import (
    CHANCE,
    LEARNED,
    MARGIN,
    MASTERED,
    MOST,
    OF_ACCURACY,
    OF_SHARES,
    dots,
    measured,
)


def _shifted(
    tier: str, prompt: str, metric: str, mapping: str = "A->C"
) -> Values:
    return measured(
        "theory/shift",
        mapping=mapping,
        tier=tier,
        prompt=prompt,
        metric=metric,
    )


def _accuracy(label: str) -> Values:
    metric = "accuracy_teacher_forced"
    return _shifted("lsa", "2_demonstrations", metric, label)


def _residual(prompt: str) -> Values:
    return _shifted("lsa", prompt, "residual")


def _greedy(kind: str, tier: str = "gpt") -> Values:
    return _shifted(tier, "0_demonstrations", f"greedy_{kind}")


_KNOWS = tuple(
    share(f"seeds above 90 %, {m}", _accuracy(m), above=MASTERED)
    for m in LABELS
)
_LEFT = Measure(
    name="residual of equation 3",
    values=_residual("matched"),
    unit="ratio",
    bounds=FRACTION,
)
_OTHERS = difference(
    "residual of other B words - matched",
    _residual("shuffled"),
    _residual("matched"),
    unit="ratio",
    bounds=DIFFERENCE,
)
# Such a model is what the lemma is about.
_IS_MEANT = tuple(above(m.name, MOST) for m in _KNOWS)

_EXACT = share(
    "seeds above 90 %, exact deltas", _greedy("exact"), above=MASTERED
)
_ONE = share("seeds above 50 %, one delta", _greedy("mean"), above=LEARNED)
_NOTHING = difference("one delta - nothing", _greedy("mean"), _greedy("none"))
_MIXED = difference(
    "one delta - its coordinates shuffled",
    _greedy("mean"),
    _greedy("shuffled"),
)
_GAINS = (_NOTHING.name, _MIXED.name)
# Nothing follows from a GPT that does not translate B->C.
_TRANSLATES = above(_EXACT.name, MOST)


CLAIMS = (
    Claim(
        family=FAMILY,
        name="lemma_2",
        title="Equation 3 relates A to B in linear attention",
        statement=(
            "If x_AC + delta = x_BC yields the same correct output for C, and "
            "the model is a single-layer, single-head LSA transformer that "
            "can generalise A->B, B->C and A->C, there is a relationship "
            "among delta, x_AC and x_BC: equation 3."
        ),
        source="Sinha 2024, lemma 2 and eq. 3",
        conditions=("theory/shift",),
        statistic=(
            "The proof's f(z_i + delta_i + z_j + delta_j) is read as f(z_i + "
            "delta_i, z_j + delta_j). Its step from equal outputs to equal f "
            "of every pair is not valid, since delta changes the values, too; "
            "and delta = 0, delta_i = -2 z_i, and whatever K^T Q does not see "
            "solve equation 3 without any B. Read as a measurement: norm of "
            "the sum of the three terms over the sum of their norms, delta "
            "from A words to the B words that translate them, mean over "
            "sentences; the same with B words that do not correspond. The "
            "model is trained on as many pairs of each mapping, and must know "
            "all three"
        ),
        measures=(*_KNOWS, _LEFT, _OTHERS),
        shown=(
            *(
                Measure(name=m, values=_accuracy(m), bounds=FRACTION)
                for m in LABELS
            ),
            *(
                Measure(
                    name=says,
                    values=_shifted("lsa", prompt, metric),
                    unit="ratio",
                    bounds=POSITIVE,
                )
                for says, prompt, metric in (
                    ("residual over f", "matched", "residual_over_f"),
                    (
                        "residual over f, where answers are given",
                        "matched",
                        "residual_over_f_answers",
                    ),
                    ("change of the output", "matched", "output_difference"),
                    (
                        "change of the output, other B words",
                        "shuffled",
                        "output_difference",
                    ),
                )
            ),
        ),
        observation=observed(
            case(CONFIRMED, *_IS_MEANT, below(_LEFT.name, TENTH)),
            case(NOT_CONFIRMED, *_IS_MEANT, above(_LEFT.name, TENTH)),
        ),
        cause="The delta leads to the B words that translate the A words.",
        explanation=explained(
            case(SUPPORTED, *_IS_MEANT, above(_OTHERS.name, MARGIN)),
            case(CONTRADICTED, *_IS_MEANT, below(_OTHERS.name, -MARGIN)),
            case(NOT_NEEDED, *_IS_MEANT, below(_OTHERS.name, MARGIN)),
        ),
        margin=(
            "The equation says 0, and unrelated terms leave 0.58 of their "
            "norms; a tenth is the largest rest that still counts as none. "
            "Half of that tells two kinds of B words apart. A model knows a "
            "mapping above 90 %, and most seeds must know all three."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_LEFT.name: 0.05}),
            Scenario(NOT_CONFIRMED, {_LEFT.name: 0.3}),
            Scenario(SUPPORTED, {_OTHERS.name: 0.15}),
            Scenario(NOT_NEEDED, {_OTHERS.name: 0.0}),
            Scenario(CONTRADICTED, {_OTHERS.name: -0.15}),
        ),
        figure=dots(
            "Residual of equation 3 (share of its terms)",
            {
                "B words that translate": _residual("matched"),
                "other B words": _residual("shuffled"),
            },
            {"a tenth": TENTH, "unrelated terms": 1 / math.sqrt(3)},
        ),
    ),
    Claim(
        family=FAMILY,
        name="lemma_2_delta",
        title="One delta turns A->C into B->C",
        statement=(
            "x_AC + delta = x_BC yields the same correct output for C in the "
            "model."
        ),
        source="Sinha 2024, lemma 2",
        conditions=("theory/shift",),
        statistic=(
            "With a delta for each word this is true by construction, the "
            "prompt of B->C being asked; read as one vector for all words, "
            "mean B embedding minus mean A embedding over the other words. "
            "Added to the A words at the embedding of the trained GPT, no "
            "demonstration: share of C words right, greedy, unseen sentences. "
            "Explanation: paired differences to nothing added, and to the "
            "same vector with its coordinates shuffled"
        ),
        measures=(_EXACT, _ONE, _NOTHING, _MIXED),
        shown=tuple(
            Measure(name=says, values=values, bounds=FRACTION)
            for says, values in (
                ("one delta", _greedy("mean")),
                ("exact deltas", _greedy("exact")),
                ("deltas of another word", _greedy("other_word")),
                ("one delta, LSA", _greedy("mean", "lsa")),
                ("solution of equation 3, LSA", _greedy("solved", "lsa")),
            )
        ),
        observation=observed(
            case(CONFIRMED, _TRANSLATES, above(_ONE.name, MOST)),
            case(NOT_CONFIRMED, _TRANSLATES, below(_ONE.name, MOST)),
        ),
        cause="B words differ from their A words by one vector.",
        explanation=explained(
            case(SUPPORTED, _TRANSLATES, *(above(g, MARGIN) for g in _GAINS)),
            either(
                CONTRADICTED,
                *((_TRANSLATES, below(g, -MARGIN)) for g in _GAINS),
            ),
            either(
                NOT_NEEDED,
                *((_TRANSLATES, below(g, MARGIN)) for g in _GAINS),
            ),
        ),
        margin=(
            f"{OF_ACCURACY} {OF_SHARES} Exact deltas are the prompt of B->C "
            "itself, which most seeds must answer above 90 %."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_ONE.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_ONE.name: 0.05}),
            Scenario(SUPPORTED, dict.fromkeys(_GAINS, 0.15)),
            Scenario(NOT_NEEDED, dict.fromkeys(_GAINS, 0.0)),
            Scenario(CONTRADICTED, dict.fromkeys(_GAINS, -0.15)),
        ),
        figure=dots(
            "Accuracy, C words for shifted A words",
            {
                "nothing added": _greedy("none"),
                "one delta": _greedy("mean"),
                "the same, shuffled": _greedy("shuffled"),
                "exact, by word": _greedy("exact"),
                "of another word": _greedy("other_word"),
            },
            {"chance": CHANCE},
        ),
    ),
)
