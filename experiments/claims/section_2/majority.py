"""Rules of proposition 1: which mapping is learned first, and final losses."""

import math

import numpy as np

from experiments import theory
from experiments.claims.section_2 import FAMILY
from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.claims.claim import QUICK, Claim
from tiny_gpt.claims.evidence import (
    BySeed,
    Decision,
    Evidence,
    effect,
    series,
    strip,
)
from tiny_gpt.claims.verdict import crossing, decide, verdict_of

MAJORITY = ("A->B", "B->C")
TASKS = (*MAJORITY, "A->C")
# Half of what a model without the mapping pays for an answer word.
HALF_LOSS = math.log(8) / 2
COUNTS = tuple(n for n in theory.COUNTS if n >= 25)
EQUAL = 0.1  # nats; losses closer than this count as equal
FREE = (-math.inf, math.inf)
SEEN_CONTROLS = (
    "Written after the controls (docs/runs/reproduce_quick), of which "
    "`count_50` is one, had been seen, and before any run of the other "
    "conditions."
)


def curves_of(
    evidence: Evidence, condition: str, metric: str, mapping: str, tier: str
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Returns updates and values of each epoch, by seed."""
    rows = evidence.rows(
        f"theory/{condition}", metric=metric, mapping=mapping, tier=tier
    )
    curves = {}
    for seed, of_seed in rows.groupby("seed"):
        ordered = of_seed.sort_values("epoch")
        curves[int(str(seed))] = (
            ordered["step"].to_numpy(),
            ordered["value"].to_numpy(),
        )
    return curves


def times_of(evidence: Evidence, condition: str, mapping: str) -> BySeed:
    """Returns updates until fresh answers cost `HALF_LOSS`, by seed.

    If they never do, the last update.
    """
    curves = curves_of(
        evidence, condition, "loss_answer_words", mapping, "fresh_windows"
    )
    return {
        seed: min(float(steps[-1]), crossing(steps, -values, -HALF_LOSS))
        for seed, (steps, values) in curves.items()
    }


def _later_of(first: BySeed, second: BySeed) -> BySeed:
    return {seed: max(first[seed], second[seed]) for seed in first}


def majority_time_of(evidence: Evidence, condition: str) -> BySeed:
    return _later_of(
        *(times_of(evidence, condition, mapping) for mapping in MAJORITY)
    )


def in_updates(interval: Interval) -> str:
    return (
        f"{interval.value:.0f} updates "
        f"({interval.low:.0f} to {interval.high:.0f})"
    )


def order(evidence: Evidence) -> Decision:
    """Tells whether the majority is learned first, and rarer mappings later."""
    times = {n: times_of(evidence, f"count_{n}", "A->C") for n in COUNTS}
    majority = {n: majority_time_of(evidence, f"count_{n}") for n in COUNTS}
    lag = evidence.difference(times[50], majority[50])
    slopes = {
        seed: float(
            np.polyfit(np.log(COUNTS), [times[n][seed] for n in COUNTS], 1)[0]
        )
        for seed in evidence.seeds
    }
    slope = evidence.mean(slopes, FREE)
    return decide(
        evidence,
        verdict_of(
            lag.low > 0 and slope.high < 0, lag.high < 0 or slope.low > 0
        ),
        f"With 50 pairs A->C is learned {in_updates(lag)} after the slower of "
        "A->B and B->C; each e-fold of pairs moves A->C itself by "
        f"{in_updates(slope)}.",
        [
            effect("A->C after the majority, 50 pairs, updates", lag, "count"),
            effect("updates per e-fold of A->C pairs", slope, "count"),
        ],
        {
            "kind": "curve",
            "axis": "Updates until learned",
            "x_axis": "A->C sentence pairs",
            "log_x": True,
            "series": [
                series(evidence, "A->C", COUNTS, list(times.values()), FREE),
                series(
                    evidence,
                    "slower of A->B and B->C",
                    COUNTS,
                    list(majority.values()),
                    FREE,
                ),
            ],
            "lines": {},
        },
    )


def balance(evidence: Evidence) -> Decision:
    """Tells whether both losses end equal and low."""
    last = {
        mapping: {
            seed: float(values[-1])
            for seed, (_, values) in curves_of(
                evidence,
                "count_50",
                "loss_all_tokens",
                mapping,
                "training_windows",
            ).items()
        }
        for mapping in TASKS
    }
    mean = {
        seed: sum(last[m][seed] for m in MAJORITY) / 2
        for seed in evidence.seeds
    }
    gap = evidence.difference(last["A->C"], mean)
    return decide(
        evidence,
        verdict_of(
            max(-gap.low, gap.high) < EQUAL,
            gap.low > EQUAL or gap.high < -EQUAL,
        ),
        "After the last epoch the training loss of A->C is "
        f"{gap.value:+.3f} nats ({gap.low:+.3f} to {gap.high:+.3f}) above "
        "that of A->B and B->C.",
        [effect("loss of A->C - of the majority", gap, "nats")],
        strip(
            evidence,
            "Training loss, last epoch, nats",
            {mapping: last[mapping] for mapping in TASKS},
            {},
            (0.0, math.inf),
        ),
    )


CLAIMS = (
    Claim(
        family=FAMILY,
        name="prop_1_order",
        title="The majority first, the rare mapping later",
        statement=(
            "The model initially converges primarily towards minimising the "
            "loss of the majority task; over time the rare task's becomes "
            "more significant."
        ),
        source="Sinha 2024, prop. 1",
        decided_on=QUICK,
        conditions=tuple(f"theory/count_{n}" for n in COUNTS),
        statistic=(
            "updates until an answer word of fresh text costs half of ln 8 "
            "nats; the last update where it never does"
        ),
        rule=(
            "Reproduced if with 50 pairs A->C is later than the slower of "
            "A->B and B->C, and more pairs make it earlier (slope over ln "
            "pairs, 25 to 400), both intervals without 0; not reproduced if "
            "one of them is on the other side of 0."
        ),
        rule_history=SEEN_CONTROLS,
        num_intervals=2,
        decide=order,
    ),
    Claim(
        family=FAMILY,
        name="prop_1_balance",
        title="Both losses end equal",
        statement=(
            "At the balance point both losses are approximately equal, and "
            "the model converges to both of the tasks."
        ),
        source="Sinha 2024, prop. 1, proof, last equations",
        decided_on=QUICK,
        conditions=("theory/count_50",),
        statistic=(
            "loss over the training text after the last epoch, all tokens, "
            "A->C minus the mean of A->B and B->C"
        ),
        rule=(
            "Reproduced if the interval lies within 0.1 nats; not reproduced "
            "if outside."
        ),
        rule_history=SEEN_CONTROLS,
        num_intervals=1,
        decide=balance,
    ),
)
