"""Rules of assumption 1: contexts are mappings."""

import math

import numpy as np

from experiments.claims.section_2 import FAMILY
from experiments.claims.section_2.context_equations import (
    FREE,
    MOST,
    PLACE,
    SEEN,
    nats,
    read,
)
from experiments.measurements.contexts import (
    COMMON,
    FALSE_PAIR,
    MIXED,
    RARE,
    SPARSE,
    demonstrated,
    mixed,
    tier_of,
)
from tiny_gpt.claims.claim import QUICK, Claim
from tiny_gpt.claims.evidence import (
    EXPLAINED,
    BySeed,
    Decision,
    Evidence,
    average,
    by_seed,
    effect,
    points,
    strip,
)
from tiny_gpt.claims.verdict import (
    LEARNED,
    MARGIN,
    decide,
    epochs_of,
    signed,
    verdict_of,
)

# A right word with probability 0.95, nats.
NEAR_BAYES = -math.log(1 - MARGIN)


def mixture_of_contexts(evidence: Evidence) -> Decision:
    """Measures the mass outside the contexts, and how the prompt moves it."""
    most = MOST[SPARSE]
    outside = {}
    for kind in ("right_words", "languages"):
        for label in (RARE, COMMON):
            by_prompt = [
                read(evidence, f"outside_{kind}", "all", demonstrated(i, label))
                for i in range(1, most + 1)
            ]
            outside[kind, label] = evidence.mean(average(by_prompt))
    prompts = {
        "no demonstration": demonstrated(0, RARE),
        f"{most} of A->C": demonstrated(most, RARE),
        f"{most} of A->B": demonstrated(most, COMMON),
        "A->C, then A->B": mixed(MIXED[0]),
        "A->B, then A->C": mixed(MIXED[1]),
        "one false pair": FALSE_PAIR,
    }
    masses = {
        name: read(evidence, "language_mass", RARE, prompt)
        for name, prompt in prompts.items()
    }
    moved = evidence.difference(
        masses[f"{most} of A->C"], masses[f"{most} of A->B"]
    )
    fine, coarse = (
        [outside[kind, label] for label in (RARE, COMMON)]
        for kind in ("right_words", "languages")
    )
    moves, stays = moved.low > LEARNED, moved.high < LEARNED
    is_fine = max(x.high for x in fine) < MARGIN
    is_not_fine = max(x.low for x in fine) > MARGIN
    is_coarse = max(x.high for x in coarse) < MARGIN
    is_not_coarse = max(x.low for x in coarse) > MARGIN
    verdict = verdict_of(moves and is_fine, stays or is_not_coarse)
    if moves and is_coarse and is_not_fine:
        verdict = EXPLAINED
    followed = evidence.mean(
        read(evidence, "false_word_mass", RARE, FALSE_PAIR)
    )
    kept = evidence.mean(read(evidence, "right_word_mass", RARE, FALSE_PAIR))
    bayes = read(evidence, "bayes_posterior", RARE, prompts["no demonstration"])
    names = {"right_words": "right words", "languages": "B and C words"}
    return decide(
        evidence,
        verdict,
        f"Outside the right words of both contexts lie {points(fine[0])} once "
        f"A->C is shown and {points(fine[1])} once A->B is; outside all B and "
        f"C words {points(coarse[0])} and {points(coarse[1])}. {most} "
        f"demonstrations of A->C in place of A->B move {signed(moved)} points "
        "to C words. After a false pair, which no context gives, its wrong "
        f"word has {points(followed)} and the right one {points(kept)}.",
        [
            effect("C words, A->C against A->B shown", moved, "difference"),
            *(
                effect(
                    f"outside {names[kind]}, {label} shown",
                    interval,
                    "probability",
                )
                for (kind, label), interval in outside.items()
            ),
            effect("false pair: its wrong word", followed, "probability"),
            effect("false pair: the right word", kept, "probability"),
        ],
        {
            **strip(
                evidence,
                "Probability of C words at the first answer",
                masses,
                {"Bayes, no demonstration": float(np.mean([*bayes.values()]))},
            ),
            "unit": "fraction",
        },
    )


def over_words(evidence: Evidence, metric: str, prompt: str) -> BySeed:
    """Returns the mean over the answer words of `SPARSE`, by seed."""
    rows = evidence.rows(PLACE, mapping="all", prompt=prompt, metric=metric)
    start = tier_of(SPARSE, 1).removesuffix("1")
    tiers = sorted({t for t in rows["tier"] if t.startswith(start)})
    return average([by_seed(rows[rows["tier"] == tier]) for tier in tiers])


