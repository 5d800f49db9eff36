"""The rules, the same for each network."""

from experiments.claims.networks import ALIKE, FAMILY, LEAD, RIVALS, SEEN
from experiments.claims.networks.thresholds import ratio
from experiments.networks import NAME, PAIRS, REFERENCE, SAYS, SPARSE
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.measure import (
    FRACTION,
    MEDIAN,
    Measure,
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
    within,
)
from tiny_gpt.claims.values import (
    CHANCE,
    HALF_A_RANK,
    LEARNED,
    MOST,
    OF_RANKS,
    OF_SHARES,
    dots,
    final,
)

ELIMINATION = 0.5  # two words held out
SIZE = 8  # words of a language
CONTROLS = {"scrambled": "scrambled", "no route": "no_route"}
WORDS = (
    "share of words that are right and in place in A->C, greedy, over every "
    "unseen sentence, after two demonstrations of A->C"
)
OF_RATIOS = (
    "Half as many pairs, or twice as many, is what a new drawing of words and "
    "sentences changes in the GPT itself: in its sweep half of all seeds need "
    "38 pairs, and the interval over ten seeds spans 26 to 67."
)


def _final(name: str, kind: str | int, tier: str = "unseen_sentences"):
    return final(f"{NAME}/{name}_{kind}", tier=tier)


def _rank(name: str, kind: str | int):
    return final(f"{NAME}/{name}_{kind}", metric="rank")


def _pairs(name: str) -> Claim:
    measures = [
        Measure(
            name=f"pairs for {threshold:.0%}: {SAYS[name]} / GPT",
            values=ratio(name, threshold),
            unit="ratio",
            kind=MEDIAN,
        )
        for threshold in (LEARNED, 0.7, 0.9)
    ]
    decisive = measures[0].name
    low, high = ALIKE
    return Claim(
        family=FAMILY,
        name=f"{name}_pairs",
        title=f"{SAYS[name]} needs as many rare pairs as the GPT",
        statement=(
            "Recurrent networks, such as GRUs and LSTMs, were not studied; the "
            "theoretical insights could extend to them as well."
        ),
        source="Sinha 2024, sec. 4.1",
        conditions=tuple(
            f"{NAME}/{each}_{n}" for each in (name, REFERENCE) for n in PAIRS
        ),
        statistic=(
            f"{WORDS}. The threshold of a seed is the number of pairs at which "
            f"it first reaches 50 %, linear in the logarithm between two of "
            f"{', '.join(map(str, PAIRS))}; one that is not reached is "
            "infinite, one that the smallest number reaches is 0. The ratio "
            "is that of the same seed; if both thresholds are infinite, or "
            "both 0, it is unknown, and each end of the interval counts it "
            "where it makes the interval wider"
        ),
        measures=(measures[0],),
        shown=tuple(measures[1:]),
        observation=observed(
            case(CONFIRMED, within(decisive, low, high)),
            either(
                NOT_CONFIRMED,
                (above(decisive, high),),
                (below(decisive, low),),
            ),
        ),
        margin=OF_RATIOS,
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {decisive: 1.0}),
            Scenario(NOT_CONFIRMED, {decisive: 4.0}),
        ),
    )


