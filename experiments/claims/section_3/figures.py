"""Rules of the claims that rest on the paper's figures and its table."""

from experiments.claims.section_3 import FAMILY, PILOT, SEEN, WORDS
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.measure import FRACTION, Measure, share
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    SUPPORTED,
    above,
    below,
    case,
    explained,
    observed,
)
from tiny_gpt.claims.values import (
    CHANCE,
    LEARNED,
    MASTERED,
    MOST,
    NOTHING,
    OF_SHARES,
    SPARSE,
    UNSEEN,
    dots,
    final,
)

ALONE = "triangle/a_to_c_alone"
AS_LONG = "controls/a_to_c_alone_equal_updates"
ROTATED = "controls/a_to_c_alone_rotated"
WITHOUT = "triangle/no_a_to_c"
FOUR = "four_languages/sparse_pairs"


def _learned(name: str, place: str, mapping: str = "A->C") -> Measure:
    return share(name, final(place, mapping), above=LEARNED)


def _mean(name: str, place: str, **which: str) -> Measure:
    return Measure(name=name, values=final(place, **which), bounds=FRACTION)


_ALONE = _learned("seeds above 50 %, alone, as published", ALONE)
_LONG = _learned("seeds above 50 %, as many updates, one cut", AS_LONG)
_MOVED = _learned("seeds above 50 %, as many updates, cut moved", ROTATED)
_NOTHING = share(
    "seeds below 1 %, A->C",
    final(WITHOUT, tier="all_sentences"),
    below=NOTHING,
)
_KNOWS = {
    mapping: share(
        f"seeds above 90 %, {mapping}",
        final(WITHOUT, mapping, tier="all_sentences"),
        above=MASTERED,
    )
    for mapping in ("A->B", "B->C")
}
_ENOUGH = _learned("seeds above 50 %, 50 pairs beside the majority", SPARSE)
TABLE_1 = ("D->B", "D->C", "B->C")


def worst_of_table(evidence: Evidence) -> BySeed:
    """Returns the lowest accuracy of the three sparse mappings, by seed."""
    parts = [evidence.final(FOUR, mapping) for mapping in TABLE_1]
    return {seed: min(part[seed] for part in parts) for seed in parts[0]}


_ALL_THREE = share(
    "seeds above 50 % in all three", worst_of_table, above=LEARNED
)

