"""Rules of the claims that a control decides."""

from experiments import controls
from experiments.claims.section_3 import FAMILY, WORDS
from tiny_gpt.claims.claim import QUICK, UNSEEN_RUNS, Claim
from tiny_gpt.claims.evidence import (
    EXPLAINED,
    REFUTED,
    REPRODUCED,
    UNDECIDED,
    BySeed,
    Decision,
    Evidence,
    average,
    effect,
    points,
    strip,
)
from tiny_gpt.claims.verdict import (
    CHANCE,
    LEARNED,
    MARGIN,
    UNSEEN,
    decide,
    signed,
    verdict_of,
)

CURVE = controls.CURVE[:-1]  # at 50 pairs everything is near its ceiling


def composition(evidence: Evidence) -> Decision:
    """Compares A->C with a scrambled one and with no route, by pairs."""
    by_kind = controls.accuracy_by_pairs(evidence)
    below = {
        kind: average(values[: len(CURVE)]) for kind, values in by_kind.items()
    }
    scrambled = evidence.difference(below["real"], below["scrambled"])
    no_route = evidence.difference(below["real"], below["no route"])
    at_fifty = {
        kind: evidence.mean(values[-1]) for kind, values in by_kind.items()
    }
    is_needed = min(scrambled.low, no_route.low) > MARGIN
    is_as_good = min(scrambled.high, no_route.high) < MARGIN
    is_learned = at_fifty["real"].low > LEARNED
    verdict = UNDECIDED
    if is_as_good:
        verdict = EXPLAINED if is_learned else REFUTED
    elif is_needed:
        verdict = REPRODUCED
    pivot = evidence.mean(
        evidence.final(
            "controls/sparse_a_to_c", "A->B->C", tier="all_sentences"
        )
    )
    fifty = ", ".join(f"{k} {points(m)}" for k, m in at_fifty.items())
    return decide(
        evidence,
        verdict,
        f"With 50 pairs: {fifty}. Averaged over {CURVE[0]} to {CURVE[-1]} "
        "pairs the real mapping is ahead of the scrambled one by "
        f"{signed(scrambled)} points and of no route by {signed(no_route)}.",
        [
            effect("real - scrambled, 4 to 25 pairs", scrambled, "difference"),
            effect("real - no route, 4 to 25 pairs", no_route, "difference"),
            *(
                effect(f"{kind}, 50 pairs", mean, "fraction")
                for kind, mean in at_fifty.items()
            ),
            effect("two real steps A->B->C", pivot, "fraction"),
        ],
        controls.describe_curve(evidence),
    )


def new_words(evidence: Evidence) -> Decision:
    """Scores A words that never occur in A->C, but do in A->B."""
    places = [f"controls/held_out_{n}" for n in (1, 2, 3)]

    def over(mapping: str, metric: str, tier: str = "held_out_words") -> BySeed:
        return average(
            [evidence.final(p, mapping, metric, tier) for p in places]
        )

    accuracy = over("A->C", "accuracy_aligned")
    others = evidence.final(places[1])
    known = {m: over(m, "accuracy_aligned") for m in ("A->B", "B->C")}
    rank = evidence.mean(over("A->C", "rank"), (1.0, 8.0))
    probability = evidence.mean(over("A->C", "probability"))
    mean = evidence.mean(accuracy)
    said = ""
    if mean.high < CHANCE and rank.low > 4.5:
        said = ": the network ranks it below a blind guess"
    # The claim is that nothing out of the distribution is produced.
    return decide(
        evidence,
        verdict_of(mean.high < CHANCE, mean.low > 2 * CHANCE),
        f"{points(mean)} of the words held out of A->C are right, while the "
        f"same words are {points(evidence.mean(known['A->B']))} right in A->B "
        f"and {points(evidence.mean(known['B->C']))} in B->C. The right word "
        f"has mean rank {rank.value:.1f} of 8 ({rank.low:.1f} to "
        f"{rank.high:.1f}; a blind guess has 4.5) and probability "
        f"{probability.value:.4f}{said}.",
        [
            effect("held-out words in A->C", mean, "fraction"),
            effect("rank of the right word, of 8", rank, "count"),
            effect("probability of the right word", probability, "probability"),
        ],
        strip(
            evidence,
            "Accuracy, words held out of A->C",
            {
                "A->C": accuracy,
                "same words, A->B": known["A->B"],
                "same words, B->C": known["B->C"],
                "A->C, unseen sentences": others,
            },
            {"chance": CHANCE},
        ),
    )


