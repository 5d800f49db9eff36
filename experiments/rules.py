"""Decision rules of the claims: evidence -> verdict.

A rule compares intervals with thresholds that stand here as constants. All
were written before the runs that they judge; `claims.py` says of each which
figures had been seen by then.
"""

import math

import numpy as np

from experiments import controls
from experiments.evidence import (
    EXPLAINED,
    NOT_TESTED,
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
from tiny_gpt.analysis.baseline import (
    memorisation_tail,
    memorisation_tail_bound,
)
from tiny_gpt.analysis.statistics import (
    Interval,
    is_bimodal,
    median_time,
    wilson_interval,
)

CHANCE = 1 / 8
LEARNED = 0.5  # of words; four times chance
NOTHING = 0.01
MASTERED = 0.9
MARGIN = 0.05  # accuracies closer than this count as equal
UNSEEN = "A->C, words of unseen sentences"
SPARSE = "triangle/sparse_a_to_c"
CURVE = controls.CURVE[:-1]  # at 50 pairs everything is near its ceiling


def _verdict(is_so: bool, is_not: bool) -> str:
    return REPRODUCED if is_so else REFUTED if is_not else UNDECIDED


def _decision(
    evidence: Evidence, verdict: str, because: str, effects, figure=None
) -> Decision:
    seeds = len(evidence.seeds)
    if seeds < 2 and verdict != NOT_TESTED:
        verdict = UNDECIDED
        because = f"One seed is never a verdict. {because}"
    return Decision(verdict, because, effects, figure, seeds)


def fifty_alone(evidence: Evidence) -> Decision:
    """50 sentences alone: as published, and with equal updates and tokens."""
    as_published = evidence.final("triangle/a_to_c_alone")
    updates = evidence.final("controls/a_to_c_alone_equal_updates")
    tokens = evidence.final("controls/a_to_c_alone_equal_tokens")
    few, more, most = map(evidence.mean, (as_published, updates, tokens))
    limit = 2 * CHANCE
    is_so = few.high < limit
    verdict = _verdict(is_so, few.low > limit)
    if is_so and (more.low > limit or most.low > limit):
        verdict = EXPLAINED
    return _decision(
        evidence,
        verdict,
        f"Alone, 50 pairs reach {points(few)} of the words of unseen "
        f"sentences after one update per epoch, {points(more)} after as many "
        f"updates as the others, {points(most)} after as many tokens.",
        [
            effect("alone, one update per epoch", few, "fraction"),
            effect("alone, equal updates", more, "fraction"),
            effect("alone, equal tokens", most, "fraction"),
        ],
        strip(
            evidence,
            UNSEEN,
            {
                "alone": as_published,
                "equal updates": updates,
                "equal tokens": tokens,
            },
            {"chance": CHANCE},
        ),
    )


def nothing_without_samples(evidence: Evidence) -> Decision:
    """No A->C pair: nothing, though both majority mappings are mastered."""
    place, tier = "triangle/no_a_to_c", "all_sentences"
    by_mapping = {
        m: evidence.final(place, m, tier=tier) for m in ("A->B", "B->C", "A->C")
    }
    first, second, asked = map(evidence.mean, by_mapping.values())
    is_mastered = min(first.low, second.low) > MASTERED
    verdict = _verdict(
        is_mastered and asked.high < NOTHING,
        is_mastered and asked.low > NOTHING,
    )
    pivot = evidence.mean(evidence.final(place, "A->B->C", tier=tier))
    wrong = evidence.mean(
        evidence.final(place, "A->C", "error_other_language", tier)
    )
    return _decision(
        evidence,
        verdict,
        f"A->C: {points(asked)} of all words, with A->B at {points(first)} "
        f"and B->C at {points(second)}. Asked in two real steps, the same "
        f"model reaches {points(pivot)}.",
        [
            effect("A->C", asked, "fraction"),
            effect("two real steps A->B->C", pivot, "fraction"),
            effect("wrong words of another language", wrong, "fraction"),
        ],
        strip(evidence, "Accuracy, all words", by_mapping, {"chance": CHANCE}),
    )


def fifty_are_enough(evidence: Evidence) -> Decision:
    """50 pairs beside the majority reach far beyond memory."""
    unseen = evidence.final(SPARSE)
    seen = evidence.final(SPARSE, tier="seen_sentences")
    mean = evidence.mean(unseen)
    verdict = _verdict(mean.low > LEARNED, mean.high < LEARNED)
    least = min(unseen.values())
    winners = sum(value > LEARNED for value in unseen.values())
    share = wilson_interval(winners, len(unseen), evidence.level)
    modes = "two groups" if is_bimodal(list(unseen.values())) else "one group"
    return _decision(
        evidence,
        verdict,
        f"{points(mean)} of the words of sentences never shown in A->C; the "
        f"worst seed {100 * least:.1f} %, the seeds look like {modes}. A "
        f"memoriser gets {100 * CHANCE:.1f} % of them.",
        [
            effect("seeds above 50 %", share, "fraction"),
            effect("unseen sentences", mean, "fraction"),
            effect("seen sentences", evidence.mean(seen), "fraction"),
        ],
        strip(
            evidence,
            "A->C accuracy, words",
            {"unseen sentences": unseen, "seen sentences": seen},
            {"chance = memoriser on unseen": CHANCE},
        ),
    )


def three_sparse_pairs(evidence: Evidence) -> Decision:
    """Table 1's sparse mappings are learned far beyond memory."""
    place, chance = "four_languages/sparse_pairs", 1 / 12
    by_mapping = {m: evidence.final(place, m) for m in ("D->B", "D->C", "B->C")}
    means = {m: evidence.mean(v) for m, v in by_mapping.items()}
    lows = [mean.low for mean in means.values()]
    highs = [mean.high for mean in means.values()]
    verdict = _verdict(min(lows) > LEARNED, min(highs) < LEARNED)
    listed = ", ".join(f"{m} {points(mean)}" for m, mean in means.items())
    return _decision(
        evidence,
        verdict,
        f"Words of unseen sentences: {listed}; chance is 8.3 %.",
        [effect(m, mean, "fraction") for m, mean in means.items()],
        strip(
            evidence,
            "Accuracy, words of unseen sentences",
            by_mapping,
            {"chance": chance},
        ),
    )


def order_of_drops(evidence: Evidence) -> Decision:
    """The majority's losses fall first, the sparse mapping's later."""
    threshold, tier = math.log(8) / 2, "fresh_windows"
    times, lines = {}, []
    for mapping in ("A->B", "B->C", "A->C"):
        curves = evidence.curves(SPARSE, "loss_answer_words", mapping, tier)
        times[mapping] = {
            seed: crossing(curve.index, -curve.to_numpy(), -threshold)
            for seed, curve in curves.items()
        }
        lines.append(_epochs(evidence, mapping, curves))
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
    return _decision(
        evidence,
        _verdict(delay.low > 0, delay.high < 0),
        f"A->C's answer loss falls to half of ln 8 {_epochs_text(delay)} "
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


def crossing(times, values, threshold: float) -> float:
    """Returns when a curve first reaches a threshold, interpolated.

    Returns:
        A time, linear between two measurements; inf if it is not reached.
    """
    values = np.asarray(values, float)
    reached = np.flatnonzero(values >= threshold)
    if not len(reached):
        return math.inf
    i = int(reached[0])
    if i == 0:
        return float(times[0])
    share = (threshold - values[i - 1]) / (values[i] - values[i - 1])
    return float(times[i - 1] + share * (times[i] - times[i - 1]))


def _epochs(evidence: Evidence, label: str, curves, bounds=None):
    x = sorted(next(iter(curves.values())).index)
    values = [{s: float(c[e]) for s, c in curves.items()} for e in x]
    free = (-math.inf, math.inf)
    return series(evidence, label, [int(e) for e in x], values, bounds or free)


def _epochs_text(interval: Interval) -> str:
    ends = f" ({interval.low:.1f} to {interval.high:.1f})"
    return (
        f"{interval.value:.1f} epochs{'' if math.isnan(interval.low) else ends}"
    )


def majority_answers(evidence: Evidence) -> Decision:
    """Without demonstrations, the most frequent mapping's word is given."""
    prompt, tier = "0_demonstrations", "all_sentences"
    said = evidence.final(SPARSE, "A->C", "error_pivot_word", tier, prompt)
    right = evidence.final(SPARSE, "A->C", tier=tier, prompt=prompt)
    mean = evidence.mean(said)
    bayes = evidence.mean(
        evidence.final(SPARSE, "A->C", "bayes_probability", tier, prompt)
    )
    return _decision(
        evidence,
        _verdict(mean.low > LEARNED, mean.high < LEARNED),
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
    """Demonstrations of the mapping, against those of its rival."""
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
    return _decision(
        evidence,
        _verdict(gain.low > MARGIN, gain.high < MARGIN),
        f"A->C on unseen sentences after demonstrations: {listed}.",
        [effect(f"{right} against {wrong}", gain, "difference")],
        strip(evidence, UNSEEN, values, {"chance": CHANCE}),
    )


def more_epochs(evidence: Evidence) -> Decision:
    """The last epoch against the one at a third of training."""
    curves = evidence.curves(SPARSE, "accuracy_aligned", "A->C", "all")
    last = max(next(iter(curves.values())).index)
    early: BySeed = {s: float(c[last // 3]) for s, c in curves.items()}
    late: BySeed = {s: float(c[last]) for s, c in curves.items()}
    gain = evidence.difference(late, early)
    repeated = evidence.final("controls/oversampled_a_to_c")
    fresh = evidence.final("controls/fresh_a_to_c")
    return _decision(
        evidence,
        _verdict(gain.low > 0, gain.high < 0),
        f"A->C changes by {100 * gain.value:+.1f} points "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}) from epoch "
        f"{last // 3} to {last}. The same 50 pairs, each 20 times, give "
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
            "series": [_epochs(evidence, "A->C", curves, (0.0, 1.0))],
            "lines": {"chance": CHANCE},
            "marks": {"a third": float(last // 3)},
        },
    )


def no_mirage(evidence: Evidence) -> Decision:
    """The ability shows in a continuous score as well."""
    score, tier = "log_probability", "unseen_sentences"
    learned = evidence.final(SPARSE, "A->C", score, tier)
    absent = evidence.final("triangle/no_a_to_c", "A->C", score, tier)
    brier = [
        evidence.final(place, "A->C", "brier_score", tier)
        for place in ("triangle/no_a_to_c", SPARSE)
    ]
    gain = evidence.difference(learned, absent)
    better = evidence.difference(*brier)
    # The score is a share of right words: 0.24 for one of four is a misprint
    # (the authors' code gives 0.25), so it is linear, not "non-linear".
    is_so = gain.low > 0 and better.low > 0
    verdict = EXPLAINED if is_so else _verdict(False, gain.high < 0)
    return _decision(
        evidence,
        verdict,
        "The printed score is linear in the number of right words and guards "
        "against nothing. In continuous scores, 50 pairs change the "
        f"log-probability of the right word by {gain.value:+.2f} nats "
        f"({gain.low:+.2f} to {gain.high:+.2f}) and the Brier score by "
        f"{-better.value:+.2f} ({-better.high:+.2f} to {-better.low:+.2f}), "
        "where less is better.",
        [
            effect("log-probability of the right word", gain, "nats"),
            effect("Brier score, improvement", better, "count"),
        ],
        strip(
            evidence,
            "Mean log-probability of the right word (nats)",
            {"no A->C pairs": absent, "50 A->C pairs": learned},
            bounds=(-math.inf, 0.0),
        ),
    )


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
    return _decision(
        evidence,
        verdict,
        f"With 50 pairs: {fifty}. Averaged over {CURVE[0]} to {CURVE[-1]} "
        "pairs the real mapping is ahead of the scrambled one by "
        f"{_signed(scrambled)} points and of no route by {_signed(no_route)}.",
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


def _signed(interval: Interval) -> str:
    value, low, high = (
        100 * x for x in (interval.value, interval.low, interval.high)
    )
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


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
    return _decision(
        evidence,
        _verdict(mean.high < CHANCE, mean.low > 2 * CHANCE),
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
    verdict = _verdict(
        gain.low > MARGIN and of_relation.low > MARGIN, gain.high < MARGIN
    )
    if gain.low > MARGIN and of_relation.high < MARGIN:
        verdict = EXPLAINED
    return _decision(
        evidence,
        verdict,
        f"At equal updates on the 50 pairs, a pre-trained model is ahead of a "
        f"fresh one by {_signed(gain)} points. Trained together, A->B and "
        f"B->C help more than D->E and E->F by {_signed(of_relation)}.",
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


def proposition_4(evidence: Evidence) -> Decision:
    """The printed bound for 60 % of 5 sentences, and the corrected one."""
    printed = memorisation_tail_bound(0.6, 50 / 1680, 5)
    coverage = 1 - (1 - 1 / 1680) ** 50
    corrected = coverage + (1 - coverage) * CHANCE
    bound = memorisation_tail_bound(0.6, corrected, 5)
    exact = memorisation_tail(0.6, coverage, CHANCE, 4, 5)
    is_arithmetic = abs(printed - 0.0774) < 5e-5
    verdict = REFUTED
    if is_arithmetic:
        verdict = EXPLAINED if bound > 0.05 else REPRODUCED
    return Decision(
        verdict,
        f"The printed bound is {printed:.2%}. A memoriser that guesses where "
        f"it recalls nothing has the baseline {corrected:.3f}, not "
        f"{50 / 1680:.3f}, and the bound becomes {bound:.1%}. The exact "
        f"probability is {exact:.2%}: the bound is loose.",
        [
            effect(name, Interval(value, math.nan, math.nan), "probability")
            for name, value in (
                ("bound as printed", printed),
                ("bound with guesses", bound),
                ("exact, with guesses", exact),
            )
        ],
    )
