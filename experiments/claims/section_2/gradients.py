"""Rules of proposition 1 about gradients: which task's gradient leads."""

import math

import numpy as np

from experiments import theory
from experiments.claims.section_2 import FAMILY
from experiments.claims.section_2.majority import (
    FREE,
    MAJORITY,
    TASKS,
    curves_of,
    in_updates,
    majority_time_of,
    times_of,
)
from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.claims.claim import QUICK, UNSEEN_RUNS, Claim
from tiny_gpt.claims.evidence import (
    EXPLAINED,
    BySeed,
    Decision,
    Evidence,
    effect,
    series,
    strip,
)
from tiny_gpt.claims.verdict import decide, verdict_of

DOMINATES = math.log(2)


def log_ratios(
    evidence: Evidence, condition: str, shares: dict[str, float]
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Returns updates, and ln of A->C's gradient over the majority's."""
    norms = {
        mapping: curves_of(
            evidence, condition, "gradient_norm", mapping, "training_windows"
        )
        for mapping in TASKS
    }
    ratios = {}
    for seed in evidence.seeds:
        of_task = {m: np.log(shares[m] * norms[m][seed][1]) for m in TASKS}
        most = np.maximum(*(of_task[m] for m in MAJORITY))
        ratios[seed] = norms["A->C"][seed][0], of_task["A->C"] - most
    return ratios


def shares_of(condition: str) -> dict[str, float]:
    mixture = theory.build_experiment("quick", condition).task.mixture
    return {
        m: mixture.component(m).num_shown / mixture.num_shown for m in TASKS
    }


def _while_it_is_learned(
    evidence: Evidence,
    condition: str,
    ratios: dict[int, tuple[np.ndarray, np.ndarray]],
) -> BySeed:
    """Returns the mean ratio between the majority's time and A->C's.

    The mean is over the epochs that end in between. If none does, it is the
    value of the first epoch that ends later; if the majority is never
    learned, that of the last epoch.
    """
    start = majority_time_of(evidence, condition)
    end = times_of(evidence, condition, "A->C")
    means = {}
    for seed, (steps, values) in ratios.items():
        inside = (steps >= start[seed]) & (steps <= end[seed])
        if not inside.any():
            i = min(int((steps < start[seed]).sum()), len(steps) - 1)
            inside[i] = True
        means[seed] = float(values[inside].mean())
    return means


def gradients(evidence: Evidence) -> Decision:
    """Tells which gradient leads, at first and while A->C is learned."""
    ratios = log_ratios(evidence, "count_50", shares_of("count_50"))
    first = {seed: float(values[0]) for seed, (_, values) in ratios.items()}
    later = _while_it_is_learned(evidence, "count_50", ratios)
    at_first, at_last = evidence.mean(first, FREE), evidence.mean(later, FREE)
    growth = evidence.difference(later, first)
    verdict = verdict_of(
        at_first.high < 0 and at_last.low > 0,
        growth.high < 0 or at_first.low > 0,
    )
    if at_first.high < 0 and growth.low > 0 and at_last.high < 0:
        verdict = EXPLAINED
    cosines = {
        name: evidence.mean(
            {
                seed: float(values[i])
                for seed, (_, values) in curves_of(
                    evidence,
                    "count_50",
                    "gradient_cosine",
                    "A->B A->C",
                    "training_windows",
                ).items()
            },
            (-1.0, 1.0),
        )
        for name, i in (("first", 0), ("last", -1))
    }
    x = ratios[evidence.seeds[0]][0].tolist()
    values = [
        {seed: float(v[i]) for seed, (_, v) in ratios.items()}
        for i in range(len(x))
    ]
    return decide(
        evidence,
        verdict,
        "ln of A->C's part of the gradient over the larger of A->B's and "
        f"B->C's is {_plain(at_first)} after the first epoch and "
        f"{_plain(at_last)} from when the majority is learned until A->C is.",
        [
            effect("ln ratio, first epoch", at_first, "ratio"),
            effect("ln ratio, while A->C is learned", at_last, "ratio"),
            effect("growth of the ln ratio", growth, "ratio"),
            effect("cosine with A->B, first epoch", cosines["first"], "ratio"),
            effect("cosine with A->B, last epoch", cosines["last"], "ratio"),
        ],
        {
            "kind": "curve",
            "axis": "ln (gradient of A->C / of the majority)",
            "x_axis": "Updates",
            "log_x": False,
            "series": [series(evidence, "A->C", x, values, FREE)],
            "lines": {"equal": 0.0},
        },
    )


def _plain(interval: Interval) -> str:
    ends = f"({interval.low:+.2f} to {interval.high:+.2f})"
    return f"{interval.value:+.2f} {ends}"


def printed_loss(evidence: Evidence) -> Decision:
    """Does the same for the loss as printed, in which counts cancel."""
    equal = dict.fromkeys(TASKS, 1.0)
    ratios = log_ratios(evidence, "balanced_50", equal)
    first = evidence.mean(
        {seed: float(v[0]) for seed, (_, v) in ratios.items()}, FREE
    )
    lags = {
        kind: evidence.difference(
            times_of(evidence, f"{kind}_50", "A->C"),
            majority_time_of(evidence, f"{kind}_50"),
        )
        for kind in ("count", "balanced")
    }
    groups = {
        kind: {
            seed: float(v[0])
            for seed, (_, v) in log_ratios(
                evidence, f"{kind}_50", shares
            ).items()
        }
        for kind, shares in (
            ("count", shares_of("count_50")),
            ("balanced", equal),
        )
    }
    return decide(
        evidence,
        verdict_of(first.high < -DOMINATES, first.low > -DOMINATES),
        "Under the loss as printed, after the first epoch, ln of A->C's "
        f"gradient over the larger of A->B's and B->C's is {_plain(first)}; a "
        f"factor of two is {-DOMINATES:.2f}. A->C is learned "
        f"{in_updates(lags['balanced'])} after the majority, and "
        f"{in_updates(lags['count'])} under the loss of the batches.",
        [
            effect("ln ratio, first epoch, as printed", first, "ratio"),
            effect("A->C late, as printed", lags["balanced"], "count"),
            effect("A->C late, loss of the batches", lags["count"], "count"),
        ],
        strip(
            evidence,
            "ln (gradient of A->C / of the majority), first epoch",
            {
                "loss of the batches": groups["count"],
                "loss as printed": groups["balanced"],
            },
            {"half": -DOMINATES, "equal": 0.0},
            FREE,
        ),
    )


CLAIMS = (
    Claim(
        family=FAMILY,
        name="prop_1_gradient",
        title="The majority's gradient leads, then the rare mapping's",
        statement=(
            "The majority's term initially dominates the gradient update; as "
            "it diminishes, the gradient contribution of the rare task "
            "becomes more significant."
        ),
        source="Sinha 2024, prop. 1, proof",
        decided_on=QUICK,
        conditions=("theory/count_50",),
        statistic=(
            "ln of (share of the pairs x norm of the gradient of the mean "
            "loss) of A->C over the larger of A->B's and B->C's, over all "
            "training text"
        ),
        rule=(
            "Reproduced if it is below 0 after the first epoch and above 0 on "
            "average over the epochs between the majority's time and A->C's; "
            "otherwise explained if it grows and stays below 0: more "
            "significant, never leading; not reproduced if it falls or starts "
            "above 0."
        ),
        rule_history=UNSEEN_RUNS,
        num_intervals=3,
        decide=gradients,
    ),
    Claim(
        family=FAMILY,
        name="prop_1_printed_loss",
        title="The majority leads under the printed loss, too",
        statement=(
            "Since N_T1 >> N_T2, the term of T1, (1/N_T1) sum of its "
            "gradients, initially dominates. As printed each term is a mean, "
            "in which its count cancels; a batch mixture is another objective."
        ),
        source="Sinha 2024, prop. 1, proof, second and fourth equation",
        decided_on=QUICK,
        conditions=("theory/balanced_50", "theory/count_50"),
        statistic=(
            "ln of the norm of A->C's mean gradient over the larger of A->B's "
            "and B->C's after the first epoch, trained with equal shares "
            "(pairs repeated), which is the printed loss over three"
        ),
        rule=(
            "Reproduced if A->C's gradient is less than half as large; not "
            "reproduced if it is more than half as large."
        ),
        rule_history=UNSEEN_RUNS,
        num_intervals=1,
        decide=printed_loss,
    ),
)