def reuse(evidence: Evidence) -> Decision:
    """Compares pre-trained with fresh, and a related majority with another."""
    fresh = evidence.final("controls/a_to_c_alone_equal_tokens")
    pretrained = evidence.final("controls/pretrained")
    related = evidence.final("controls/sparse_a_to_c")
    unrelated = evidence.final("controls/unrelated_majority")
    gain = evidence.difference(pretrained, fresh)
    of_relation = evidence.difference(related, unrelated)
    verdict = verdict_of(
        gain.low > MARGIN and of_relation.low > MARGIN, gain.high < MARGIN
    )
    if gain.low > MARGIN and of_relation.high < MARGIN:
        verdict = EXPLAINED
    return decide(
        evidence,
        verdict,
        f"At equal updates on the 50 pairs, a pre-trained model is ahead of a "
        f"fresh one by {signed(gain)} points. Trained together, A->B and "
        f"B->C help more than D->E and E->F by {signed(of_relation)}.",
        [
            effect("pre-trained - fresh", gain, "difference"),
            effect("related - unrelated majority", of_relation, "difference"),
        ],
        strip(
            evidence,
            UNSEEN,
            {
                "fresh": fresh,
                "pre-trained": pretrained,
                "together, A->B, B->C": related,
                "together, D->E, E->F": unrelated,
            },
            {"chance": CHANCE},
        ),
    )


_CURVES = tuple(
    f"controls/{kind}{end}"
    for end in ("", "_25", "_16", "_12", "_8", "_4")
    for kind in ("sparse_a_to_c", "scrambled_a_to_c", "no_route_to_c")
)
_PROTOTYPE = (
    "Written after a prototype of 2 or 3 seeds had been seen (other code, the "
    "same small size), and before any run of these conditions."
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
        decided_on=QUICK,
        conditions=_CURVES,
        statistic=(
            WORDS
            + "; paired differences over seeds, averaged over 4, 8, 12, 16 "
            "and 25 A->C pairs (50 is a ceiling for all)"
        ),
        rule=(
            "Reproduced if the real mapping is ahead of both the scrambled "
            "one and the one without a route by more than 5 points; otherwise "
            "explained if either control comes within 5 points and 50 real "
            "pairs reach more than 50 %."
        ),
        rule_history=_PROTOTYPE,
        num_intervals=3,
        decide=composition,
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
        decided_on=QUICK,
        conditions=tuple(f"controls/held_out_{n}" for n in (1, 2, 3)),
        statistic=(
            "share of the held-out words right and in place, averaged over 1, "
            "2 and 3 held-out words"
        ),
        rule=(
            "Reproduced if the interval ends below chance, 12.5 %; not "
            "reproduced if it starts above 25 %."
        ),
        rule_history=(
            "Written after a prototype and two runs of `held_out_2` had been "
            "seen."
        ),
        num_intervals=1,
        decide=new_words,
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
        decided_on=QUICK,
        conditions=(
            "controls/pretrained",
            "controls/a_to_c_alone_equal_tokens",
            "controls/sparse_a_to_c",
            "controls/unrelated_majority",
        ),
        statistic=WORDS + "; paired differences over seeds",
        rule=(
            "Reproduced if the pre-trained model is ahead of the fresh one, "
            "at equal updates on the 50 pairs, by more than 5 points, and the "
            "related majority helps more than the unrelated one by more than "
            "5; otherwise explained if the unrelated one helps as much, "
            "within 5."
        ),
        rule_history=UNSEEN_RUNS,
        num_intervals=2,
        decide=reuse,
    ),
)
