"""Curves from the metrics frame; nothing here trains or decodes."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

# Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#777777"


def plot_accuracy(
    metrics: pd.DataFrame,
    metric: str,
    mappings: Sequence[str],
    baselines: dict[str, float] | None = None,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draws accuracy against epoch, one colour per language mapping.

    A thick line is the mean over seeds, a thin one a seed. Dotted lines are
    baselines. The exact evaluation at the end (other tiers) is not drawn.

    Args:
        metrics: metrics frame of one condition.
        metric: metric to draw, e.g. "accuracy_aligned".
        mappings: mappings to draw, in the order of their colours.
        baselines: accuracy in [0, 1] by name, e.g. {"chance": 0.125}.
        ax: axes to draw on; a new figure if `None`.

    Returns:
        The axes drawn on.
    """
    if ax is None:
        _, ax = plt.subplots()
    rows = metrics[(metrics["metric"] == metric) & (metrics["tier"] == "all")]
    for mapping, colour in zip(mappings, COLOURS, strict=False):
        label = mapping.replace("->", " → ")
        _plot_seeds(ax, rows[rows["mapping"] == mapping], colour, label)
    for (name, value), style in zip(
        (baselines or {}).items(), (":", "-."), strict=False
    ):
        ax.axhline(value, color=GREY, linestyle=style, linewidth=1, label=name)
    ax.set(xlabel="Epoch", ylabel="Accuracy (fraction of words)")
    ax.set_ylim(-0.03, 1.03)
    return ax


def plot_loss(metrics: pd.DataFrame, ax: plt.Axes | None = None) -> plt.Axes:
    """Draws the training loss against epoch: mean over seeds, and each seed.

    Args:
        metrics: metrics frame of one condition.
        ax: axes to draw on; a new figure if `None`.

    Returns:
        The axes drawn on.
    """
    if ax is None:
        _, ax = plt.subplots()
    _plot_seeds(ax, metrics[metrics["metric"] == "loss"], "black", "loss")
    ax.set(xlabel="Epoch", ylabel="Training loss (nats per token)")
    return ax


def plot_conditions(
    metrics: pd.DataFrame,
    metric: str,
    mappings: Sequence[str],
    baselines: dict[str, dict[str, float]] | None = None,
    published: pd.DataFrame | None = None,
    paper_accuracy: Mapping[str, Mapping[str, float]] | None = None,
    title: str = "",
) -> Figure:
    """Draws loss and accuracy of each condition side by side (fig. 2).

    The published run is drawn behind ours, thin and dashed. If it has another
    number of epochs, it is stretched over the same width, with its own epochs
    on the upper axis.

    Args:
        metrics: metrics frame, all conditions and seeds.
        metric: metric to draw, e.g. "accuracy_aligned".
        mappings: mappings to draw, in the order of their colours.
        baselines: accuracy by name, by condition.
        published: columns condition, epoch, task, metric ("loss" or
            "accuracy"), value; None for none.
        paper_accuracy: final accuracy that the paper prints, a fraction, by
            mapping, by condition; marked with a star at the last epoch.
        title: heading of the figure.

    Returns:
        The figure.
    """
    conditions = list(dict.fromkeys(metrics["condition"]))
    width = 1.5 + 3.6 * len(conditions)
    figure, axes = plt.subplots(
        2,
        len(conditions),
        figsize=(max(width, 7.5), 7.0),
        squeeze=False,
        sharey="row",
        layout="constrained",
        height_ratios=(1, 2),
    )
    for column, condition in zip(axes.T, conditions, strict=True):
        rows = metrics[metrics["condition"] == condition]
        lines = (baselines or {}).get(condition)
        plot_loss(rows, column[0])
        plot_accuracy(rows, metric, mappings, lines, column[1])
        if published is not None:
            known = published[published["condition"] == condition]
            _plot_published(column, known, mappings, rows["epoch"].max())
        printed = (paper_accuracy or {}).get(condition, {})
        _mark_printed(column[1], printed, mappings, rows["epoch"].max())
        column[0].set_title(condition, fontsize=11)
        column[0].set_xlabel("")
    for row in axes:
        for ax in row[1:]:
            ax.set_ylabel("")
    highest = max(
        max(line.get_ydata(), default=0.0)
        for ax in axes[0]
        for line in ax.lines
    )
    axes[0, 0].set_ylim(0, 1.05 * highest)  # shared by the row
    entries: dict[str, Artist] = {}
    for ax in axes[1]:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )
    figure.suptitle(title, fontsize=12)
    return figure


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
    figure, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
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
    ax.set_ylim(-0.03, 1.03)
    ax.set_title(title, fontsize=11)
    ax.legend(frameon=False)
    return figure


def _plot_seeds(ax, rows: pd.DataFrame, colour: str, label: str) -> None:
    if rows.empty:
        return
    by_seed = rows.pivot_table(index="epoch", columns="seed", values="value")
    ax.plot(by_seed.index, by_seed, color=colour, linewidth=0.7, alpha=0.35)
    mean = by_seed.mean(axis=1)
    marker = "o" if len(mean) == 1 else None
    ax.plot(
        mean.index, mean, color=colour, linewidth=2, label=label, marker=marker
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _mark_printed(ax, printed, mappings, epoch) -> None:
    for mapping, colour in zip(mappings, COLOURS, strict=False):
        if mapping in printed:
            ax.plot(
                epoch,
                printed[mapping],
                color=colour,
                marker="*",
                markersize=13,
                markeredgecolor="black",
                markeredgewidth=0.6,
                clip_on=False,
                zorder=5,
            )
    if printed:
        ax.plot(
            [],
            [],
            color="white",
            marker="*",
            markersize=11,
            markeredgecolor="black",
            linestyle="",
            label="printed in the paper",
        )


def _plot_published(column, published, mappings, num_epochs) -> None:
    if published.empty:
        return
    stretch = num_epochs / published["epoch"].max()
    loss = published[published["metric"] == "loss"]
    style = {"linestyle": "--", "linewidth": 0.8, "alpha": 0.7, "zorder": 1}
    column[0].plot(loss["epoch"] * stretch, loss["value"], color=GREY, **style)
    accuracy = published[published["metric"] == "accuracy"]
    column[1].plot([], [], color=GREY, label="published run", **style)
    for mapping, colour in zip(mappings, COLOURS, strict=False):
        rows = accuracy[accuracy["task"] == mapping]
        x = rows["epoch"] * stretch
        column[1].plot(x, rows["value"], color=colour, **style)
    if stretch != 1:
        upper = column[1].secondary_xaxis(
            "top", functions=(lambda x: x / stretch, lambda x: x * stretch)
        )
        upper.set_xlabel("Epoch of the published run", color=GREY, fontsize=8)
        upper.tick_params(colors=GREY, labelsize=8)
