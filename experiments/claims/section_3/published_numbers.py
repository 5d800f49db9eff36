"""Rules of claims about epochs, losses and printed percentages.

They are decided only at the published size: on the published curves, and on
runs of the preset `paper`, where one seed is never a verdict.
"""

import math

import numpy as np
import pandas as pd

from experiments import triangle
from experiments.claims.section_3 import FAMILY, PUBLISHED
from tiny_gpt.analysis.statistics import Interval, t_interval
from tiny_gpt.claims.claim import PAPER, Claim
from tiny_gpt.claims.evidence import (
    NOT_TESTED,
    REFUTED,
    REPRODUCED,
    UNDECIDED,
    Decision,
    Evidence,
    effect,
    points,
    series,
)
from tiny_gpt.claims.verdict import SPARSE, crossing
from tiny_gpt.experiment import loss_floor

CONDITION = "sparse_a_to_c"
PRINTED = 0.65  # fig. 2c and abstract
RISE = 0.25  # of the words: twice chance
NEAR = 3  # epochs


def published_curve(
    evidence: Evidence, condition: str, metric: str, task: str
) -> pd.Series:
    frame = evidence.published
    rows = frame[
        (frame["condition"] == condition)
        & (frame["metric"] == metric)
        & (frame["task"] == task)
    ]
    return rows.set_index("epoch")["value"].sort_index()


def _ours(
    evidence: Evidence, metric: str, mapping: str
) -> dict[int, pd.Series]:
    """Returns curves of our runs at the published size, by seed."""
    frame = evidence.paper
    if frame is None:
        return {}
    rows = frame[
        (frame["experiment"] == "triangle")
        & (frame["condition"] == CONDITION)
        & (frame["metric"] == metric)
        & (frame["mapping"] == mapping)
        & (frame["tier"] == "all")
    ]
    return {
        int(str(seed)): group.set_index("epoch")["value"].sort_index()
        for seed, group in rows.groupby("seed")
    }


def single(value: float) -> Interval:
    return Interval(value, math.nan, math.nan)


def sixty_five_percent(evidence: Evidence) -> Decision:
    """Tells whether the interval over seeds holds the printed "almost 65 %"."""
    curves = _ours(evidence, "accuracy_published", "A->C")
    published = published_curve(evidence, CONDITION, "accuracy", "A->C")
    recent = float(published.iloc[-10:].mean())
    effects = [
        effect("published run, mean of last ten", single(recent), "fraction"),
        effect(
            "published run, epoch 100",
            single(float(published.iloc[-1])),
            "fraction",
        ),
    ]
    said = (
        f"The published run itself has {100 * recent:.1f} % over its last ten "
        f"epochs and {100 * published.iloc[-1]:.0f} % at epoch 100."
    )
    if not curves:
        return Decision(NOT_TESTED, f"No run at this size. {said}", effects)
    values = [float(c.iloc[-10:].mean()) for c in curves.values()]
    ours = t_interval(values, evidence.level, (0.0, 1.0))
    effects.append(effect("ours, mean of last ten", ours, "fraction"))
    because = f"Ours: {points(ours)} over the last ten epochs. {said}"
    if len(values) < 2:
        because = f"One seed is never a verdict. {because}"
        return Decision(NOT_TESTED, because, effects, None, 1)
    verdict = UNDECIDED
    if ours.low <= PRINTED <= ours.high:
        verdict = REPRODUCED
    elif ours.high < PRINTED or ours.low > PRINTED:
        verdict = REFUTED
    return Decision(verdict, because, effects, None, len(values))


def after_epoch_40(evidence: Evidence) -> Decision:
    """Compares epoch 40 with the one at which the published loss passes 0.6."""
    loss = published_curve(evidence, CONDITION, "loss", "all")
    epoch = crossing(loss.index, -loss.to_numpy(), -0.6)
    effects = [effect("published loss below 0.6", single(epoch), "epochs")]
    ours = [
        crossing(c.index, -c.to_numpy(), -0.6)
        for c in _ours(evidence, "loss", "all").values()
    ]
    said = ""
    if ours:
        mean = t_interval(ours, evidence.level)
        effects.append(effect("our loss below 0.6", mean, "epochs"))
        said = f"; in ours ({_seeds(len(ours))}) at epoch {mean.value:.1f}"
    return Decision(
        REPRODUCED if abs(epoch - 40) <= NEAR else REFUTED,
        f"The loss of the published run passes 0.6 at epoch {epoch:.1f}, not "
        f"40{said}. This is read off the paper's own curve; no seed is "
        "needed.",
        effects,
        loss_figure(evidence, {"loss below 0.6": epoch, "epoch 40": 40.0}),
        len(ours),
    )


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def loss_figure(evidence: Evidence, marks: dict[str, float]):
    curves = {
        "published": {0: published_curve(evidence, CONDITION, "loss", "all")}
    }
    ours = _ours(evidence, "loss", "all")
    if ours:
        curves["ours"] = ours
    free = (-math.inf, math.inf)
    lines = [
        series(
            evidence,
            label,
            [int(e) for e in next(iter(by_seed.values())).index],
            [
                {s: float(c[e]) for s, c in by_seed.items()}
                for e in next(iter(by_seed.values())).index
            ],
            free,
        )
        for label, by_seed in curves.items()
    ]
    floor = loss_floor(triangle.build_experiment("paper", CONDITION))
    return {
        "kind": "epochs",
        "axis": "Training loss (nats per token)",
        "series": lines,
        "lines": {"floor": floor},
        "marks": marks,
    }


