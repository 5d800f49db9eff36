"""Rules of lemma 2 with equation 3: from A to B by a delta."""

import math

from experiments.claims.section_2 import FAMILY
from experiments.claims.section_2.lemma_1 import (
    POSITIVE,
    TENTH,
    UNMEASURED,
    number,
)
from experiments.measurements.shift import LABELS
from tiny_gpt.claims.claim import QUICK, Claim
from tiny_gpt.claims.evidence import (
    EXPLAINED,
    NOT_TESTED,
    REFUTED,
    REPRODUCED,
    UNDECIDED,
    BySeed,
    Decision,
    Evidence,
    by_seed,
    effect,
    points,
    strip,
)
from tiny_gpt.claims.verdict import (
    CHANCE,
    LEARNED,
    MARGIN,
    MASTERED,
    decide,
    signed,
)


def _shifted(
    evidence: Evidence,
    tier: str,
    prompt: str,
    metric: str,
    mapping: str = "A->C",
) -> BySeed:
    rows = evidence.rows(
        "theory/shift",
        mapping=mapping,
        tier=tier,
        prompt=prompt,
        metric=metric,
    )
    return by_seed(rows)


def equation_3_holds(evidence: Evidence) -> Decision:
    """Tests equation 3 in a one-layer LSA that knows all three mappings."""
    accuracies = {
        label: evidence.mean(
            _shifted(
                evidence,
                "lsa",
                "2_demonstrations",
                "accuracy_teacher_forced",
                label,
            )
        )
        for label in LABELS
    }
    residuals = {
        name: _shifted(evidence, "lsa", name, "residual")
        for name in ("matched", "shuffled")
    }
    matched = evidence.mean(residuals["matched"])
    below = evidence.difference(residuals["shuffled"], residuals["matched"])
    if any(a.high < MASTERED for a in accuracies.values()):
        verdict = NOT_TESTED  # such a model is what the lemma is about
    elif not all(a.low > MASTERED for a in accuracies.values()):
        verdict = UNDECIDED
    elif matched.low > TENTH:
        verdict = REFUTED
    elif matched.high < TENTH and below.low > MARGIN:
        verdict = REPRODUCED
    elif matched.high < TENTH and below.high < MARGIN:
        verdict = EXPLAINED
    else:
        verdict = UNDECIDED
    others = {
        name: evidence.mean(
            _shifted(evidence, "lsa", "matched", name), POSITIVE
        )
        for name in ("residual_over_f", "residual_over_f_answers")
    }
    output = {
        name: evidence.mean(
            _shifted(evidence, "lsa", name, "output_difference"), POSITIVE
        )
        for name in residuals
    }
    groups = {"matched": "B words that translate", "shuffled": "other B words"}
    return decide(
        evidence,
        verdict,
        "One layer of LSA, as many pairs of each mapping: "
        + ", ".join(f"{k} {points(a)}" for k, a in accuracies.items())
        + " right. The three terms of equation 3 leave "
        f"{number(matched)} of their norms, and B words that do not "
        f"correspond {number(below, True)} more; relative to f "
        f"{number(others['residual_over_f'])}, and where answers are given "
        f"{number(others['residual_over_f_answers'])}. What attention adds "
        f"there changes by {number(output['matched'])} of itself, with other "
        f"B words by {number(output['shuffled'])}.",
        [
            effect("residual of equation 3", matched, "ratio"),
            effect("other B words - matched", below, "ratio"),
            *(
                effect(f"accuracy of {k}", a, "fraction")
                for k, a in accuracies.items()
            ),
            effect("residual over f", others["residual_over_f"], "ratio"),
        ],
        strip(
            evidence,
            "Residual of equation 3 (share of its terms)",
            {groups[k]: v for k, v in residuals.items()},
            {"a tenth": TENTH, "unrelated terms": 1 / math.sqrt(3)},
        ),
    )


