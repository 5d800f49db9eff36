"""Further numbers from the frames of the theory, which no rule reads.

Question  What else is to be said of section 2, after the verdicts?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.theory_beside
          docs/runs/theory
          KERAS_BACKEND=jax python -m benchmarks.pages.theory_beside
          docs/runs/verdicts_theory docs/runs/verdicts
Time      half a minute; nothing is trained

Further folders give frames of runs that the first lacks, e.g. controls.

The questions came after the verdicts were known: these are descriptions, not
tests. Intervals have the level of the rules (99.92 %; 99.91 % when the files of
`theory` and `theory_fresh` were written), so that they compare with theirs.
`beside.csv` has the columns topic, what, value, low and high; counts have no
interval.
"""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.pages.judge import read_frames
from benchmarks.pages.theory_rows import (
    Row,
    Rows,
    alone,
    by_seed_max,
    half,
    minus,
    never,
    product,
)
from experiments import theory
from experiments.claims.section_2 import FAMILY
from experiments.claims.section_2.gradients import log_ratios, shares_of
from experiments.claims.section_2.majority import (
    COUNTS,
    MAJORITY,
    curves_of,
    majority_time_of,
    times_of,
)
from tiny_gpt.claims.evidence import BySeed, Evidence
from tiny_gpt.claims.values import MASTERED, crossing
from tiny_gpt.runtime.results_folder import write_frame

# Tiers of softmax attention: two blocks of a GPT, and random logits.
LOGITS = ("gpt_0", "gpt_1", *(f"softmax_{s}" for s in (0.25, 0.5, 1, 2, 4, 8)))


