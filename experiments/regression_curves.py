"""The table and the figure of `regression`, from its frame."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from tiny_gpt.analysis.statistics import t_interval
from tiny_gpt.plots.curves import COLOURS, GREY

SAYS = {
    "gpt_pool_1": "GPT, a pool of 1",
    "gpt_pool_16": "GPT, a pool of 16",
    "gpt_fresh": "GPT, all fresh",
    "gru_fresh": "GRU, all fresh",
}
READERS = {
    "network": "the network",
    "mixture": "exact, knows the pool",
    "ridge": "ridge",
}
PANELS = {
    "A pool of 1": ("gpt_pool_1",),
    "A pool of 16": ("gpt_pool_16",),
    "All fresh": ("gpt_fresh", "gru_fresh"),
}
LINES = {
    ("GPT", "pool"): COLOURS[0],
    ("GPT", "fresh"): COLOURS[2],
    ("GRU", "fresh"): COLOURS[1],
}
STYLES = {"network": "-", "mixture": "--", "ridge": ":"}
INDEX = ("condition", "set", "reader")


def at_end(metrics: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the last epoch, and those of exact predictors."""
    last = metrics.groupby("condition")["epoch"].transform("max")
    return metrics[(metrics["epoch"] == 0) | (metrics["epoch"] == last)]


def write_table(metrics: pd.DataFrame) -> str:
    """Returns the squared errors after 0, some and all pairs, in Markdown.

    A cell is the mean over seeds with its 95 % interval. The middle column is
    that of four pairs, as many as x has dimensions.

    Args:
        metrics: frame of `regression`, all conditions.
    """
    rows = at_end(metrics)
    most = int(rows["num_pairs"].max())
    columns = dict.fromkeys((0, min(4, most), most))
    head = ["trained on", "asked on", "predictor"]
    head += [f"after {k} pairs" for k in columns]
    lines = [head, [*["---"] * 3, *["---:"] * len(columns)]]
    for (name, asked, reader), group in _groups(rows):
        cells = [group[group["num_pairs"] == k] for k in columns]
        words = [SAYS[name], asked, READERS[reader]]
        lines.append(words + [_cell(c["squared_error"]) for c in cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _groups(rows: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    """Returns rows by condition, set and reader; ridge once if all is fresh."""
    found = dict(list(rows.groupby(list(INDEX), sort=False)))
    places = [
        (name, asked, reader)
        for name in SAYS
        for asked in ("pool", "fresh")
        for reader in READERS
        if reader != "mixture" or (name, "pool", reader) in found
    ]
    return [(place, found[place]) for place in places if place in found]


def _cell(values: pd.Series) -> str:
    mean = t_interval(list(values), 0.95, (0.0, math.inf))
    if math.isnan(mean.low):
        return f"{mean.value:.3f}"
    return f"{mean.value:.3f} ({mean.low:.3f}–{mean.high:.3f})"


def draw(metrics: pd.DataFrame) -> Figure:
    """Draws squared errors by pairs, at the end, and by update, after all.

    Thin lines are seeds, thick ones their means.

    Args:
        metrics: frame of `regression`.
    """
    found = set(metrics["condition"])
    panels = {
        heading: [name for name in names if name in found]
        for heading, names in PANELS.items()
        if found & set(names)
    }
    figure, axes = plt.subplots(
        2,
        len(panels),
        figsize=(1.2 + 3.3 * len(panels), 6.8),
        sharey=True,
        sharex="row",
        squeeze=False,
        layout="constrained",
    )
    for (above, below), (heading, names) in zip(
        axes.T, panels.items(), strict=True
    ):
        _draw_panel(metrics, names, above, below)
        above.set_title(heading, fontsize=11)
        above.set_xlabel("pairs before the question")
        below.set_xlabel("optimizer updates")
        above.set_yscale("log")
    says = "Squared error per dimension"
    axes[0, 0].set_ylabel(f"{says},\nat the end")
    axes[1, 0].set_ylabel(f"{says},\nafter all pairs")
    _add_legend(figure, axes[0])
    return figure


def _add_legend(figure: Figure, axes: Sequence[Any]) -> None:
    """Adds one legend for all panels, each label once."""
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=4,
        fontsize=9,
        frameon=False,
    )


def _draw_panel(
    metrics: pd.DataFrame, names: Sequence[str], above: Any, below: Any
) -> None:
    own = metrics[metrics["condition"].isin(names)]
    last = own[own["num_pairs"] == own["num_pairs"].max()]
    for (name, asked, reader), group in _groups(at_end(own)):
        network = SAYS[name].split(",")[0]
        is_ridge = reader == "ridge" and asked == "fresh"
        colour = GREY if is_ridge else LINES[network, asked]
        by_seed = group.pivot(
            index="num_pairs", columns="seed", values="squared_error"
        )
        label = f"{network if reader == 'network' else reader}, {asked}"
        _draw_line(above, by_seed, colour, reader, label)
        if reader == "network":
            rows = last[(last["condition"] == name) & (last["set"] == asked)]
            rows = rows[rows["reader"] == reader]
            curve = rows.pivot(
                index="step", columns="seed", values="squared_error"
            )
            _draw_line(below, curve, colour, reader, label)
        else:
            level = by_seed.iloc[-1].mean()
            below.axhline(level, color=colour, linestyle=STYLES[reader])


def _draw_line(
    ax: Any, by_seed: pd.DataFrame, colour: str, reader: str, label: str
) -> None:
    style = STYLES[reader]
    if reader == "network":
        ax.plot(by_seed, color=colour, linewidth=0.7, alpha=0.4)
    mean = by_seed.mean(axis=1)
    ax.plot(mean, color=colour, linestyle=style, linewidth=1.8, label=label)
