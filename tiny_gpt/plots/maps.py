"""Maps of a sweep from its cells; nothing here fits or counts."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from tiny_gpt.analysis.regimes import REGIMES, UNKNOWN
from tiny_gpt.plots.thresholds import (
    Line,
    draw_on_map,
    name_axis,
    name_value,
    number_text,
    threshold_handles,
)

MOST_COLUMNS = 4  # facets side by side; more go below
MOST_TEXTS = 600  # of a figure; with more cells it has no numbers
# Okabe and Ito; each regime also has its letter in the cell.
REGIME_COLOURS = {
    "memorises": ("#E69F00", "M"),
    "lacks data": ("#56B4E9", "D"),
    "lacks steps": ("#CC79A7", "S"),
    "generalises": ("#009E73", "G"),
    UNKNOWN: ("#BBBBBB", "?"),
}


def plot_maps(
    cells: pd.DataFrame,
    x: str,
    y: str | None = None,
    facets: Sequence[str] = (),
    thresholds: Mapping[tuple[Any, ...], Line] | None = None,
    title: str = "",
    value: str = "median over seeds",
) -> Figure:
    """Draws P(success) and the median over two axes, two maps per facet.

    Medians are written in percent. A cell without runs is hatched. The line
    is the threshold along x, with its interval as bars. A triangle at the
    edge is a threshold outside the grid; a cross means that success does not
    rise.

    Args:
        cells: columns x, y, facets, "runs", "successes", "p_success" and
            "median", a row per cell; values in [0, 1].
        x: axis along which success rises.
        y: the other axis; None for a single row.
        facets: axes; each of their values has its own maps.
        thresholds: value (0 below the grid, inf above, NaN for none), low
            and high end, by the values of y and the facets, in this order.
        title: heading of the figure.
        value: label of the median.

    Returns:
        The figure.
    """
    has_texts = 2 * len(cells) <= MOST_TEXTS

    def draw_share(ax, group, point, grid):
        rows = zip(group["successes"], group["runs"], strict=True)
        texts = [f"{k}/{n}" for k, n in rows]
        image = grid.draw(ax, group, "p_success", texts if has_texts else None)
        draw_on_map(ax, _lines_at(thresholds, point, y, grid), grid.xs)
        return image

    def draw_median(ax, group, point, grid):
        texts = [f"{100 * v:.0f}" for v in group["median"]]
        image = grid.draw(ax, group, "median", texts if has_texts else None)
        draw_on_map(ax, _lines_at(thresholds, point, y, grid), grid.xs)
        return image

    labels = "P(success)", value
    figure = _draw_facets(
        cells, x, y, facets, (draw_share, draw_median), labels, title
    )
    handles = threshold_handles(list((thresholds or {}).values()))
    _add_legend(figure, cells, handles)
    return figure


def plot_regimes(
    cells: pd.DataFrame,
    x: str,
    y: str | None = None,
    facets: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draws the regime of each cell (`classify_regime`), a map per facet.

    Args:
        cells: columns x, y, facets, "runs" and "regime", a row per cell.
        x: axis along which success rises.
        y: the other axis; None for a single row.
        facets: axes; each of their values has its own map.
        title: heading of the figure.

    Returns:
        The figure.
    """
    names = [*REGIMES, UNKNOWN]
    colours = ListedColormap([REGIME_COLOURS[name][0] for name in names])
    numbers = cells["regime"].map(names.index).where(cells["runs"] > 0)
    cells = cells.assign(number=numbers.astype(float))

    has_texts = len(cells) <= MOST_TEXTS

    def draw(ax, group, point, grid):
        texts = [REGIME_COLOURS[name][1] for name in group["regime"]]
        texts = texts if has_texts else []
        style = {"cmap": colours, "vmin": -0.5, "vmax": len(names) - 0.5}
        grid.draw(ax, group, "number", texts, 0.0, **style)

    figure = _draw_facets(cells, x, y, facets, (draw,), ("",), title)
    found = set(cells["regime"][cells["runs"] > 0])
    handles: list[Artist] = [
        Patch(color=colour, label=f"{letter}  {name}")
        for name, (colour, letter) in REGIME_COLOURS.items()
        if name in found
    ]
    _add_legend(figure, cells, handles)
    return figure


