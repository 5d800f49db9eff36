"""Maps of a sweep, drawn from its cells; nothing here fits or counts."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

PANELS = (("p_success", "P(success)"), ("median", "median value"))
MOST_TEXTS = 150  # cells of a map that still have room for numbers


def plot_maps(
    cells: pd.DataFrame,
    x: str,
    y: str | None = None,
    facets: Sequence[str] = (),
    thresholds: Mapping[tuple[Any, ...], tuple[float, float, float]]
    | None = None,
    title: str = "",
) -> Figure:
    """Draws P(success) and the median over two axes, a column per facet.

    A cell without runs is hatched. The white line is the threshold along x,
    with its interval as bars; a triangle at the edge stands where it lies
    outside the grid.

    Args:
        cells: columns x, y, facets, "runs", "successes", "p_success" and
            "median", a row per cell; values in [0, 1].
        x: axis along which success rises.
        y: the other axis; None for a single row.
        facets: axes whose values each have a column of maps.
        thresholds: value (0 below the grid, inf above, NaN for none), low
            and high end, by the values of y and the facets, in this order.
        title: heading of the figure.

    Returns:
        The figure.
    """
    xs = sorted(set(cells[x]))
    ys = sorted(set(cells[y])) if y else [""]
    groups = (
        dict(list(cells.groupby(list(facets), sort=False)))
        if facets
        else {(): cells}
    )
    width, height = 0.55 * len(xs) + 0.6, 0.4 * len(ys) + 0.9
    figure, axes = plt.subplots(
        len(PANELS),
        len(groups),
        figsize=(
            max(width * len(groups) + 1.6, 5.5),
            max(height * len(PANELS) + 0.6, 3.6),
        ),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for column, (point, group) in zip(axes.T, groups.items(), strict=True):
        lines = []
        for row, value in enumerate(ys):
            key = (value, *point) if y else point
            if thresholds and key in thresholds:
                lines.append((row, *thresholds[key]))
        for ax, (name, _) in zip(column, PANELS, strict=True):
            image = _draw_map(ax, group, name, x, y, xs, ys)
            _draw_threshold(ax, lines, xs)
        column[0].set_title(", ".join(map(_named, facets, point)), fontsize=10)
        column[-1].set_xlabel(_words(x))
    for row, (_, label) in zip(axes, PANELS, strict=True):
        row[0].set_ylabel(_words(y) if y else "")
        figure.colorbar(image, ax=list(row), label=label, pad=0.01)
    figure.suptitle(title, fontsize=12)
    return figure


def _draw_map(ax, group, name, x, y, xs, ys):
    values = np.full((len(ys), len(xs)), np.nan)
    texts = []
    for _, cell in group.iterrows():
        row = ys.index(cell[y]) if y else 0
        column = xs.index(cell[x])
        values[row, column] = cell[name]
        text = f"{cell['successes']}/{cell['runs']}"
        if name != "p_success":
            text = f"{cell[name]:.2f}"
        texts.append((column, row, text, cell[name], cell["runs"]))
    ax.set_facecolor("#dddddd")
    image = ax.imshow(
        values, vmin=0, vmax=1, cmap="cividis", origin="lower", aspect="auto"
    )
    for column, row in zip(*np.nonzero(np.isnan(values.T)), strict=True):
        ax.fill(
            column + np.array([-0.5, 0.5, 0.5, -0.5]),
            row + np.array([-0.5, -0.5, 0.5, 0.5]),
            fill=False,
            hatch="///",
            edgecolor="#999999",
            linewidth=0,
        )
    if values.size <= MOST_TEXTS:
        for column, row, text, value, runs in texts:
            if runs:
                colour = "white" if value < 0.5 else "black"
                ax.text(
                    column,
                    row,
                    text,
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color=colour,
                )
    ax.set_xticks(range(len(xs)), [f"{v:g}" for v in xs], fontsize=8)
    labels = [f"{v:g}" for v in ys] if y else [""]
    ax.set_yticks(range(len(ys)), labels, fontsize=8)
    return image


def _draw_threshold(ax, lines, xs) -> None:
    """Draws thresholds at rows, with bars and triangles."""
    inside = [(row, v) for row, v, *_ in lines if 0 < v < np.inf]
    style = {"color": "#D55E00", "zorder": 4}
    if inside:
        rows, values = zip(*inside, strict=True)
        places = _place(values, xs)
        ax.plot(places, rows, color="white", linewidth=3.5, zorder=3)
        ax.plot(places, rows, marker="o", markersize=4, linewidth=1.8, **style)
    for row, value, low, high in lines:
        if np.isnan(value):
            continue
        ends = _place((low, high), xs)
        ax.plot(ends, (row, row), linewidth=1.2, alpha=0.9, **style)
        if value == 0 or np.isinf(value):
            place = -0.4 if value == 0 else len(xs) - 0.6
            ax.plot(place, row, "<" if value == 0 else ">", **style)
    ax.set_xlim(-0.5, len(xs) - 0.5)


def _place(values, xs) -> np.ndarray:
    """Returns places among cells that are evenly spaced, on the log scale."""
    first = next(i for i, v in enumerate(xs) if v > 0)
    logs = np.log(np.asarray(xs[first:], float))
    with np.errstate(divide="ignore"):
        found = np.interp(
            np.log(np.asarray(values, float)), logs, np.arange(first, len(xs))
        )
    return np.where(np.asarray(values, float) <= 0, first - 0.5, found)


def _named(axis: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{_words(axis)} {value:g}"


def _words(axis: str) -> str:
    return axis.split(".")[-1].replace("_", " ").replace("->", " → ")