def _rare_pair(name: str) -> Claim:
    learned = share(
        f"seeds above 50 %, {SPARSE} pairs", _final(name, SPARSE), above=LEARNED
    )
    leads = [
        difference(
            f"rank, real - {says}",
            _rank(name, SPARSE),
            _rank(name, control),
            unit="count",
            bounds=(1.0 - SIZE, SIZE - 1.0),
        )
        for says, control in CONTROLS.items()
    ]
    accuracies = [
        difference(
            f"accuracy, real - {says}",
            _final(name, SPARSE),
            _final(name, control),
        )
        for says, control in CONTROLS.items()
    ]
    ranks = [lead.name for lead in leads]
    return Claim(
        family=FAMILY,
        name=f"{name}_rare_pair",
        title=f"{SAYS[name]} learns A->C from {SPARSE} pairs",
        statement=(
            "A rare mapping is learned from 50 sentence pairs beside two "
            "common ones."
        ),
        source="Sinha 2024, sec. 3.1.2 and fig. 2c, said of a GPT",
        conditions=tuple(
            f"{NAME}/{name}_{kind}" for kind in (SPARSE, *CONTROLS.values())
        ),
        statistic=(
            f"Observation: {WORDS}. Explanation: mean rank of the right word "
            "among the words of C, teacher-forced, the same sentences; a "
            "scrambled A->C disagrees with B->C after A->B on every word, and "
            "without a route D->C stands in place of B->C. Paired differences"
        ),
        measures=(learned, *leads),
        shown=tuple(accuracies),
        observation=observed(
            case(CONFIRMED, above(learned.name, MOST)),
            case(NOT_CONFIRMED, below(learned.name, MOST)),
        ),
        cause="The network goes from A to B and from B to C.",
        explanation=explained(
            case(
                SUPPORTED,
                above(learned.name, MOST),
                *(below(m, -HALF_A_RANK) for m in ranks),
            ),
            case(
                CONTRADICTED,
                above(learned.name, MOST),
                *(above(m, 0.0) for m in ranks),
            ),
            case(
                NOT_NEEDED,
                above(learned.name, MOST),
                *(above(m, -HALF_A_RANK) for m in ranks),
            ),
        ),
        margin=f"{OF_SHARES} {OF_RANKS}",
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {learned.name: 0.95}),
            Scenario(NOT_CONFIRMED, {learned.name: 0.05}),
            Scenario(
                SUPPORTED, {learned.name: 0.95, **dict.fromkeys(ranks, -1.5)}
            ),
            Scenario(
                NOT_NEEDED, {learned.name: 0.95, **dict.fromkeys(ranks, 0.0)}
            ),
        ),
        figure=dots(
            f"A->C, words of unseen sentences, {SAYS[name]}",
            {
                "real": _final(name, SPARSE),
                **{k: _final(name, v) for k, v in CONTROLS.items()},
            },
            {"chance": CHANCE},
        ),
    )


def _bridge(name: str) -> Claim:
    held = "held_out_words"
    mean = Measure(
        name="held-out words, B->B added",
        values=_final(name, "held_out_bridge", held),
        bounds=FRACTION,
    )
    lead = difference(
        "held-out words, B->B - nothing added",
        _final(name, "held_out_bridge", held),
        _final(name, "held_out", held),
    )
    return Claim(
        family=FAMILY,
        name=f"{name}_bridge",
        title=f"Identity pairs B->B turn composition on in {SAYS[name]}",
        statement=(
            "In the GPT, A words that A->C never showed are translated into C "
            "by way of B as soon as identity pairs of B are added."
        ),
        source="tiny_gpt, docs/composition.md",
        conditions=tuple(
            f"{NAME}/{name}_{kind}" for kind in ("held_out", "held_out_bridge")
        ),
        statistic=(
            "share of the two held-out words that are right and in place in "
            "A->C, greedy, over every sentence, after two demonstrations. "
            "Paired differences"
        ),
        measures=(mean, lead),
        observation=observed(
            case(
                CONFIRMED,
                above(mean.name, ELIMINATION),
                above(lead.name, LEAD),
            ),
            either(
                NOT_CONFIRMED,
                (below(mean.name, ELIMINATION),),
                (below(lead.name, LEAD),),
            ),
        ),
        margin=(
            "Whoever gives the two held-out A words the two C words that are "
            "left over is right in 1 of 2 on average. 20 points are nearly "
            "half of what is left above that."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {mean.name: 0.75, lead.name: 0.5}),
            Scenario(NOT_CONFIRMED, {mean.name: 0.1, lead.name: 0.0}),
        ),
        figure=dots(
            f"Accuracy, two words held out of A->C, {SAYS[name]}",
            {
                "nothing added": _final(name, "held_out", held),
                "B->B added": _final(name, "held_out_bridge", held),
            },
            {"elimination": ELIMINATION},
        ),
    )


CLAIMS = (
    *map(_pairs, RIVALS),
    *map(_rare_pair, RIVALS),
    *map(_bridge, RIVALS),
)