CLAIMS = (
    Claim(
        family=FAMILY,
        name="fig_2a",
        title="50 pairs of A->C alone are not enough",
        statement=(
            "Slow to generalise; the generalisation is very slow and "
            "negligible."
        ),
        source="Sinha 2024, fig. 2a and sec. 3.1.1",
        conditions=(ALONE, AS_LONG, ROTATED),
        statistic=WORDS,
        measures=(_ALONE, _LONG, _MOVED),
        shown=(
            _mean("alone, as published", ALONE),
            _mean("as many updates, one cut", AS_LONG),
            _mean("as many updates, cut moved", ROTATED),
        ),
        observation=observed(
            case(CONFIRMED, below(_ALONE.name, MOST)),
            case(NOT_CONFIRMED, above(_ALONE.name, MOST)),
        ),
        cause="50 pairs are too few to learn the mapping from.",
        explanation=explained(
            case(CONTRADICTED, above(_MOVED.name, MOST)),
            case(SUPPORTED, below(_MOVED.name, MOST), below(_LONG.name, MOST)),
        ),
        margin=OF_SHARES,
        seen=PILOT,
        scenarios=(
            Scenario(CONFIRMED, {_ALONE.name: 0.05}),
            Scenario(NOT_CONFIRMED, {_ALONE.name: 0.95}),
            Scenario(CONTRADICTED, {_MOVED.name: 0.95}),
            Scenario(SUPPORTED, {_MOVED.name: 0.05, _LONG.name: 0.05}),
        ),
        figure=dots(
            UNSEEN,
            {
                "as published": final(ALONE),
                "as many updates": final(AS_LONG),
                "the same, cut moved": final(ROTATED),
            },
            {"chance": CHANCE},
        ),
    ),
    Claim(
        family=FAMILY,
        name="fig_2b",
        title="Without A->C samples there is nothing",
        statement=(
            "A to C encoding generalisation is absolute zero as there are no "
            "A to C examples in the training data."
        ),
        source="Sinha 2024, fig. 2b and sec. 3.1.2",
        conditions=(WITHOUT,),
        statistic=(
            "share of words right and in place, greedy, over every sentence"
        ),
        measures=(_NOTHING, *_KNOWS.values()),
        shown=(
            _mean(
                "two real steps A->B->C",
                WITHOUT,
                mapping="A->B->C",
                tier="all_sentences",
            ),
        ),
        observation=observed(
            case(
                CONFIRMED,
                above(_NOTHING.name, MOST),
                *(above(m.name, MOST) for m in _KNOWS.values()),
            ),
            case(
                NOT_CONFIRMED,
                below(_NOTHING.name, MOST),
                *(above(m.name, MOST) for m in _KNOWS.values()),
            ),
        ),
        margin=(
            "Below 1 % is one word in a hundred, a twelfth of chance. The "
            "claim is about a network that knows A->B and B->C, so most seeds "
            "must be above 90 % in both."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_NOTHING.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_NOTHING.name: 0.05}),
        ),
        figure=dots(
            "Accuracy, all words",
            {
                m: final(WITHOUT, m, tier="all_sentences")
                for m in ("A->B", "B->C", "A->C")
            },
            {"chance": CHANCE},
        ),
    ),
    Claim(
        family=FAMILY,
        name="fig_2c",
        title="With both majorities, 50 pairs are enough",
        statement=(
            "The model is able to generalise A to C from 50 of 1680 "
            "sentences; the accuracy surpasses the memorisation ability."
        ),
        source="Sinha 2024, fig. 2c and sec. 3.1.3",
        conditions=(SPARSE,),
        statistic=(
            f"{WORDS}. A memoriser of sentences scores chance on them; one of "
            "words, of a list of 8, scores 100 % and is not excluded."
        ),
        measures=(_ENOUGH,),
        shown=(
            share("seeds above 70 %", final(SPARSE), above=0.7),
            share("seeds above 90 %", final(SPARSE), above=MASTERED),
            _mean("unseen sentences", SPARSE),
            _mean("seen sentences", SPARSE, tier="seen_sentences"),
        ),
        observation=observed(
            case(CONFIRMED, above(_ENOUGH.name, MOST)),
            case(NOT_CONFIRMED, below(_ENOUGH.name, MOST)),
        ),
        margin=OF_SHARES,
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_ENOUGH.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_ENOUGH.name: 0.05}),
        ),
        figure=dots(
            "A->C accuracy, words",
            {
                "unseen sentences": final(SPARSE),
                "seen sentences": final(SPARSE, tier="seen_sentences"),
            },
            {"chance": CHANCE},
        ),
    ),
    Claim(
        family=FAMILY,
        name="table_1",
        title="Three sparse mappings of four languages are learned",
        statement=(
            "D->B, D->C and B->C reach 93.5, 99.75 and 99.25 % with 100, 200 "
            "and 300 of 11880 sentences."
        ),
        source="Sinha 2024, table 1",
        conditions=(FOUR,),
        statistic=f"{WORDS}. The percentages need the published size.",
        measures=(_ALL_THREE,),
        shown=tuple(_mean(m, FOUR, mapping=m) for m in TABLE_1),
        observation=observed(
            case(CONFIRMED, above(_ALL_THREE.name, MOST)),
            case(NOT_CONFIRMED, below(_ALL_THREE.name, MOST)),
        ),
        margin=OF_SHARES,
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_ALL_THREE.name: 0.95}),
            Scenario(NOT_CONFIRMED, {_ALL_THREE.name: 0.05}),
        ),
        figure=dots(
            "Accuracy, words of unseen sentences",
            {m: final(FOUR, m) for m in TABLE_1},
            {"chance": 1 / 12},
        ),
    ),
)
