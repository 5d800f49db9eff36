"""Accuracy against the number of sentence pairs; nothing here computes."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from tiny_gpt.plots.curves import COLOURS, GREY, add_legend, show_shares


def plot_against_pairs(
    series: Sequence[dict[str, Any]],
    lines: dict[str, float],
    axis: str,
    title: str = "",
) -> Figure:
    """Draws accuracy against the number of sentence pairs, one line a series.

    A dot is a seed, a line the mean, its band the interval.

    Args:
        series: {"label", "x", "values", "mean", "low", "high"}; "values" has
            one list of seeds per x.
        lines: values to compare with, by name.
        axis: label of the values.
        title: heading of the figure.

    Returns:
        The figure.
    """
    figure, ax = plt.subplots(figsize=(7.5, 5.2), layout="constrained")
    ax.set_xscale("log")
    for item, colour in zip(series, COLOURS, strict=False):
        for x, values in zip(item["x"], item["values"], strict=True):
            ax.plot([x] * len(values), values, ".", color=colour, alpha=0.35)
        ax.plot(
            item["x"],
            item["mean"],
            color=colour,
            linewidth=2,
            label=item["label"],
        )
        if None not in item["low"]:
            ends = item["low"], item["high"]
            ax.fill_between(
                item["x"], *ends, color=colour, alpha=0.15, linewidth=0
            )
    for name, value in lines.items():
        ax.axhline(value, color=GREY, linestyle=":", linewidth=1, label=name)
    ticks = sorted({x for item in series for x in item["x"]})
    ax.set_xticks(ticks, [str(x) for x in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="A → C sentence pairs", ylabel=axis.replace("->", " → "))
    show_shares(ax)
    ax.set_title(title, fontsize=11)
    add_legend(figure, [ax])
    return figure