def distance_from_bayes(evidence: Evidence) -> Decision:
    """Measures the divergence from the Bayes predictor of the training text."""
    most, metric = MOST[SPARSE], "kl_from_bayes"
    bare = read(evidence, metric, "all", demonstrated(0, RARE))
    by_prompt = {
        "first word, no demonstration": bare,
        f"{most} of A->C": over_words(
            evidence, metric, demonstrated(most, RARE)
        ),
        f"{most} of A->B": over_words(
            evidence, metric, demonstrated(most, COMMON)
        ),
    }
    means = {k: evidence.mean(v, FREE) for k, v in by_prompt.items()}
    is_near = all(x.high < NEAR_BAYES for x in means.values())
    is_far = any(x.low > NEAR_BAYES for x in means.values())
    tier, lines, excess = f"{SPARSE.split('/')[1]}:fresh_windows", [], {}
    for mapping in (COMMON, "B->C", RARE):
        rows = evidence.rows(PLACE, mapping=mapping, tier=tier, prompt="all")
        is_floor = rows["metric"] == "bayes_loss"
        floor = by_seed(rows[is_floor])
        above = by_seed(rows[rows["metric"] == "excess_over_bayes"])
        excess[mapping] = evidence.mean(above, FREE)
        curves = evidence.curves(
            SPARSE, "loss_all_tokens", mapping, "fresh_windows"
        )
        curves = {seed: curve - floor[seed] for seed, curve in curves.items()}
        lines.append(epochs_of(evidence, mapping, curves))
    listed = ", ".join(f"{k}: {nats(x)}" for k, x in means.items())
    fresh = ", ".join(f"{m} {nats(x)}" for m, x in excess.items())
    return decide(
        evidence,
        verdict_of(is_near, is_far),
        f"Nats per answer word from Bayes, {listed}; the limit is "
        f"{NEAR_BAYES:.3f}. Above Bayes on fresh windows, nats per token: "
        f"{fresh}.",
        [
            *(effect(f"KL, {k}", x, "nats") for k, x in means.items()),
            *(
                effect(f"{m}, fresh windows above Bayes", x, "nats")
                for m, x in excess.items()
            ),
        ],
        {
            "kind": "epochs",
            "axis": "Loss on fresh windows above Bayes (nats per token)",
            "series": lines,
            "lines": {"Bayes": 0.0},
            "marks": {},
        },
    )


CLAIMS = (
    Claim(
        family=FAMILY,
        name="assumption_1",
        title="The model is a mixture over the mappings of its training text",
        statement=(
            "A trained causal GPT language model behaves as a probabilistic "
            "model with a given context, one of a discrete set of recurring "
            "patterns of the pre-training data. As printed y_t is a maximum "
            "over y_t of itself and no distribution is named; read as: "
            "Pr(y|x) is a sum over mappings, each certain of its right word "
            "(or, more coarsely, of the words of its target language), and "
            "the prompt moves the weights."
        ),
        source="Sinha 2024, assumption 1",
        decided_on=QUICK,
        conditions=(PLACE,),
        statistic=(
            "probability at the first answer word, mean of 256 questions: "
            "outside the right words of A->B and A->C, outside all words of B "
            "and C, after 1 and 2 demonstrations of either; of C words, after "
            "2 of A->C minus after 2 of A->B, paired"
        ),
        rule=(
            "Reproduced if the last difference starts above 50 points and all "
            "that lies outside the right words ends below 5 %; otherwise "
            "explained if contexts are languages only: less than 5 % outside "
            "the words of B and C, and more outside the right words after one "
            "of the mappings; not reproduced if more than 5 % lies outside "
            "the words of B and C, or the difference ends below 50 points."
        ),
        rule_history=SEEN,
        num_intervals=5,
        decide=mixture_of_contexts,
    ),
    Claim(
        family=FAMILY,
        name="assumption_1_bayes",
        title="Its weights are those of Bayes",
        statement=(
            "The final probability of the token depends on multiple context "
            "patterns, weighing the probabilities of x and y against those in "
            "the pre-training data."
        ),
        source="Sinha 2024, assumption 1 and note to prop. 2",
        decided_on=QUICK,
        conditions=(PLACE, SPARSE),
        statistic=(
            "Kullback-Leibler divergence of the model from the exact Bayes "
            "predictor of its text, nats per answer word: the first without a "
            "demonstration, all four after 2 of A->C and of A->B"
        ),
        rule=(
            "Reproduced if all three intervals end below 0.051 nats, a right "
            "word with probability 0.95; not reproduced if one starts above."
        ),
        rule_history=SEEN,
        num_intervals=3,
        decide=distance_from_bayes,
    ),
)