class _Grid:
    """The grid of a map: places of its cells."""

    def __init__(self, cells: pd.DataFrame, x: str, y: str | None):
        self.x, self.y = x, y
        self.xs = sorted(set(cells[x]))
        self.ys = sorted(set(cells[y])) if y else [""]

    def draw(self, ax, cells, name, texts=None, shift=0.22, **style):
        """Draws a column of cells, and a text below the middle of each.

        No line goes through a text.
        """
        columns = [self.xs.index(v) for v in cells[self.x]]
        rows = [0] * len(cells)
        if self.y:
            rows = [self.ys.index(v) for v in cells[self.y]]
        values = np.full((len(self.ys), len(self.xs)), np.nan)
        values[rows, columns] = cells[name]
        style = {"vmin": 0, "vmax": 1, "cmap": "cividis", **style}
        image = ax.imshow(values, origin="lower", aspect="auto", **style)
        for row, column in zip(*np.nonzero(np.isnan(values)), strict=True):
            corner = column - 0.5, row - 0.5
            ax.add_patch(plt.Rectangle(corner, 1, 1, **_NOT_RUN))
        for row, column, text in zip(rows, columns, texts or (), strict=False):
            if np.isnan(values[row, column]):
                continue
            colour = image.cmap(image.norm(values[row, column]))
            red, green, blue, _ = colour
            is_dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.4
            written = ax.text(
                column,
                row - shift,
                text,
                ha="center",
                va="center",
                fontsize=7,
                zorder=5,
                color="white" if is_dark else "black",
                bbox={"facecolor": colour, "pad": 0.8, "linewidth": 0},
            )
            written.set_in_layout(False)
        ax.set_xticks(range(len(self.xs)), map(number_text, self.xs))
        ax.set_yticks(range(len(self.ys)), map(number_text, self.ys))
        ax.tick_params(labelsize=8)
        if not self.y:
            ax.tick_params(left=False, labelleft=False)
        longest = max(len(number_text(v)) for v in self.xs)
        if longest > 4:
            ax.tick_params(axis="x", rotation=45 if longest < 7 else 90)
        return image


_NOT_RUN: dict[str, Any] = {
    "facecolor": "#EEEEEE",
    "edgecolor": "#999999",
    "hatch": "////",
    "linewidth": 0,
}


def _draw_facets(
    cells: pd.DataFrame,
    x: str,
    y: str | None,
    facets: Sequence[str],
    draws: Sequence[Callable[..., Any]],
    labels: Sequence[str],
    title: str,
) -> Figure:
    """Draws each facet as a column of maps, in bands of columns."""
    grid = _Grid(cells, x, y)
    groups = (
        list(cells.groupby(list(facets), sort=False))
        if facets
        else [((), cells)]
    )
    num_columns = min(len(groups), MOST_COLUMNS)
    num_bands = math.ceil(len(groups) / num_columns)
    width = num_columns * max(0.45 * len(grid.xs), 2.8) + 1.8
    height = max(0.36 * len(grid.ys), 1.2) * len(draws) * num_bands
    figure, axes = plt.subplots(
        num_bands * len(draws),
        num_columns,
        figsize=(max(width, 6.0), height + 0.75 * num_bands + 1.6),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for number, (point, group) in enumerate(groups):
        band, column = divmod(number, num_columns)
        first = band * len(draws)
        for ax, draw in zip(axes[first:, column], draws, strict=False):
            image = draw(ax, group, point, grid)
            ax.label_outer(remove_inner_ticks=True)
            if column == num_columns - 1:  # a band that is not full has none
                label = labels[draws.index(draw)]
                if label:
                    bar = figure.colorbar(image, ax=ax, pad=0.02)
                    bar.set_label(label, fontsize=9)
                    bar.ax.tick_params(labelsize=8)
                    bar.ax.yaxis.set_major_formatter(
                        PercentFormatter(1.0, 0, " %")
                    )
        heading = ", ".join(map(name_value, facets, point))
        axes[first, column].set_title(heading, fontsize=10)
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(name_axis(x), fontsize=9)
    for number in range(len(groups), num_bands * num_columns):
        band, column = divmod(number, num_columns)
        for ax in axes[band * len(draws) : (band + 1) * len(draws), column]:
            ax.remove()
    figure.supylabel(name_axis(y) if y else "", fontsize=10)
    figure.suptitle(title, fontsize=12)
    return figure


def _lines_at(thresholds, point, y, grid) -> list[tuple[int, Line]]:
    keys = [(value, *point) if y else tuple(point) for value in grid.ys]
    found = thresholds or {}
    return [(row, found[k]) for row, k in enumerate(keys) if k in found]


def _add_legend(figure, cells, handles: list[Artist]) -> None:
    if (cells["runs"] == 0).any() or cells.empty:
        handles = [*handles, Patch(**_NOT_RUN, label="not run")]
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=3,
            frameon=False,
            fontsize=9,
        )
