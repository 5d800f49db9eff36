"""Rules of the claims about the course of training, and about prompts."""

import math

from experiments.claims.section_3 import FAMILY, FIGURE_2, WORDS
from tiny_gpt.analysis.times import median_time
from tiny_gpt.claims.claim import QUICK, Claim
from tiny_gpt.claims.evidence import (
    BySeed,
    Decision,
    Evidence,
    effect,
    points,
    strip,
)
from tiny_gpt.claims.verdict import (
    CHANCE,
    LEARNED,
    MARGIN,
    SPARSE,
    UNSEEN,
    crossing,
    decide,
    epochs_of,
    epochs_text,
    signed,
    verdict_of,
)


def order_of_drops(evidence: Evidence) -> Decision:
    """Tells whether the majority's losses fall before the sparse mapping's."""
    threshold, tier = math.log(8) / 2, "fresh_windows"
    times, lines = {}, []
    for mapping in ("A->B", "B->C", "A->C"):
        curves = evidence.curves(SPARSE, "loss_answer_words", mapping, tier)
        times[mapping] = {
            seed: crossing(curve.index, -curve.to_numpy(), -threshold)
            for seed, curve in curves.items()
        }
        lines.append(epochs_of(evidence, mapping, curves))
    last = max(lines[0]["x"])
    # A mapping that never gets there counts as one epoch after the last:
    # at least that late.
    bounded = {
        mapping: {s: min(t, last + 1) for s, t in by_seed.items()}
        for mapping, by_seed in times.items()
    }
    later = {
        s: max(bounded["A->B"][s], bounded["B->C"][s]) for s in evidence.seeds
    }
    delay = evidence.difference(bounded["A->C"], later)
    never = sum(math.isinf(t) for t in times["A->C"].values())
    medians = [
        effect(
            f"{mapping}, median time to half of ln 8",
            median_time(list(reached.values()), last, evidence.level),
            "epochs",
        )
        for mapping, reached in times.items()
    ]
    return decide(
        evidence,
        verdict_of(delay.low > 0, delay.high < 0),
        f"A->C's answer loss falls to half of ln 8 {epochs_text(delay)} "
        "later than that of the later of A->B and B->C"
        + (f" ({never} seeds never, counted at the end)." if never else "."),
        [effect("A->C after the majority", delay, "epochs"), *medians],
        {
            "kind": "epochs",
            "axis": "Loss of answer words, fresh text (nats)",
            "series": lines,
            "lines": {"half of ln 8": threshold},
            "marks": {},
        },
    )