def rise_at_floor(evidence: Evidence) -> Decision:
    """Compares A->C's rise with the epoch at which the loss meets its floor."""
    floor = loss_floor(triangle.build_experiment("paper", CONDITION))

    def delay(loss: pd.Series, accuracy: pd.Series) -> float:
        # The mean of five evaluations, since single ones jump.
        smooth = accuracy.rolling(5, min_periods=1).mean()
        rise = crossing(smooth.index, smooth.to_numpy(), RISE)
        return rise - crossing(loss.index, -loss.to_numpy(), -floor)

    published = delay(
        published_curve(evidence, CONDITION, "loss", "all"),
        published_curve(evidence, CONDITION, "accuracy", "A->C"),
    )
    losses = _ours(evidence, "loss", "all")
    accuracies = _ours(evidence, "accuracy_published", "A->C")
    ours = [delay(losses[s], accuracies[s]) for s in losses]
    effects = [
        effect("published: rise after floor", single(published), "epochs")
    ]
    said = (
        f"In the published run A->C passes {RISE:.0%} {published:+.1f} epochs "
        f"after the training loss passes its floor, {floor:.3f}"
    )
    if not ours:
        return Decision(NOT_TESTED, f"No run at this size. {said}.", effects)
    finite = bool(np.isfinite(ours).all())
    mean = t_interval(ours, evidence.level) if finite else single(math.nan)
    effects.append(effect("ours: rise after floor", mean, "epochs"))
    because = f"{said}; in ours {mean.value:+.1f} ({_seeds(len(ours))})."
    if len(ours) < 2 or not finite:
        return Decision(
            NOT_TESTED,
            f"One seed is never a verdict. {because}",
            effects,
            None,
            len(ours),
        )
    # The paper's reading, that the sparse task follows once the majority is
    # fitted, needs the rise before the training text is memorised.
    verdict = UNDECIDED
    if mean.high < 0:
        verdict = REPRODUCED
    elif mean.low > 0:
        verdict = REFUTED
    return Decision(verdict, because, effects, None, len(ours))


CLAIMS = (
    Claim(
        family=FAMILY,
        name="percent_65",
        title="Almost 65 % at epoch 100",
        statement=(
            "Almost 65 % accuracy in the 100th epoch (fig. 2c); over 70 % "
            "(sec. 3.1.3)."
        ),
        source="Sinha 2024, abstract, fig. 2c and sec. 3.1.3",
        decided_on=PAPER,
        conditions=(SPARSE,),
        statistic=(
            "A->C accuracy of a fixed sample, mean of the last ten epochs"
        ),
        rule=(
            "With two seeds or more: reproduced if the interval holds 65 %, "
            "not reproduced if it does not."
        ),
        rule_history=PUBLISHED,
        num_intervals=1,
        decide=sixty_five_percent,
    ),
    Claim(
        family=FAMILY,
        name="epoch_40",
        title="A sharp rise after epoch 40, when the loss drops below 0.6",
        statement=(
            "The accuracy increases sharply after the 40th epoch when the "
            "overall loss drops below 0.6."
        ),
        source="Sinha 2024, sec. 3.1.3",
        decided_on=PAPER,
        conditions=(SPARSE,),
        statistic="epoch at which the published training loss passes 0.6",
        rule=(
            "Reproduced if that epoch lies within 3 of 40; not reproduced "
            "otherwise. No seeds are needed."
        ),
        rule_history=PUBLISHED,
        num_intervals=0,
        decide=after_epoch_40,
    ),
    Claim(
        family=FAMILY,
        name="rise_at_floor",
        title="A->C rises because the majority is fitted",
        statement=(
            "The loss of the sparse data starts converging when the overall "
            "loss becomes small enough to fit the majority of the samples."
        ),
        source="Sinha 2024, sec. 3.1.3 and prop. 1",
        decided_on=PAPER,
        conditions=(SPARSE,),
        statistic=(
            "epoch at which A->C (mean of five epochs) passes 25 %, minus "
            "that at which the training loss passes its entropy floor"
        ),
        rule=(
            "With two seeds or more: reproduced if the rise comes before the "
            "training text is memorised, not reproduced if after."
        ),
        rule_history=PUBLISHED,
        num_intervals=1,
        decide=rise_at_floor,
    ),
)
