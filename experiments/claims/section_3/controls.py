"""Rules of the claims that a control decides."""

from experiments import controls
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
    series,
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
    """Real A->C against a scrambled one and against no route, by pairs."""
    kinds = {
        "real": "sparse_a_to_c",
        "scrambled": "scrambled_a_to_c",
        "no route": "no_route_to_c",
    }

    def at(kind: str, num_pairs: int) -> BySeed:
        end = "" if num_pairs == 50 else f"_{num_pairs}"
        return evidence.final(f"controls/{kinds[kind]}{end}")

    by_kind = {kind: [at(kind, x) for x in controls.CURVE] for kind in kinds}
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
        {
            "kind": "curve",
            "axis": UNSEEN,
            "x_axis": "A->C sentence pairs",
            "log_x": True,
            "series": [
                series(evidence, kind, controls.CURVE, values)
                for kind, values in by_kind.items()
            ],
            "lines": {"chance": CHANCE},
        },
    )


def new_words(evidence: Evidence) -> Decision:
    """A words that never occur in A->C, known from A->B."""
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
        said = ": not merely second best, but learned not to occur here"
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
    """Pre-trained against fresh, and the related majority against another."""
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
