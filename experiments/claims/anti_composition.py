"""Our own claims: the composed word is suppressed before it is ever read.

They are no claims of the paper. Seeds 0 to 9 and 100 to 109 suggested them.
"""

from experiments.claims.section_3.controls import (
    CURVE,
    REAL,
    SCRAMBLED,
    below_ceiling,
)
from tiny_gpt.claims.claim import Claim, Family, Scenario
from tiny_gpt.claims.measure import Measure, difference
from tiny_gpt.claims.rule import (
    CONFIRMED,
    NOT_CONFIRMED,
    NOT_NEEDED,
    SUPPORTED,
    above,
    below,
    case,
    explained,
    observed,
)
from tiny_gpt.claims.values import dots, final

FAMILY = Family(
    name="anti_composition",
    title="Anti-composition, a finding of ours",
    seeds=(200, 219),
    num_intervals=4,
    claims=("suppressed", "hinders"),
)
BLIND = 4.5  # mean rank of a guess among 8
HALF_A_RANK = 0.5
WITHOUT = "triangle/no_a_to_c"
TAGGED = "controls/tagged_no_a_to_c"
RANKS = (1.0, 8.0)
OF_RANKS = (
    "A blind guess has mean rank 4.5 of 8 at the first word, and less at later "
    "ones, where words that were given are ranked low; half a rank is what one "
    "word in two that moves by one place makes."
)
SEEN = (
    "Seeds 0 to 9 and 100 to 109 had suggested it; the prompts with a tag had "
    "been seen with seeds from 1000 on (docs/runs/pilot). Seeds 200 to 219 "
    "had not been seen."
)


def _rank(name: str, place: str) -> Measure:
    values = final(place, metric="rank", tier="all_sentences")
    return Measure(name=name, values=values, unit="count", bounds=RANKS)


_PLAIN = _rank("rank of the composed C word, no A->C read", WITHOUT)
_TAGGED = _rank("the same, prompts name the language", TAGGED)


_SLOWER = difference(
    "rank, real - scrambled, 4 to 25 pairs",
    below_ceiling(REAL, "rank"),
    below_ceiling(SCRAMBLED, "rank"),
    unit="count",
    bounds=(-7.0, 7.0),
)
_SLOWER_TAGGED = difference(
    "rank, real - scrambled, 8 pairs, prompts name the language",
    final("controls/tagged_sparse_a_to_c_8", metric="rank"),
    final("controls/tagged_scrambled_a_to_c_8", metric="rank"),
    unit="count",
    bounds=(-7.0, 7.0),
)

CLAIMS = (
    Claim(
        family=FAMILY,
        name="suppressed",
        title="The composed word is suppressed before any A->C is read",
        statement=(
            "Ours: a network that read A->B and B->C, and no A->C, ranks the "
            "C word that they compose to below the other words of C."
        ),
        source="tiny_gpt, docs/anti_composition.md",
        conditions=(WITHOUT, TAGGED),
        statistic=(
            "mean rank of the composed C word among the 8 words of C (1 is "
            "best), teacher-forced, every A sentence and all four words, after "
            "two demonstrations of A->C. Prompts with a tag are of networks "
            "with six languages and windows of 36 tokens"
        ),
        measures=(_PLAIN, _TAGGED),
        observation=observed(
            case(CONFIRMED, above(_PLAIN.name, BLIND + HALF_A_RANK)),
            case(NOT_CONFIRMED, below(_PLAIN.name, BLIND + HALF_A_RANK)),
        ),
        cause=(
            "Prompts of A->C and A->B look alike, and C words lose against B "
            "words."
        ),
        explanation=explained(
            case(NOT_NEEDED, above(_TAGGED.name, BLIND + HALF_A_RANK)),
            case(
                SUPPORTED,
                above(_PLAIN.name, BLIND + HALF_A_RANK),
                below(_TAGGED.name, BLIND + HALF_A_RANK),
            ),
        ),
        margin=OF_RANKS,
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_PLAIN.name: 6.0}),
            Scenario(NOT_CONFIRMED, {_PLAIN.name: BLIND}),
            Scenario(NOT_NEEDED, {_TAGGED.name: 6.0}),
            Scenario(SUPPORTED, {_PLAIN.name: 6.0, _TAGGED.name: BLIND}),
        ),
        figure=dots(
            "Rank of the composed word, of 8",
            {
                "no A->C": final(WITHOUT, metric="rank", tier="all_sentences"),
                "no A->C, language named": final(
                    TAGGED, metric="rank", tier="all_sentences"
                ),
            },
            {"blind guess": BLIND},
            RANKS,
        ),
    ),
    Claim(
        family=FAMILY,
        name="hinders",
        title="The composable mapping is harder to learn than a scrambled one",
        statement=(
            "Ours: below the ceiling the right word ranks lower in the real "
            "A->C than in the scrambled one."
        ),
        source="tiny_gpt, docs/anti_composition.md",
        conditions=(
            *(
                f"controls/{kind}_{n}"
                for n in CURVE
                for kind in (REAL, SCRAMBLED)
            ),
            "controls/tagged_sparse_a_to_c_8",
            "controls/tagged_scrambled_a_to_c_8",
        ),
        statistic=(
            "mean rank of the right word among the words of C, unseen "
            "sentences, mean of 4, 8, 12, 16 and 25 pairs; with a tag, 8 "
            "pairs; paired differences over seeds. The first is also a measure "
            "of the claim `composition`, at another level"
        ),
        measures=(_SLOWER, _SLOWER_TAGGED),
        observation=observed(
            case(CONFIRMED, above(_SLOWER.name, 0.0)),
            case(NOT_CONFIRMED, below(_SLOWER.name, 0.0)),
        ),
        cause=(
            "Prompts of A->C and A->B look alike, and C words lose against B "
            "words."
        ),
        explanation=explained(
            case(NOT_NEEDED, above(_SLOWER_TAGGED.name, 0.0)),
            case(
                SUPPORTED,
                above(_SLOWER.name, 0.0),
                below(_SLOWER_TAGGED.name, HALF_A_RANK),
            ),
        ),
        margin=OF_RANKS,
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_SLOWER.name: 1.0}),
            Scenario(NOT_CONFIRMED, {_SLOWER.name: -1.0}),
            Scenario(NOT_NEEDED, {_SLOWER_TAGGED.name: 1.0}),
            Scenario(SUPPORTED, {_SLOWER.name: 1.0, _SLOWER_TAGGED.name: 0.0}),
        ),
    ),
)
