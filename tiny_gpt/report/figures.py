"""Figures of the report, for phone and paper; nothing here computes."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from tiny_gpt.plots.curves import COLOURS, GREY
from tiny_gpt.report.typeset import format_number, typeset

# A figure is as wide as the text on a phone, so that its letters stay legible
# there; a wider screen shows two side by side.
WIDTH = 345  # points, which become CSS pixels
MARKERS = ("o", "s", "^", "D", "v", "X")  # by mapping or series
LINE_STYLES: tuple[Any, ...] = (":", "-.", "--")  # by baseline, floor or mark
# What is written beside lines: longer names, or more of them, need a legend.
MOST_CHARACTERS, MOST_LABELS = 19, 7
LINE_HEIGHT = 14  # points
End: TypeAlias = tuple[Line2D, str, str]  # line, name, colour
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
        lines: values to compare with, by name; vertical lines below their
            names.
        is_fraction: whether values are fractions, drawn from 0 % to 100 %.

    Returns:
        The figure.
    """
    names = name_levels(lines, is_fraction)
    head = LINE_HEIGHT * len(names)
    figure, ax = new_figure(44 + 38 * len(groups) + head)
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
    ax.set_ylim(len(groups) - 0.6, -0.75 - head / 38)
    ax.yaxis.set_major_locator(NullLocator())
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(axis)
    if is_fraction:
        show_percent(ax, "x")
    left, right = ax.get_xlim()
    for n, (value, name) in enumerate(zip(lines.values(), names, strict=True)):
        side = "left" if value < (left + right) / 2 else "right"
        top = -0.75 - (len(names) - 1 - n) * LINE_HEIGHT / 38
        ax.text(value, top, name, ha=side, va="bottom", fontsize=10.5)
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

    Short labels stand at the ends of their lines (`fit_beside`).

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
    figure, ax = new_figure(240)
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
    ends: list[End] = []
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
        ends.append((mean, typeset(item["label"]), colour))
    ends += draw_levels(ax, lines, name_levels(lines, is_fraction))
    for place, style in zip(
        (marks or {}).values(), cycle(LINE_STYLES[::-1]), strict=False
    ):
        ax.axvline(place, color="black", linestyle=style, linewidth=1)
    ax.set(title=axis, xlabel=x_axis)
    if is_fraction:
        show_percent(ax, "y")
    if fit_beside([label for _, label, _ in ends]):
        label_ends(ax, ends)
    return figure


def new_figure(height: float) -> tuple[Figure, Axes]:
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


def name_levels(lines: dict[str, float], is_fraction: bool) -> list[str]:
    """Returns what is written beside levels: name and value."""
    unit = "fraction" if is_fraction else None
    return [f"{n} {format_number(v, unit)}" for n, v in lines.items()]


def draw_levels(
    ax: Axes, lines: dict[str, float], names: Sequence[str]
) -> list[End]:
    """Draws horizontal lines, each in a style of its own; returns their ends.

    Args:
        ax: where.
        lines: values by name.
        names: what `label_ends` may write beside them.
    """
    ends = []
    for value, name, style in zip(
        lines.values(), names, cycle(LINE_STYLES), strict=False
    ):
        level = ax.axhline(value, color=GREY, linestyle=style, linewidth=1.2)
        ends.append((level, name, GREY))
    return ends


def fit_beside(labels: Sequence[str]) -> bool:
    """Tells whether labels fit beside the lines of a figure."""
    longest = max(map(len, labels), default=0)
    return len(labels) <= MOST_LABELS and longest <= MOST_CHARACTERS


def label_ends(ax: Axes, ends: Sequence[End]) -> None:
    """Writes the name of each line at its right end, and moves names apart.

    Args:
        ax: with its final limits.
        ends: line, name and colour; levels cross the whole figure.
    """
    low, high = ax.get_ylim()
    found = []
    for line, name, colour in ends:
        x, y = (np.asarray(v, float) for v in line.get_data())
        is_there = np.isfinite(y)
        if is_there.any():
            is_level = len(y) == 2 and line.get_transform() != ax.transData
            right = ax.get_xlim()[1] if is_level else x[is_there][-1]
            found.append((float(y[is_there][-1]), right, name, colour))
    found.sort(key=lambda end: end[0])
    figure: Any = ax.get_figure(root=True)
    gap = LINE_HEIGHT / (figure.get_figheight() * 72 - 60)
    places = [(y - low) / (high - low) for y, *_ in found]
    for n in range(1, len(places)):
        places[n] = max(places[n], places[n - 1] + gap)
    for n in reversed(range(len(places))):
        above = places[n + 1] - gap if n + 1 < len(places) else 0.98
        places[n] = min(places[n], above)
    for place, (value, right, name, colour) in zip(places, found, strict=True):
        ax.annotate(
            name,
            (right, value),
            (1.05, place),
            textcoords="axes fraction",
            va="center",
            fontsize=10.5,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.9,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )


def show_percent(ax: Axes, axis: str) -> None:
    low, high = getattr(ax, f"get_{axis}lim")()
    ax.set(**{f"{axis}lim": (min(low, -0.03), max(high, 1.03))})
    formatter = PercentFormatter(1.0, decimals=0, symbol=" %")
    getattr(ax, f"{axis}axis").set_major_formatter(formatter)
