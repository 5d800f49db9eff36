"""Curves of in-context learning: the loss of late answers, by update."""

import contextlib
from collections.abc import Mapping, Sequence
from statistics import fmean

import pandas as pd
from matplotlib.figure import Figure

from tiny_gpt.claims.evidence import BySeed, Evidence, MissingRunsError
from tiny_gpt.plots.plateaus import plot_plateaus
from tiny_gpt.tasks.in_context.data import ABOVE_ALL, LOSS
from tiny_gpt.tasks.in_context.source import FRESH


def late_losses(
    evidence: Evidence, place: str, metric: str = LOSS
) -> pd.DataFrame:
    """Returns the loss of late answers on new bijections.

    Late are the positions of a window's second half, of those measured.

    Args:
        evidence: frames of the runs.
        place: experiment and condition.
        metric: the loss, or the nats above a reader.

    Returns:
        Means, by step (rows) and seed (columns).

    Raises:
        MissingRunsError: if the condition or a seed is missing.
    """
    rows = evidence.rows(
        place, mapping=FRESH, metric=metric, tier="fresh_windows"
    )
    pairs = rows["prompt"].str.split("_").str[0].astype(int)
    late = rows[pairs + 1 >= (pairs.max() + 1) // 2]
    return late.pivot_table("value", "step", "seed", aggfunc="mean")


def reader_losses(evidence: Evidence, place: str) -> BySeed:
    """Returns the loss of the best reader on the same answers, by seed.

    To it all bijections are equally likely.
    """
    losses = late_losses(evidence, place)
    found = (losses - late_losses(evidence, place, ABOVE_ALL)).mean()
    return {int(str(seed)): float(loss) for seed, loss in found.items()}


def draw_plateaus(
    evidence: Evidence, title: str, panels: Mapping[str, Mapping[str, str]]
) -> Figure | None:
    """Draws late losses, and those of the best reader and of one who guesses.

    Args:
        evidence: frames of the runs.
        title: heading of the figure.
        panels: places by label, by heading; none if one is missing.

    Returns:
        The figure; None if no panel is whole.
    """
    curves, readers = {}, list[float]()
    for heading, group in panels.items():
        with contextlib.suppress(MissingRunsError):
            curves[heading] = {
                label: late_losses(evidence, place)
                for label, place in group.items()
            }
            for place in group.values():
                readers += reader_losses(evidence, place).values()
    if not curves:
        return None
    lines = {
        "guess": _first_loss(evidence, [*panels[next(iter(curves))].values()]),
        "best reader": fmean(readers),
    }
    return plot_plateaus(curves, lines, title)


def _first_loss(evidence: Evidence, places: Sequence[str]) -> float:
    """Returns the best reader's loss before any pair: that of a guess."""
    loss, above = (
        evidence.rows(
            places[0],
            mapping=FRESH,
            metric=metric,
            tier="fresh_windows",
            prompt="0_demonstrations",
        )["value"].mean()
        for metric in (LOSS, ABOVE_ALL)
    )
    return float(loss - above)
