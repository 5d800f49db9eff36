"""Curves from the metrics frame; nothing here trains or decodes."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

# Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#777777"
MOST_COLUMNS = 4  # conditions side by side; more go below
LEGEND_ROWS = 3


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
    ax.set(xlabel="Epoch", ylabel="Words right")
    show_shares(ax)
    return ax


def show_shares(ax: plt.Axes) -> None:
    """Gives the values of axes, shares in [0, 1], room and ticks in percent.

    Args:
        ax: axes to change.
    """
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, 0, " %"))


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
    ax.set(xlabel="Epoch", ylabel="Training loss\n(nats per token)")
    return ax


def plot_conditions(
    metrics: pd.DataFrame,
    metric: str,
    mappings: Sequence[str],
    baselines: dict[str, dict[str, float]] | None = None,
    published: pd.DataFrame | None = None,
    paper_accuracy: Mapping[str, Mapping[str, float]] | None = None,
    title: str = "",
    titles: Mapping[str, str] | None = None,
) -> Figure:
    """Draws loss and accuracy of each condition side by side (fig. 2).

    All losses have one axis, all accuracies one, and the loss and accuracy of
    a condition one of epochs. The published run is drawn behind ours, thin
    and dashed. If it has another number of epochs, it is stretched over the
    same width, with its own epochs on the upper axis.

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
        titles: headings of the panels by condition, in their order; by
            default the conditions as they are.

    Returns:
        The figure.
    """
    found = list(dict.fromkeys(metrics["condition"]))
    titles = titles or dict(zip(found, found, strict=True))
    conditions = [condition for condition in titles if condition in found]
    figure, panels = _make_panels(len(conditions))
    for (above, below), condition in zip(panels, conditions, strict=True):
        rows = metrics[metrics["condition"] == condition]
        last = rows["epoch"].max()
        plot_loss(rows, above)
        lines = (baselines or {}).get(condition)
        plot_accuracy(rows, metric, mappings, lines, below)
        if published is not None:
            known = published[published["condition"] == condition]
            _plot_published(above, below, known, mappings, last)
        printed = (paper_accuracy or {}).get(condition, {})
        _mark_printed(below, printed, mappings, last)
        above.set_title(titles[condition], fontsize=11)
        above.set_xlim(0, 1.03 * last)
    for number, (above, below) in enumerate(panels):
        above.set(xlabel="", ylim=(0, None))
        above.tick_params(labelbottom=False)
        if number % MOST_COLUMNS:
            for ax in (above, below):
                ax.set_ylabel("")
                ax.tick_params(labelleft=False)
    add_legend(figure, [below for _, below in panels])
    figure.suptitle(title, fontsize=12)
    return figure


def _make_panels(
    num_conditions: int,
) -> tuple[Figure, list[tuple[plt.Axes, plt.Axes]]]:
    """Returns a figure with two axes for each condition, one above another."""
    num_columns = min(num_conditions, MOST_COLUMNS)
    num_bands = math.ceil(num_conditions / num_columns)
    figure, axes = plt.subplots(
        2 * num_bands,
        num_columns,
        figsize=(max(1.5 + 3.6 * num_columns, 7.5), 1.2 + 5.8 * num_bands),
        squeeze=False,
        layout="constrained",
        height_ratios=(1, 2) * num_bands,
    )
    pairs = [
        pair
        for band in range(num_bands)
        for pair in zip(axes[2 * band], axes[2 * band + 1], strict=True)
    ]
    for above, below in pairs[num_conditions:]:
        above.remove()
        below.remove()
    pairs = pairs[:num_conditions]
    for above, below in pairs:
        below.sharex(above)
    for above, below in pairs[1:]:
        above.sharey(pairs[0][0])
        below.sharey(pairs[0][1])
    return figure, pairs


def add_legend(figure: Figure, axes: Sequence[plt.Axes]) -> None:
    """Adds one legend for all axes, column after column.

    Args:
        figure: to change.
        axes: whose entries are shown, each name once.
    """
    entries: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=math.ceil(len(entries) / LEGEND_ROWS),
        fontsize=9,
        frameon=False,
    )


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


def _plot_published(above, below, published, mappings, num_epochs) -> None:
    if published.empty:
        return
    stretch = num_epochs / published["epoch"].max()
    style = {"linestyle": "--", "linewidth": 0.8, "alpha": 0.7, "zorder": 1}
    loss = published[published["metric"] == "loss"]
    above.plot(loss["epoch"] * stretch, loss["value"], color=GREY, **style)
    for mapping, colour in zip(mappings, COLOURS, strict=False):
        rows = published[published["task"] == mapping]
        rows = rows[rows["metric"] == "accuracy"]
        below.plot(
            rows["epoch"] * stretch, rows["value"], color=colour, **style
        )
    label = "published run"
    if stretch != 1:
        label += " (upper axis)"
        upper = above.secondary_xaxis(
            "top", functions=(lambda x: x / stretch, lambda x: x * stretch)
        )
        upper.set_xlabel("Epoch of the published run", color=GREY, fontsize=9)
        upper.tick_params(colors=GREY, labelsize=9)
    below.plot([], [], color=GREY, label=label, **style)
