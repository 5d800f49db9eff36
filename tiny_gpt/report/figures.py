"""Figures of the report, for phone and paper; nothing here computes."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from tiny_gpt.plots.curves import COLOURS, GREY, plot_accuracy, plot_loss

# A figure is as wide as the text on a phone, so that its letters stay legible
# there; a wider screen shows two side by side.
WIDTH = 345  # points, which become CSS pixels
MARKERS = ("o", "s", "^", "D", "v", "X")  # by mapping or series
LINE_STYLES = (":", "-.", "--")  # by baseline, floor or mark
EVENT_MARKERS = ("|", "x", "+")  # by kind of event
STYLE: Any = {  # matplotlib types every key
    "text.parse_math": False,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.markersize": 4.5,
}


@mpl.rc_context(STYLE)
def plot_strip(
    groups: Sequence[dict[str, Any]],
    texts: Sequence[str],
    axis: str,
    lines: dict[str, float],
    is_fraction: bool,
) -> Figure:
    """Draws one row per group: a dot per seed, the mean and its interval.

    Args:
        groups: {"label", "values", "mean", "low", "high"}; `None` is not
            drawn.
        texts: mean and interval in words, one per group, written on its row.
        axis: label of the values.
        lines: values to compare with, by name; vertical lines.
        is_fraction: whether values are fractions, drawn from 0 % to 100 %.

    Returns:
        The figure.
    """
    figure, ax = _new_figure(44 + 38 * len(groups))
    lengths = [
        len(group["label"] + text)
        for group, text in zip(groups, texts, strict=True)
    ]
    for row, (group, text) in enumerate(zip(groups, texts, strict=True)):
        place: Any = {"transform": ax.get_yaxis_transform(), "va": "bottom"}
        ax.text(0, row - 0.26, group["label"], **place)
        if max(lengths) < 50:  # else they meet; the page has it in words
            ax.text(1, row - 0.26, text, ha="right", fontsize=10.5, **place)
        values = numbers(group["values"])
        # Each seed a little below the last, so that equal ones are seen.
        spread = (np.arange(len(values)) + 0.5) / max(len(values), 1) - 0.5
        dots: Any = {"alpha": 0.6, "markeredgewidth": 0, "clip_on": False}
        ax.plot(values, row + 0.3 * spread, "o", color=COLOURS[0], **dots)
        mean, low, high = numbers([group[k] for k in ("mean", "low", "high")])
        ax.plot([low, high], [row, row], color="black", linewidth=1.6)
        ax.plot(mean, row, "|", color="black", ms=13, mew=2.2)
    rows = np.arange(len(groups))
    for value, style in zip(lines.values(), cycle(LINE_STYLES), strict=False):
        x = np.full(len(rows), value)
        lined = ax.vlines(x, rows - 0.2, rows + 0.26, color=GREY)
        lined.set(linestyle=style, linewidth=1.2, zorder=1)
    ax.set_ylim(len(groups) - 0.6, -0.75)
    ax.yaxis.set_major_locator(NullLocator())
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(axis)
    if is_fraction:
        _show_percent(ax, "x")
    return figure


@mpl.rc_context(STYLE)
def plot_series(
    series: Sequence[dict[str, Any]],
    axis: str,
    x_axis: str,
    lines: dict[str, float],
    is_fraction: bool,
    marks: dict[str, float] | None = None,
    log_x: bool = False,
    has_seed_lines: bool = False,
) -> Figure:
    """Draws one line per series: its mean, its interval, and each seed.

    Args:
        series: {"label", "x", "values", "mean", "low", "high"}; "values" has
            one list of seeds per x, `None` is not drawn.
        axis: label of the values.
        x_axis: label of x.
        lines: values to compare with, by name; horizontal lines.
        is_fraction: whether values are fractions, drawn from 0 % to 100 %.
        marks: places on the x axis, by name; vertical lines.
        log_x: whether the x axis is logarithmic.
        has_seed_lines: whether the values of a seed are joined.

    Returns:
        The figure.
    """
    figure, ax = _new_figure(240)
    ticks = sorted({x for item in series for x in item["x"]})
    if log_x:
        ax.set_xscale("log")
    if log_x or len(ticks) < 10:
        ticks = ticks[:: 1 + len(ticks) // 10]
        names = [f"{x:g}" if x == round(x) else f"{x:.1g}" for x in ticks]
        ax.set_xticks(ticks, names)
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    for item, colour, marker in zip(
        series, cycle(COLOURS), cycle(MARKERS), strict=False
    ):
        x = numbers(item["x"])
        if has_seed_lines:
            values = np.array([numbers(seeds) for seeds in item["values"]])
            ax.plot(x, values, color=colour, linewidth=0.6, alpha=0.35)
        else:
            for place, seeds in zip(x, item["values"], strict=True):
                dots = numbers(seeds)
                ax.plot(np.full(len(dots), place), dots, "o", color=colour)
                ax.lines[-1].set(alpha=0.35, markeredgewidth=0, clip_on=False)
        low, high = numbers(item["low"]), numbers(item["high"])
        ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        (mean,) = ax.plot(x, numbers(item["mean"]), color=colour, linewidth=2)
        mark_line(mean, marker)
    draw_levels(ax, lines)
    for place, style in zip(
        (marks or {}).values(), cycle(LINE_STYLES[::-1]), strict=False
    ):
        ax.axvline(place, color="black", linestyle=style, linewidth=1)
    ax.set(title=axis, xlabel=x_axis)
    if is_fraction:
        _show_percent(ax, "y")
    return figure


@mpl.rc_context(STYLE)
def plot_condition_loss(
    metrics: pd.DataFrame, floors: dict[str, float]
) -> Figure:
    """Draws the training loss of a condition, and its floors.

    Args:
        metrics: metrics frame of one condition.
        floors: lowest loss that a model can reach, nats per token, by name.

    Returns:
        The figure.
    """
    figure, ax = _new_figure(210)
    plot_loss(metrics, ax)
    draw_levels(ax, floors)
    ax.set_ylim(bottom=0)
    _finish_epochs(ax)
    return figure


@mpl.rc_context(STYLE)
def plot_condition_accuracy(
    metrics: pd.DataFrame,
    metric: str,
    mappings: Sequence[str],
    chance: dict[str, float],
    memoriser: dict[str, float],
    events: pd.DataFrame,
    kinds: Sequence[str],
) -> Figure:
    """Draws accuracy per mapping, with baselines and the events.

    Args:
        metrics: metrics frame of one condition, one tier and prompt.
        metric: metric to draw, e.g. "accuracy_aligned".
        mappings: mappings to draw, in the order of their colours.
        chance: accuracy of guessing, by mapping; grey and dotted.
        memoriser: accuracy of recall, by mapping; dash-dotted, in the colour
            of the mapping.
        events: events frame of the condition; each has a mark above the
            curves.
        kinds: kinds of event, in the order of their marks.

    Returns:
        The figure.
    """
    figure, ax = _new_figure(210)
    plot_accuracy(metrics, metric, mappings, None, ax)
    for mapping, colour, marker in zip(
        mappings, cycle(COLOURS), cycle(MARKERS), strict=False
    ):
        for line in ax.lines:
            if line.get_label() == mapping.replace("->", " → "):
                mark_line(line, marker)
        if mapping in memoriser:
            ax.axhline(
                memoriser[mapping],
                color=colour,
                linestyle=LINE_STYLES[1],
                linewidth=1.2,
            )
    for value in sorted(set(chance.values())):
        ax.axhline(value, color=GREY, linestyle=LINE_STYLES[0], linewidth=1.2)
    _show_percent(ax, "y")
    ax.set_ylabel("Accuracy (share of words right and in place)")
    _finish_epochs(ax)
    _draw_events(ax, events, kinds)
    return figure


def _new_figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
    return figure, figure.subplots()


def numbers(values: Sequence[float | None]) -> np.ndarray:
    """Returns an array with a gap for each missing or infinite number."""
    array = np.array(values, dtype=float)  # None becomes NaN
    return np.where(np.isfinite(array), array, np.nan)  # a gap


def mark_line(line, marker: str) -> None:
    """Puts a few markers on a line."""
    every = max(1, len(line.get_xdata()) // 6)
    line.set(marker=marker, markevery=every, markeredgewidth=0)


def draw_levels(ax: Axes, lines: dict[str, float]) -> None:
    """Draws horizontal lines, each in a style of its own."""
    for value, style in zip(lines.values(), cycle(LINE_STYLES), strict=False):
        ax.axhline(value, color=GREY, linestyle=style, linewidth=1.2)


def _show_percent(ax: Axes, axis: str) -> None:
    low, high = getattr(ax, f"get_{axis}lim")()
    ax.set(**{f"{axis}lim": (min(low, -0.03), max(high, 1.03))})
    formatter = PercentFormatter(1.0, decimals=0, symbol=" %")
    getattr(ax, f"{axis}axis").set_major_formatter(formatter)


def _draw_events(ax: Axes, events: pd.DataFrame, kinds: Sequence[str]) -> None:
    height = 1.05  # of the axes, above which each kind has a row
    for kind, marker in zip(kinds, cycle(EVENT_MARKERS), strict=False):
        epochs = events.loc[events["event"] == kind, "epoch"]
        if len(epochs):
            rows = np.full(len(epochs), height)
            ax.plot(epochs, rows, marker, color="black", alpha=0.5)
            ax.lines[-1].set(transform=ax.get_xaxis_transform(), clip_on=False)
            height += 0.07
    ax.set_title(ax.get_title("left"), pad=8 + 140 * (height - 1.05))


def _finish_epochs(ax: Axes) -> None:
    ax.set_title(ax.get_ylabel())  # above the axis, where it is read level
    ax.set_ylabel("")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