def more_epochs(evidence: Evidence) -> Decision:
    """Compares the last epoch with the one at a third of training."""
    curves = evidence.curves(SPARSE, evidence.accuracy, "A->C", "all")
    last = max(next(iter(curves.values())).index)
    early: BySeed = {s: float(c[last // 3]) for s, c in curves.items()}
    late: BySeed = {s: float(c[last]) for s, c in curves.items()}
    gain = evidence.difference(late, early)
    repeated = evidence.final("controls/oversampled_a_to_c")
    fresh = evidence.final("controls/fresh_a_to_c")
    return decide(
        evidence,
        verdict_of(gain.low > 0, gain.high < 0),
        f"A->C changes by {signed(gain)} points from epoch {last // 3} to "
        f"{last}. The same 50 pairs, each 20 times, give "
        f"{points(evidence.mean(repeated))} on unseen sentences; 1000 "
        f"different pairs {points(evidence.mean(fresh))}.",
        [
            effect(f"epoch {last} against {last // 3}", gain, "difference"),
            effect("50 pairs, 20 times", evidence.mean(repeated), "fraction"),
            effect("1000 different pairs", evidence.mean(fresh), "fraction"),
        ],
        {
            "kind": "epochs",
            "axis": "A->C accuracy, fixed sample",
            "series": [epochs_of(evidence, "A->C", curves, (0.0, 1.0))],
            "lines": {"chance": CHANCE},
            "marks": {"a third": float(last // 3)},
        },
    )


def majority_answers(evidence: Evidence) -> Decision:
    """Tells whether the most frequent mapping wins without demonstrations."""
    prompt, tier = "0_demonstrations", "all_sentences"
    said = evidence.final(SPARSE, "A->C", "error_pivot_word", tier, prompt)
    right = evidence.final(SPARSE, "A->C", tier=tier, prompt=prompt)
    mean = evidence.mean(said)
    bayes = evidence.mean(
        evidence.final(SPARSE, "A->C", "bayes_probability", tier, prompt)
    )
    return decide(
        evidence,
        verdict_of(mean.low > LEARNED, mean.high < LEARNED),
        f"Asked for a word of A without a demonstration, the model gives the "
        f"B word in {points(mean)} of the places and the C word in "
        f"{points(evidence.mean(right))}; Bayes gives the C sentence "
        f"{100 * bayes.value:.1f} %.",
        [
            effect("B word, no demonstration", mean, "fraction"),
            effect(
                "C word, no demonstration", evidence.mean(right), "fraction"
            ),
        ],
        strip(
            evidence,
            "Share of words, no demonstration",
            {"B word": said, "C word": right},
        ),
    )


def prompt_decides(evidence: Evidence) -> Decision:
    """Compares demonstrations of the mapping with those of its rival."""
    tier, most = "unseen_sentences", evidence.num_demonstrations
    right, wrong = f"{most} of A->C", f"{most} of A->B"
    names = {
        right: f"{most}_demonstrations",
        "1 of A->C": "1_demonstrations",
        "none": "0_demonstrations",
        wrong: f"{most}_demonstrations_of_A->B",
    }
    values = {
        label: evidence.final(SPARSE, tier=tier, prompt=prompt)
        for label, prompt in names.items()
    }
    gain = evidence.difference(values[right], values[wrong])
    listed = ", ".join(
        f"{label} {points(evidence.mean(v))}" for label, v in values.items()
    )
    return decide(
        evidence,
        verdict_of(gain.low > MARGIN, gain.high < MARGIN),
        f"A->C on unseen sentences after demonstrations: {listed}.",
        [effect(f"{right} against {wrong}", gain, "difference")],
        strip(evidence, UNSEEN, values, {"chance": CHANCE}),
    )


CLAIMS = (
    Claim(
        family=FAMILY,
        name="proposition_1",
        title="The majority's loss falls first, the sparse one later",
        statement=(
            "The model initially converges primarily towards minimising the "
            "loss for the majority task; over time the contributions of the "
            "sparse task become more significant."
        ),
        source="Sinha 2024, prop. 1",
        decided_on=QUICK,
        conditions=(SPARSE,),
        statistic=(
            "epoch at which the loss of the answer words of fresh text falls "
            "to half of ln 8; A->C minus the later of A->B and B->C, paired"
        ),
        rule=(
            "Reproduced if the interval of the delay starts above 0; not "
            "reproduced if it ends below 0."
        ),
        rule_history=(
            "Written after accuracy curves of 5 seeds had been seen; losses "
            "by mapping had not."
        ),
        num_intervals=1,
        decide=order_of_drops,
    ),
    Claim(
        family=FAMILY,
        name="proposition_2",
        title="The mapping with most training pairs dominates",
        statement=(
            "An increase in the number of pre-training examples for a context "
            "indicates a pattern that will dominate the output."
        ),
        source="Sinha 2024, prop. 2",
        decided_on=QUICK,
        conditions=(SPARSE,),
        statistic=(
            "share of words for which the B word is given, asked for A->C "
            "without a demonstration"
        ),
        rule=(
            "Reproduced if the interval starts above 50 %; not reproduced if "
            "it ends below."
        ),
        rule_history="Written after two runs of `held_out_2` had been seen.",
        num_intervals=1,
        decide=majority_answers,
    ),
    Claim(
        family=FAMILY,
        name="prompts",
        title="The prompt decides which mapping is applied",
        statement=(
            "We highlight the influence of prompt design on pattern "
            "recognition and task performance."
        ),
        source="Sinha 2024, abstract and assumption 1",
        decided_on=QUICK,
        conditions=(SPARSE,),
        statistic=WORDS
        + "; after demonstrations of A->C minus after as many of A->B",
        rule=(
            "Reproduced if the difference starts above 5 points; not "
            "reproduced if it ends below."
        ),
        rule_history="Written after two runs of `held_out_2` had been seen.",
        num_intervals=1,
        decide=prompt_decides,
    ),
    Claim(
        family=FAMILY,
        name="more_epochs",
        title="More epochs enhance the ability",
        statement=(
            "Increasing the number of training epochs enhances emergent "
            "abilities."
        ),
        source="Sinha 2024, abstract",
        decided_on=QUICK,
        conditions=(
            SPARSE,
            "controls/oversampled_a_to_c",
            "controls/fresh_a_to_c",
        ),
        statistic=(
            "A->C accuracy at the last epoch minus that at a third of "
            "training, paired"
        ),
        rule=(
            "Reproduced if the difference starts above 0; not reproduced if "
            "it ends below 0. More data instead of more epochs stands beside "
            "it."
        ),
        rule_history=FIGURE_2,
        num_intervals=1,
        decide=more_epochs,
    ),
)
