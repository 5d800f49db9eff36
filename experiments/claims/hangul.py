"""Rules of Hangul: re-use and composition, a family of its own."""

from experiments.hangul import NAME, SAYS
from tiny_gpt.claims.claim import Claim, Family, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.measure import (
    DIFFERENCE,
    FRACTION,
    Measure,
    Values,
    difference,
)
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    NOT_NEEDED,
    SUPPORTED,
    Rule,
    above,
    below,
    case,
    either,
    explained,
    observed,
)
from tiny_gpt.claims.values import LEARNED, MARGIN, dots, final
from tiny_gpt.tasks.hangul.task import Hangul

KINDS = ("composition", "reuse")
FAMILY = Family(
    name="hangul",
    title="Re-use and composition on words that have parts",
    seeds=(260, 269),
    target="exp-hangul",
    page="protocol_hangul.md",
    num_intervals=4 * len(SAYS),
    claims=tuple(f"{name}_{kind}" for kind in KINDS for name in SAYS),
)
NUM_LETTERS = Hangul().num_jamo  # of a place
CHANCE = 1 / NUM_LETTERS
LEAST = CHANCE + 0.1
CONTROLS = {"scrambled": "scrambled", "no route": "no_route"}
STATEMENT = (
    "The model is able to re-use previous data of different tasks; it learns "
    "latent patterns and their compositions."
)
SOURCE = "Sinha 2024, sec. 3.1.3, fig. 3 and assumption 2"
LETTERS = (
    "share of letters that are right and in place in A->C, greedy, after two "
    "demonstrations, of the syllables that A->C never showed, each asked once "
    "as the first of a sentence and once as the second. Whoever knows "
    "nothing of their parts is right in 1 of 6 on average"
)
OF_LETTERS = (
    "Ten points above a guess are made by knowing one syllable in eight and "
    "guessing the others."
)
OF_LEADS = (
    "A lead of 5 points is made by knowing one syllable in seventeen: a "
    "smaller one would not explain how the others are learned."
)
SEEN = (
    "Seeds 1000 to 1002 of the GPT in the conditions real, scrambled and no "
    "route had been seen (docs/runs/hangul_pilot), and those of GPT and GRU "
    "without A->C. Seeds 260 to 269 had not."
)


def _letters(name: str, kind: str, metric: str = "accuracy_aligned") -> Values:
    return final(f"{NAME}/{name}_{kind}", metric=metric, tier="unseen_words")


def _mean(says: str, values: Values) -> Measure:
    return Measure(name=says, values=values, bounds=FRACTION)


def _above_chance(measure: str) -> Rule:
    return observed(
        case(CONFIRMED, above(measure, LEAST)),
        case(NOT_CONFIRMED, below(measure, LEAST)),
    )


def _of_step(name: str, mapping: str) -> Measure:
    place = f"{NAME}/{name}_real"
    values = final(place, mapping, tier="all_sentences")
    return _mean(f"{mapping}, every syllable", values)


def _composed(name: str) -> Measure:
    """Returns how much more often composed letters are said than others.

    Of the n - 1 wrong letters of a place one is the composed one: whoever does
    not compose says it as often as each of the others.
    """

    def values(evidence: Evidence) -> BySeed:
        composed, others = (
            _letters(name, "scrambled", f"error_{kind}")(evidence)
            for kind in ("composed_word", "other_target_word")
        )
        return {
            seed: composed[seed] - others[seed] / (NUM_LETTERS - 2)
            for seed in composed
        }

    return Measure(
        name="scrambled: composed letter - another wrong letter",
        values=values,
        unit="difference",
        bounds=DIFFERENCE,
    )


def _composition(name: str) -> Claim:
    real = _mean("A->C, real", _letters(name, "real"))
    leads = [
        difference(
            f"real - {says}", _letters(name, "real"), _letters(name, control)
        )
        for says, control in CONTROLS.items()
    ]
    names = [lead.name for lead in leads]
    learned = above(real.name, LEAST)
    truth = {real.name: LEARNED}
    return Claim(
        family=FAMILY,
        name=f"{name}_composition",
        title=f"{SAYS[name]} spells syllables that A->C never showed",
        statement=STATEMENT,
        source=SOURCE,
        conditions=tuple(
            f"{NAME}/{name}_{kind}" for kind in ("real", *CONTROLS.values())
        ),
        statistic=(
            f"{LETTERS}. Explanation: the same where the letters of A->C are "
            "other ones than A->B and B->C compose to, and where E->C stands "
            "in place of B->C. Paired differences"
        ),
        measures=(real, *leads),
        shown=(
            _composed(name),
            *(_of_step(name, mapping) for mapping in ("A->B", "B->C")),
            difference(
                "B->B added - real",
                _letters(name, "bridge"),
                _letters(name, "real"),
            ),
        ),
        observation=_above_chance(real.name),
        cause="The network goes from A to B and from B to C.",
        explanation=explained(
            case(SUPPORTED, learned, *(above(m, MARGIN) for m in names)),
            case(CONTRADICTED, learned, *(below(m, 0.0) for m in names)),
            either(NOT_NEEDED, *((learned, below(m, MARGIN)) for m in names)),
        ),
        margin=f"{OF_LETTERS} {OF_LEADS}",
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, truth),
            Scenario(NOT_CONFIRMED, {real.name: CHANCE}),
            Scenario(SUPPORTED, truth | dict.fromkeys(names, 0.3)),
            Scenario(CONTRADICTED, truth | dict.fromkeys(names, -0.25)),
            Scenario(NOT_NEEDED, truth | dict.fromkeys(names, 0.0)),
        ),
        figure=dots(
            f"A->C, letters of syllables never shown, {SAYS[name]}",
            {
                kind.replace("_", " "): _letters(name, kind)
                for kind in ("real", *CONTROLS.values())
            },
            {"chance": CHANCE},
        ),
    )


def _reuse(name: str) -> Claim:
    scrambled = _mean("A->C, scrambled", _letters(name, "scrambled"))
    shown = {
        "unrelated": _letters(name, "unrelated"),
        "alone": _letters(name, "alone"),
    }
    return Claim(
        family=FAMILY,
        name=f"{name}_reuse",
        title=f"{SAYS[name]} re-uses the parts of a syllable",
        statement=STATEMENT,
        source=SOURCE,
        conditions=(f"{NAME}/{name}_scrambled",),
        statistic=(
            f"{LETTERS}. The letters of A->C are other ones than A->B and "
            "B->C compose to: they are learned from A->C, and can be right for "
            "such a syllable only if its parts are re-used, which A->B shows"
        ),
        measures=(scrambled,),
        shown=tuple(_mean(says, values) for says, values in shown.items()),
        observation=_above_chance(scrambled.name),
        margin=OF_LETTERS,
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {scrambled.name: LEARNED}),
            Scenario(NOT_CONFIRMED, {scrambled.name: CHANCE}),
        ),
        figure=dots(
            f"A->C, letters of syllables never shown, {SAYS[name]}",
            {
                kind: _letters(name, kind)
                for kind in ("scrambled", "unrelated", "alone")
            },
            {"chance": CHANCE},
        ),
    )


CLAIMS = (*map(_composition, SAYS), *map(_reuse, SAYS))