def one_delta_translates(evidence: Evidence) -> Decision:
    """Tests one vector that is added to all A words of the trained GPT."""

    def at(kind: str, tier: str = "gpt") -> BySeed:
        return _shifted(evidence, tier, "0_demonstrations", f"greedy_{kind}")

    kinds = ("none", "exact", "other_word", "mean", "shuffled")
    values = {kind: at(kind) for kind in kinds}
    exact, mean = evidence.mean(values["exact"]), evidence.mean(values["mean"])
    gains = {
        kind: evidence.difference(values["mean"], values[kind])
        for kind in ("none", "shuffled")
    }
    helps = min(g.low for g in gains.values()) > MARGIN
    is_idle = min(g.high for g in gains.values()) < MARGIN
    verdict = UNDECIDED
    if exact.low > MASTERED:
        if mean.low > LEARNED:
            if helps:
                verdict = REPRODUCED
            elif is_idle:
                verdict = EXPLAINED
        elif mean.high < LEARNED or is_idle:
            verdict = REFUTED
    linear = evidence.mean(at("mean", "lsa"))
    solved = evidence.mean(at("solved", "lsa"))
    return decide(
        evidence,
        verdict,
        f"With one delta for all words the trained GPT gives {points(mean)} of "
        f"the C words, {signed(gains['none'])} points more than with nothing "
        f"added and {signed(gains['shuffled'])} more than with its coordinates "
        f"shuffled; with the exact delta of each word {points(exact)}, with "
        f"that of another word {points(evidence.mean(values['other_word']))}. "
        f"In one layer of LSA: {points(linear)}, and {points(solved)} with a "
        "solution of equation 3 of the same length.",
        [
            effect("one delta", mean, "fraction"),
            effect("one delta - nothing", gains["none"], "difference"),
            effect("one delta - shuffled", gains["shuffled"], "difference"),
            effect("exact deltas", exact, "fraction"),
            effect("one delta, LSA", linear, "fraction"),
            effect("solution of equation 3, LSA", solved, "fraction"),
        ],
        strip(
            evidence,
            "Accuracy, C words for shifted A words",
            {
                "nothing added": values["none"],
                "one delta": values["mean"],
                "the same, shuffled": values["shuffled"],
                "exact, by word": values["exact"],
                "of another word": values["other_word"],
            },
            {"chance": CHANCE},
        ),
    )


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
        decided_on=QUICK,
        conditions=("theory/shift",),
        statistic=(
            "The proof's f(z_i + delta_i + z_j + delta_j) is read as f(z_i + "
            "delta_i, z_j + delta_j). Its step from equal outputs to equal f "
            "of every pair is not valid, since delta changes the values, too; "
            "and delta = 0, delta_i = -2 z_i, and whatever K^T Q does not see "
            "solve equation 3 without any B. Read as a measurement: norm of "
            "the sum of the three terms over the sum of their norms, delta "
            "from A words to the B words that translate them, mean over "
            "sentences; the same with B words that do not correspond"
        ),
        rule=(
            "Not tested if the model, trained on as many pairs of each, does "
            "not know all three mappings (an interval ends below 90 %). If it "
            "does (all start above 90 %): reproduced if the residual ends "
            "below 0.1 and lies below that of other B words by more than "
            "0.05; otherwise explained if it ends below 0.1 and other B words "
            "do as well (less than 0.05 more); not reproduced if it starts "
            "above 0.1."
        ),
        rule_history=UNMEASURED,
        num_intervals=5,
        decide=equation_3_holds,
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
        decided_on=QUICK,
        conditions=("theory/shift",),
        statistic=(
            "With a delta for each word this is true by construction, the "
            "prompt of B->C being asked; read as one vector for all words, "
            "mean B embedding minus mean A embedding over the other words. "
            "Added to the A words at the embedding of the trained GPT, no "
            "demonstration: share of C words right, greedy, unseen sentences"
        ),
        rule=(
            "If exact deltas start above 90 %: reproduced if one delta starts "
            "above 50 % and is ahead, by more than 5 points each, of nothing "
            "added and of its own coordinates shuffled; otherwise explained "
            "if it starts above 50 % and is not ahead of one of them by 5 "
            "points; not reproduced if it ends below 50 %, or is not ahead of "
            "one of them."
        ),
        rule_history=UNMEASURED,
        num_intervals=4,
        decide=one_delta_translates,
    ),
)
