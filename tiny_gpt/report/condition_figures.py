"""Figures of a condition on the page: loss and accuracy by epoch."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tiny_gpt.plots.curves import COLOURS, GREY
from tiny_gpt.report.claim_figures import present
from tiny_gpt.report.figures import (
    LINE_STYLES,
    STYLE,
    End,
    draw_levels,
    label_ends,
    new_figure,
    show_percent,
)
from tiny_gpt.report.svg import to_svg
from tiny_gpt.report.typeset import format_number, typeset

HEIGHT = 190  # points
# Events drawn above the curves, each in a row: of training loss and accuracy.
EVENTS = {"loss_drop": "loss drops", "rise": "rises"}


def show_loss(
    condition: dict[str, Any], loss: pd.DataFrame, name: str
) -> dict[str, Any]:
    """Draws the training loss of a condition.

    Args:
        condition: one of the ledger.
        loss: its training loss, rows of the metrics frame.
        name: of the figure, unique in the page.

    Returns:
        SVG and legend entries.
    """
    floors = present(condition["floor"])
    figure = plot_condition_loss(loss, floors)
    first, last = _ends(loss)
    label = (
        f"{condition['question']}: training loss in nats per token, mean "
        f"{format_number(first)} after epoch 1, {format_number(last)} after "
        f"epoch {loss['epoch'].max()}"
    )
    return {"svg": to_svg(figure, name, typeset(label)), "legend": []}


def show_accuracy(
    condition: dict[str, Any],
    accuracy: pd.DataFrame,
    events: pd.DataFrame,
    name: str,
) -> dict[str, Any]:
    """Draws the accuracy of a condition.

    Args:
        condition: one of the ledger.
        accuracy: its accuracy, rows of the metrics frame.
        events: its events.
        name: of the figure, unique in the page.

    Returns:
        SVG and legend entries.
    """
    sparse = [m for m in condition["mappings"] if m in condition["sparse"]]
    recall = present(condition["memoriser"])
    figure = plot_condition_accuracy(
        accuracy,
        condition["mappings"],
        sparse,
        present(condition["chance"]),
        {mapping: recall[mapping] for mapping in sparse if mapping in recall},
        events,
    )
    said = []
    for mapping in condition["mappings"]:
        rows = accuracy[accuracy["mapping"] == mapping]
        if len(rows):
            values = [format_number(v, "fraction") for v in _ends(rows)]
            said.append(f"{mapping} {' to '.join(values)}")
    label = (
        f"{condition['question']}: accuracy from epoch 1 to epoch "
        f"{accuracy['epoch'].max()}, means: {'; '.join(said)}"
    )
    return {"svg": to_svg(figure, name, typeset(label)), "legend": []}


@mpl.rc_context(STYLE)
def plot_condition_loss(loss: pd.DataFrame, floors: dict[str, float]) -> Figure:
    """Draws the training loss of a condition, and its floors.

    A band spans the lowest to the highest seed.

    Args:
        loss: rows of the metrics frame, training loss of one condition.
        floors: lowest loss that a model can reach, nats per token, by name.

    Returns:
        The figure.
    """
    figure, ax = new_figure(HEIGHT)
    by_seed = _by_seed(loss)
    ends = by_seed.min(axis=1), by_seed.max(axis=1)
    ax.fill_between(by_seed.index, *ends, color="black", alpha=0.15, lw=0)
    _draw_mean(ax, by_seed, "black")
    floors = {f"floor, {which}": value for which, value in floors.items()}
    names = [f"{name} {value:.2f}" for name, value in floors.items()]
    levels = draw_levels(ax, floors, names)
    ax.set_ylim(bottom=0)
    label_ends(ax, levels)
    _finish(ax, "Training loss (nats per token)")
    return figure


@mpl.rc_context(STYLE)
def plot_condition_accuracy(
    accuracy: pd.DataFrame,
    mappings: Sequence[str],
    sparse: Sequence[str],
    chance: dict[str, float],
    memoriser: dict[str, float],
    events: pd.DataFrame,
) -> Figure:
    """Draws accuracy per mapping, with baselines and the events.

    The seeds of sparse mappings are thin lines; those of others are not drawn.

    Args:
        accuracy: rows of the metrics frame: one condition, metric, tier and
            prompt.
        mappings: mappings to draw, in the order of their colours.
        sparse: those that few sentence pairs show.
        chance: accuracy of guessing, by mapping; grey and dotted.
        memoriser: accuracy of recall, by mapping; dash-dotted, in the colour
            of the mapping.
        events: events frame of the condition; a stroke above the curves each.

    Returns:
        The figure.
    """
    figure, ax = new_figure(HEIGHT)
    ends: list[End] = []
    for mapping, colour in zip(mappings, cycle(COLOURS), strict=False):
        rows = accuracy[accuracy["mapping"] == mapping]
        if len(rows):
            by_seed = _by_seed(rows)
            if mapping in sparse:
                ax.plot(by_seed, color=colour, lw=0.7, alpha=0.35)
            mean = _draw_mean(ax, by_seed, colour)
            ends.append((mean, typeset(mapping), colour))
        if mapping in memoriser:
            level = ax.axhline(memoriser[mapping], color=colour, linewidth=1.2)
            level.set_linestyle(LINE_STYLES[1])
            value = format_number(memoriser[mapping], "fraction")
            ends.append((level, f"memoriser {value}", colour))
    for guess in sorted(set(chance.values())):
        level = ax.axhline(guess, color=GREY, linewidth=1.2)
        level.set_linestyle(LINE_STYLES[0])
        text = f"chance {format_number(guess, 'fraction')}"
        ends.append((level, text, GREY))
    show_percent(ax, "y")
    label_ends(ax, ends)
    pad = 4 + 14 * _draw_events(ax, events)
    _finish(ax, "Accuracy (words right and in place)", pad)
    return figure


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.pivot_table(index="epoch", columns="seed", values="value")


def _draw_mean(ax: Axes, by_seed: pd.DataFrame, colour: str) -> Line2D:
    (mean,) = ax.plot(by_seed.mean(axis=1), color=colour, linewidth=2)
    if len(by_seed) == 1:
        mean.set_marker("o")
    return mean


def _draw_events(ax: Axes, events: pd.DataFrame) -> int:
    """Draws the events above the axes; returns the number of rows."""
    num_rows = 0
    for kind, name in EVENTS.items():
        epochs = np.unique(events.loc[events["event"] == kind, "epoch"])
        if len(epochs):
            height = 1.06 + 0.1 * num_rows
            x = np.repeat(epochs.astype(float), 3)
            y = np.tile([height, height + 0.05, np.nan], len(epochs))
            place: Any = {"transform": ax.get_xaxis_transform()}
            ax.plot(x, y, color="black", lw=1.4, clip_on=False, **place)
            y_name = height + 0.025
            beside: Any = {"transform": ax.transAxes, "va": "center"}
            ax.text(1.05, y_name, name, fontsize=10, **beside)
            num_rows += 1
    return num_rows


def _finish(ax: Axes, title: str, pad: float = 6) -> None:
    ax.set_title(title, pad=pad)  # above the axis, where it is read level
    ax.set_xlabel("Epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def _ends(rows: pd.DataFrame) -> tuple[float, float]:
    """Returns the mean over seeds at the first and the last epoch."""
    means = rows.groupby("epoch")["value"].mean()
    return means.iloc[0], means.iloc[-1]