class Beside(Rows):
    """Rows of one frame, topic by topic."""

    def __iter__(self) -> Iterator[Row]:
        yield from self.order()
        yield from self.gradients()
        yield from self.losses()
        yield from self.samples()
        yield from self.contexts()
        yield from self.inside()
        yield from self.lemmas()

    def order(self) -> Iterator[Row]:
        """Proposition 1: the lag by pairs, and the seeds that never learn."""
        topic = "order"
        lags = {}
        for kind in ("count", "balanced"):
            for n in theory.COUNTS[1:]:
                place = f"{kind}_{n}"
                own = times_of(self.evidence, place, "A->C")
                majority = majority_time_of(self.evidence, place)
                lags[place] = minus(own, majority)
                yield self.row(topic, f"lag, {place}, updates", lags[place])
                yield topic, f"seeds never, {place}", *alone(never(own, place))
        for name, counts in (("all", COUNTS), ("from 50", COUNTS[1:])):
            slopes = {
                seed: float(
                    np.polyfit(
                        np.log(counts),
                        [lags[f"count_{n}"][seed] for n in counts],
                        1,
                    )[0]
                )
                for seed in self.evidence.seeds
            }
            what = f"slope of the lag on ln pairs, {name}, updates"
            yield self.row(topic, what, slopes)

    def gradients(self) -> Iterator[Row]:
        """Proposition 1: angles, and when the rare gradient leads."""
        for place in ("count_50", "balanced_50"):
            for pair in ("A->B A->C", "B->C A->C"):
                cosines = curves_of(
                    self.evidence,
                    place,
                    "gradient_cosine",
                    pair,
                    "training_windows",
                )
                for name, i in (("first", 0), ("last", -1)):
                    what = f"cosine of {pair}, {place}, {name} epoch"
                    values = {s: float(v[i]) for s, (_, v) in cosines.items()}
                    yield self.row("gradients", what, values)
        for n in theory.COUNTS[1:]:
            for kind in ("count", "balanced"):
                place = f"{kind}_{n}"
                ratios = log_ratios(self.evidence, place, shares_of(place))
                led = [int((v > 0).sum()) for _, v in ratios.values()]
                what = f"epochs in which A->C leads, {place}, all seeds"
                yield "gradients", what, *alone(sum(led))

    def losses(self) -> Iterator[Row]:
        """Proposition 1: the remaining gap above the floors."""
        last = {
            (place, m): {
                s: float(v[-1])
                for s, (_, v) in curves_of(
                    self.evidence,
                    place,
                    "loss_all_tokens",
                    m,
                    "training_windows",
                ).items()
            }
            for place in ("count_50", "balanced_50")
            for m in (*MAJORITY, "A->C")
        }
        for place in ("count_50", "balanced_50"):
            common = half(*(last[place, m] for m in MAJORITY))
            gap = minus(last[place, "A->C"], common)
            yield self.row("losses", f"A->C - majority, {place}, nats", gap)
        tier = "sparse_a_to_c:fresh_windows"
        bayes = {
            m: self.of("contexts", mapping=m, tier=tier, metric="bayes_loss")
            for m in (*MAJORITY, "A->C")
        }
        floor = minus(bayes["A->C"], half(*(bayes[m] for m in MAJORITY)))
        what = "A->C - majority, Bayes, fresh windows, nats"
        yield self.row("losses", what, floor)

    def samples(self) -> Iterator[Row]:
        """Assumption 2: pairs needed at an equal share of the text."""
        topic = "samples"
        counts = {
            "alone": (*sorted({*theory.ALONE, 50}),),
            "balanced": theory.COUNTS[1:],
            "count": theory.COUNTS[1:],
        }
        needed, with_ten = {}, {}
        for kind, some in counts.items():
            found = {n: self.accuracy(kind, n) for n in some}
            with_ten[kind] = found[10]
            yield self.row(topic, f"accuracy, 10 pairs, {kind}", found[10])
            needed[kind] = {
                seed: self.needed(some, [found[n][seed] for n in some])
                for seed in self.evidence.seeds
            }
        difference = minus(with_ten["balanced"], with_ten["alone"])
        yield self.row(
            topic, "accuracy, 10 pairs, balanced - alone", difference
        )
        for other in ("count", "balanced"):
            ratio = minus(needed["alone"], needed[other])
            yield self.times(topic, f"pairs needed, alone / {other}", ratio)
        fresh = self.evidence.final("theory/reuse", prompt="fresh")
        yield self.row("parts", "accuracy, fresh", fresh)

    def accuracy(self, kind: str, n: int) -> BySeed:
        """Returns accuracies on unseen sentences."""
        is_shared = (kind, n) == ("alone", 50)
        place = f"theory/{kind}_{n}"
        if is_shared:
            place = "controls/a_to_c_alone_equal_tokens"
        return self.evidence.final(place)

    @staticmethod
    def needed(counts, accuracies) -> float:
        """Returns ln pairs for `MASTERED`; twice the most, if never."""
        time = crossing(np.log(counts), accuracies, MASTERED)
        return math.log(2 * counts[-1]) if math.isinf(time) else time

    def contexts(self) -> Iterator[Row]:
        """Assumption 1, proposition 2: mixed, true and false prompts."""
        word = {"mapping": "A->C", "tier": "sparse_a_to_c:word_1"}
        for prompt in (
            "A->B_then_A->C",
            "A->C_then_A->B",
            "1_demonstrations_of_A->C",
            "1_false_pair_of_A->C",
        ):
            for metric in ("language_mass", "right_word_mass"):
                found = self.of(
                    "contexts", prompt=prompt, metric=metric, **word
                )
                yield self.row("contexts", f"{metric}, {prompt}", found)
        both = (
            self.of("contexts", prompt=prompt, metric="right_word_mass", **word)
            for prompt in ("1_false_pair_of_A->C", "1_demonstrations_of_A->C")
        )
        what = "right_word_mass, false - true pair"
        yield self.row("contexts", what, minus(*both))
        for n in theory.COUNTS[1:]:
            tier = f"count_{n}:word_1"
            for metric in ("language_mass", "bayes_posterior"):
                found = self.of(
                    "contexts",
                    mapping="A->C",
                    tier=tier,
                    prompt="0_demonstrations_of_A->C",
                    metric=metric,
                )
                yield self.row("prior", f"{metric}, {n} pairs", found)
            found = self.of(
                "contexts", mapping="A->C", tier=tier, metric="share_of_windows"
            )
            yield self.row("prior", f"share_of_windows, {n} pairs", found)

    def inside(self) -> Iterator[Row]:
        """Inside: lens, heads and patches of B; alignment of other networks."""
        conditions = ("sparse_a_to_c", "scrambled_a_to_c", "no_route_to_c")
        for condition in conditions:
            for metric in ("lens_found", "lens_probability"):
                found = self.of(
                    "pivot",
                    mapping="A->C",
                    tier=condition,
                    prompt="all",
                    metric=metric,
                )
                yield self.row("lens", f"{metric}, {condition}", found)
            found = self.of("inside", tier=condition, metric="use_hidden")
            yield self.row("use", f"known mapping to C, {condition}", found)
        pivot = {"tier": conditions[0], "prompt": "all"}
        for mapping in ("A->C", "A->B"):
            for metric in ("look_up_loss", "other_heads_loss"):
                found = self.of(
                    "pivot", mapping=mapping, metric=metric, **pivot
                )
                yield self.row("heads", f"{metric}, {mapping}", found)
        same = self.of("pivot", mapping="all", metric="is_same_head", **pivot)
        yield "heads", "seeds with the same head", *alone(sum(same.values()))
        looked = self.evidence.rows(
            "theory/pivot",
            mapping="A->C",
            tier=conditions[0],
            metric="attention",
        )
        most = by_seed_max(looked)
        yield self.row("heads", "attention to the word asked for, A->C", most)
        for place in ("source", "answer"):
            found = self.of(
                "pivot",
                tier=conditions[0],
                prompt=f"block_1.attention.{place}",
                metric="same_donor",
            )
            what = f"A->B's word after its stream at the {place} places"
            yield self.row("patched", what, found)
        heads = self.evidence.rows("theory/inside", metric="own_words")
        heads = heads[heads["prompt"].str.contains("head")]
        least = by_seed_max(heads.assign(value=-heads["value"]))
        yield self.row("heads", "own answer lost with one head, nats", least)
        second = {
            int(str(seed)): float(rows["value"].nsmallest(2).iloc[1])
            for seed, rows in heads.groupby("seed")
        }
        what = "own answer changed by the next head, nats"
        yield self.row("heads", what, second)
        lens = self.evidence.rows("theory/inside", metric="lens_any_word")
        lens = lens[lens["prompt"].str.contains("head")]
        what = "B word above others, in the best head's output"
        yield self.row("lens", what, by_seed_max(lens))
        for tier in ("alone", "unrelated"):
            found = self.of(
                "alignment",
                mapping="A->C",
                tier=tier,
                prompt="inside.answer",
                metric="cka",
            )
            yield self.row("alignment", f"A->C and A->C, {tier}", found)

    def lemmas(self) -> Iterator[Row]:
        """Lemmas: softmax in its logits; deltas against none; softmax alone."""
        for tier in LOGITS:
            both = (
                self.of("perturbation", tier=tier, metric=metric)
                for metric in ("breaks_at", "spread")
            )
            value = product(*both)
            yield self.row("softmax", f"breaks at, logits, {tier}", value)
        prompts = "0_demonstrations", "2_demonstrations"
        for tier, kinds in (
            ("gpt", ("none", "mean")),
            ("lsa", ("none", "shuffled", "solved", "mean")),
        ):
            for prompt in prompts:
                by_kind = {
                    kind: self.of(
                        "shift",
                        tier=tier,
                        prompt=prompt,
                        metric=f"greedy_{kind}",
                    )
                    for kind in kinds
                }
                for kind, values in by_kind.items():
                    what = f"C words, {tier}, {prompt}, {kind}"
                    yield self.row("delta", what, values)
                if "solved" in by_kind:
                    what = f"C words, {tier}, {prompt}, solved - none"
                    added = minus(by_kind["solved"], by_kind["none"])
                    yield self.row("delta", what, added)
        cosine = self.of("shift", tier="lsa", metric="cosine_to_mean")
        yield self.row("delta", "cosine of solved to mean, lsa", cosine)
        residual = self.of(
            "shift", tier="lsa", prompt="solved", metric="residual_over_f"
        )
        yield self.row("delta", "residual of solved over f, lsa", residual)
        for tier in ("softmax", "lsa_sparse", "lsa_2_layers"):
            found = self.of(
                "shift",
                mapping="A->C",
                tier=tier,
                metric="accuracy_teacher_forced",
            )
            yield self.row("one layer", f"A->C, {tier}", found)


def main() -> None:
    """Writes the rows of the first folder."""
    folder, *more = map(Path, sys.argv[1:])
    metrics = read_frames([folder, *more])
    is_theory = metrics["experiment"] == "theory"
    evidence = Evidence(
        metrics,
        tuple(sorted(map(int, set(metrics[is_theory]["seed"])))),
        None,
        pd.DataFrame(),
        FAMILY.interval_level,
    )
    columns = ["topic", "what", "value", "low", "high"]
    frame = pd.DataFrame(list(Beside(evidence)), columns=columns)
    write_frame(folder / "beside.csv", frame.round(6))


if __name__ == "__main__":
    main()
