"""Rules of proposition 1 about gradients: which task's gradient leads."""

from functools import partial

import numpy as np

from experiments import theory
from experiments.claims.section_2 import FAMILY, SEEN
from experiments.claims.section_2.majority import (
    MAJORITY,
    TASKS,
    curves_of,
    lag_of,
    majority_time_of,
    times_of,
)
from tiny_gpt.claims.claim import Claim, Scenario
from tiny_gpt.claims.evidence import BySeed, Evidence, series, strip
from tiny_gpt.claims.measure import FREE, RATIO, Measure, Values, subtract
from tiny_gpt.claims.rule import (
    CONFIRMED,
    CONTRADICTED,
    NOT_CONFIRMED,
    SUPPORTED,
    above,
    below,
    case,
    either,
    explained,
    observed,
)

DOMINATED = 0.5  # of the majority's gradient


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
    """Returns the share of each mapping in the pairs of the text."""
    mixture = theory.build_experiment("quick", condition).task.mixture
    return {
        m: mixture.component(m).num_shown / mixture.num_shown for m in TASKS
    }


def _of_batches(evidence: Evidence):
    return log_ratios(evidence, "count_50", shares_of("count_50"))


def _as_printed(evidence: Evidence):
    return log_ratios(evidence, "balanced_50", dict.fromkeys(TASKS, 1.0))


def at_first(evidence: Evidence, kind: str = "count") -> BySeed:
    """Returns the logarithm after the first epoch."""
    read = _of_batches if kind == "count" else _as_printed
    return {s: float(v[0]) for s, (_, v) in read(evidence).items()}


def while_it_is_learned(evidence: Evidence) -> BySeed:
    """Returns the mean logarithm between the majority's time and A->C's.

    The mean is over the epochs that end in between. If none does, it is the
    value of the first epoch that ends later; if the majority is never
    learned, that of the last epoch.
    """
    start = majority_time_of(evidence, "count_50")
    end = times_of(evidence, "count_50", "A->C")
    means = {}
    for seed, (steps, values) in _of_batches(evidence).items():
        inside = (steps >= start[seed]) & (steps <= end[seed])
        if not inside.any():
            i = min(int((steps < start[seed]).sum()), len(steps) - 1)
            inside[i] = True
        means[seed] = float(values[inside].mean())
    return means


def growth(evidence: Evidence) -> BySeed:
    """Returns the second logarithm minus the first."""
    return subtract(while_it_is_learned(evidence), at_first(evidence))


def _ratio(name: str, values: Values) -> Measure:
    return Measure(name=name, values=values, unit="ratio", kind=RATIO)


def _cosine(name: str, epoch: int) -> Measure:
    def values(evidence: Evidence) -> BySeed:
        curves = curves_of(
            evidence,
            "count_50",
            "gradient_cosine",
            "A->B A->C",
            "training_windows",
        )
        return {seed: float(v[epoch]) for seed, (_, v) in curves.items()}

    return Measure(name=name, values=values, unit="ratio", bounds=(-1.0, 1.0))


_FIRST = _ratio("A->C's gradient over the majority's, first epoch", at_first)
_LATER = _ratio("the same while A->C is learned", while_it_is_learned)
_GROWTH = _ratio("growth in between", growth)
_PRINTED = _ratio(
    "A->C's gradient over the majority's, as printed, first epoch",
    partial(at_first, kind="balanced"),
)


def _course(evidence: Evidence):
    ratios = _of_batches(evidence)
    x = ratios[evidence.seeds[0]][0].tolist()
    values = [
        {seed: float(v[i]) for seed, (_, v) in ratios.items()}
        for i in range(len(x))
    ]
    return {
        "kind": "curve",
        "axis": "ln (gradient of A->C / of the majority)",
        "x_axis": "Updates",
        "log_x": False,
        "series": [series(evidence, "A->C", x, values, FREE)],
        "lines": {"equal": 0.0},
    }


def _two_losses(evidence: Evidence):
    return strip(
        evidence,
        "ln (gradient of A->C / of the majority), first epoch",
        {
            "loss of the batches": at_first(evidence),
            "loss as printed": at_first(evidence, "balanced"),
        },
        {"half": float(np.log(DOMINATED)), "equal": 0.0},
        FREE,
    )


CLAIMS = (
    Claim(
        family=FAMILY,
        name="prop_1_gradient",
        title="The majority's gradient leads, the rare mapping's gains",
        statement=(
            "The majority's term initially dominates the gradient update; as "
            "it diminishes, the gradient contribution of the rare task "
            "becomes more significant."
        ),
        source="Sinha 2024, prop. 1, proof",
        conditions=("theory/count_50",),
        statistic=(
            "(share of the pairs x norm of the gradient of the mean loss) of "
            "A->C over the larger of A->B's and B->C's, over all training "
            "windows: after the first epoch, and on average over the epochs "
            "between the majority's time and A->C's; geometric means over "
            "seeds. To become more significant is to grow, the printed words; "
            "whether it also leads, as the title has it, is the explanation."
        ),
        measures=(_FIRST, _GROWTH, _LATER),
        shown=(
            _cosine("cosine with A->B, first epoch", 0),
            _cosine("cosine with A->B, last epoch", -1),
        ),
        observation=observed(
            case(CONFIRMED, below(_FIRST.name, 1.0), above(_GROWTH.name, 1.0)),
            either(
                NOT_CONFIRMED,
                (above(_FIRST.name, 1.0),),
                (below(_GROWTH.name, 1.0),),
            ),
        ),
        cause="A->C is learned once its gradient leads.",
        explanation=explained(
            case(SUPPORTED, above(_LATER.name, 1.0)),
            case(CONTRADICTED, below(_LATER.name, 1.0)),
        ),
        margin=(
            "Of two gradients one leads, so the limit is 1; a question of "
            "direction, so that any growth counts."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_FIRST.name: 0.5, _GROWTH.name: 2.0}),
            Scenario(NOT_CONFIRMED, {_GROWTH.name: 0.5}),
            Scenario(SUPPORTED, {_LATER.name: 2.0}),
            Scenario(CONTRADICTED, {_LATER.name: 0.5}),
        ),
        figure=_course,
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
        conditions=("theory/balanced_50", "theory/count_50"),
        statistic=(
            "norm of A->C's mean gradient over the larger of A->B's and "
            "B->C's after the first epoch, trained with equal shares (pairs "
            "repeated), which is the printed loss over three; geometric mean "
            "over seeds"
        ),
        measures=(_PRINTED,),
        shown=(
            lag_of("A->C late, as printed, updates", "balanced_50"),
            lag_of("A->C late, loss of the batches, updates", "count_50"),
        ),
        observation=observed(
            case(CONFIRMED, below(_PRINTED.name, DOMINATED)),
            case(NOT_CONFIRMED, above(_PRINTED.name, DOMINATED)),
        ),
        margin=(
            "To dominate is to be more than twice as large. Under the loss of "
            "the batches, 50 pairs against 2500, the share alone makes 50."
        ),
        seen=SEEN,
        scenarios=(
            Scenario(CONFIRMED, {_PRINTED.name: 0.25}),
            Scenario(NOT_CONFIRMED, {_PRINTED.name: 1.0}),
        ),
        figure=_two_losses,
    ),
)
