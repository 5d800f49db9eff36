"""Panels of the report: small figures in a row, on one scale."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from tiny_gpt.plots.curves import COLOURS
from tiny_gpt.report.figures import (
    MARKERS,
    STYLE,
    WIDTH,
    draw_levels,
    mark_line,
    numbers,
)


@mpl.rc_context(STYLE)
def plot_panels(
    panels: Sequence[dict[str, Any]],
    axis: str,
    x_axis: str,
    lines: dict[str, float],
    log_y: bool,
) -> Figure:
    """Draws one panel each: lines of means over seeds, with bands.

    Args:
        panels: {"label", "series"}; a series has {"x", "mean", "low",
            "high"}. The last two bound its band.
        axis: label of the values.
        x_axis: label of x.
        lines: values to compare with, by name; horizontal lines.
        log_y: whether the values are on a logarithmic scale.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(WIDTH / 72, 220 / 72), layout="constrained")
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, panel in zip(row, panels, strict=True):
        for item, colour, marker in zip(
            panel["series"], cycle(COLOURS), cycle(MARKERS), strict=False
        ):
            x = numbers(item["x"])
            low, high = numbers(item["low"]), numbers(item["high"])
            ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
            (mean,) = ax.plot(x, numbers(item["mean"]), color=colour)
            mean.set_linewidth(2)
            mark_line(mean, marker)
        draw_levels(ax, lines, list(lines))
        ax.set_title(panel["label"])
        ax.xaxis.set_major_locator(
            MaxNLocator(integer=True, nbins=4, steps=(1, 5, 10))
        )
        if log_y:
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter(NullFormatter())
    figure.suptitle(axis, x=0.01, ha="left", fontsize=STYLE["axes.titlesize"])
    row[len(row) // 2].set_xlabel(x_axis)
    return figure
