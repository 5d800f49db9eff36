"""Figures of a sweep's thresholds: on a map, and against another axis."""

import itertools
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator

from tiny_gpt.plots.curves import COLOURS

LINE = "#D55E00"
MARKERS = "osD^vP"
WORDS = {
    "sparse_pairs": "sentence pairs of the sparse mapping",
    "majority_pairs": "sentence pairs of each other mapping",
    "unique_pairs": "different sentence pairs of the sparse mapping",
    "shown_pairs": "sentence pairs shown of the sparse mapping",
    "alphabet_size": "words per language",
    "width": "width of the model (numbers per token)",
    "epochs": "epochs",
    "updates": "optimizer updates",
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
}
_MAPPING = re.compile(r"(?<![a-z])([a-z])_to_([a-z])(?![a-z])")
Line = tuple[float, float, float]


def plot_thresholds(
    thresholds: Mapping[tuple[Any, ...], Line],
    axis: str,
    y: str,
    facets: Sequence[str] = (),
    exponents: Mapping[tuple[Any, ...], Mapping[str, Any]] | None = None,
    title: str = "",
) -> Figure:
    """Draws thresholds against another axis, both on log scales.

    A colour is a point of the facets, a bar the interval, a dashed line the
    power law. A triangle at the edge is a threshold outside the grid. The text
    below the figure says what the grid cannot support.

    Args:
        thresholds: value (0 below the grid, inf above, NaN for none), low and
            high end, by the values of y and the facets, in this order.
        axis: axis of the thresholds.
        y: axis against which they are drawn; values above 0.
        facets: the other axes.
        exponents: of `collect.describe_exponent`, by the facets' values.
        title: heading of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no threshold to draw.
    """
    series: dict[tuple[Any, ...], list[tuple[float, Line]]] = {}
    for key, line in thresholds.items():
        if key[0] > 0:
            series.setdefault(key[1:], []).append((key[0], line))
    if not series:
        raise ValueError(
            "There must be a threshold at a value above 0. "
            f"Received: thresholds={dict(thresholds)}"
        )
    figure, ax = plt.subplots(figsize=(7.5, 5.0), layout="constrained")
    ax.set(xscale="log", yscale="log")
    bottom, top = _limits(series)
    ax.set_ylim(bottom, top)
    styles = itertools.cycle(zip(COLOURS, MARKERS, strict=True))
    notes = []
    shifts = np.linspace(-0.02, 0.02, len(series)) * (len(series) > 1)
    for (point, some), (colour, marker), shift in zip(
        series.items(), styles, shifts, strict=False
    ):
        name = ", ".join(map(name_value, facets, point))
        found = (exponents or {}).get(point, {})
        # Beside each other, so that no bar hides another.
        moved = [(place * 10**shift, line) for place, line in some]
        _draw_series(ax, moved, colour, marker, (bottom, top))
        places = [place for place, (v, *_) in some if 0 < v < math.inf]
        _draw_power_law(ax, places, found, colour)
        label = f"{name}: {_describe(found)}" if name else _describe(found)
        ax.plot([], [], color=colour, marker=marker, ls="--", label=label)
        for warning in found.get("warnings", ()):
            notes.append(f"{name}: {warning}" if name else warning)
    ticks = sorted({place for some in series.values() for place, _ in some})
    ax.set_xticks(ticks, map(number_text, ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel(f"threshold\n({name_axis(axis)})")
    # The notes are part of a label, so that the layout leaves room for them.
    lines = [line for note in notes for line in textwrap.wrap(note, 95)]
    text = "\n".join([name_axis(y), *([""] if lines else []), *lines])
    ax.set_xlabel(text, fontsize=9, multialignment="left")
    figure.set_figheight(4.6 + 0.16 * len(lines))
    ax.set_title(title, fontsize=11)
    ax.legend(frameon=False, fontsize=9)
    return figure


def _limits(series) -> tuple[float, float]:
    """Returns limits around all finite values, with room at both ends."""
    lines = [line for some in series.values() for _, line in some]
    ends = [v for line in lines for v in line if 0 < v < math.inf]
    return min(ends, default=1.0) / 1.6, max(ends, default=1.0) * 1.6


def _draw_series(ax, some, colour: str, marker: str, limits) -> None:
    style: dict[str, Any] = {"color": colour, "ls": "", "markersize": 6}
    for place, (value, low, high) in some:
        if not math.isnan(low):
            ends = np.clip((low, high), *limits)
            ax.plot((place, place), ends, color=colour, linewidth=1.4)
        if 0 < value < math.inf:
            ax.plot(place, value, marker=marker, **style)
        elif value == 0:
            ax.plot(place, limits[0] * 1.07, marker="v", **style)
        elif value == math.inf:
            ax.plot(place, limits[1] / 1.07, marker="^", **style)
        else:
            middle = math.sqrt(limits[0] * limits[1])
            ax.plot(place, middle, marker="X", **style)


def _draw_power_law(ax, places, found: Mapping[str, Any], colour: str) -> None:
    if found.get("exponent") is None or not places:
        return
    ends = np.array([min(places), max(places)])
    law = found["factor"] * ends ** found["exponent"]
    ax.plot(ends, law, color=colour, ls="--", lw=1.0)


def _describe(found: Mapping[str, Any]) -> str:
    if found.get("exponent") is None:
        return "no exponent"
    text = f"exponent {found['exponent']:.2f}"
    if found.get("low") is not None and found.get("high") is not None:
        text += f" ({found['low']:.2f} to {found['high']:.2f})"
    return text


def draw_on_map(
    ax: plt.Axes, lines: Sequence[tuple[int, Line]], xs: Sequence[float]
) -> None:
    """Draws thresholds along x into a map, with bars and triangles.

    Args:
        ax: a map whose cells are one unit wide and high, from 0 on.
        lines: row, and the threshold there.
        xs: values of the columns, increasing.
    """
    gap = (math.nan, math.nan)  # where a line is interrupted
    path, bars = [], []
    points: dict[str, list[tuple[float, float]]] = {}
    for row, (value, low, high) in lines:
        height = row + 0.15
        marker, place = _mark(value, xs)
        points.setdefault(marker, []).append((place, height))
        path.append((place, height) if marker == "o" else gap)
        if not math.isnan(low) and not math.isnan(value):
            bars += [(end, height) for end in _place((low, high), xs)] + [gap]
    for some, width in ((bars, 1.4), (path, 1.8)):
        if some:
            ends = np.transpose(some)
            ax.plot(*ends, color="white", lw=width + 1.6, zorder=3)
            ax.plot(*ends, color=LINE, lw=width, zorder=4)
    for marker, places in points.items():
        ax.plot(
            *np.transpose(places),
            color=LINE,
            ls="",
            marker=marker,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.7,
            zorder=4,
        )
    ax.set_xlim(-0.5, len(xs) - 0.5)


def _mark(value: float, xs: Sequence[float]) -> tuple[str, float]:
    """Returns the marker of a threshold, and its place along x."""
    if math.isnan(value):
        return "X", 0.0
    if value == 0:
        return "<", -0.4
    if math.isinf(value):
        return ">", len(xs) - 0.6
    return "o", float(_place([value], xs)[0])


def _place(values: Sequence[float], xs: Sequence[float]) -> np.ndarray:
    """Returns places among cells that are evenly spaced, on the log scale."""
    first = next(i for i, v in enumerate(xs) if v > 0)
    logs = np.log(np.asarray(xs[first:], float))
    found = np.asarray(values, float)
    with np.errstate(divide="ignore"):
        places = np.interp(np.log(found), logs, np.arange(first, len(xs)))
    places = np.where(found <= 0, first - 0.5, places)
    return np.where(np.isinf(found), len(xs) - 0.5, places)


def threshold_handles(lines: Sequence[Line]) -> list[Artist]:
    """Returns legend entries for the marks of `draw_on_map`."""
    entries = (
        ("o", "threshold, with its interval", lambda v: 0 < v < math.inf),
        (">", "threshold outside the grid", lambda v: v in (0, math.inf)),
        ("X", "success does not rise", math.isnan),
    )
    return [
        Line2D([], [], color=LINE, marker=marker, label=label, lw=1.8 * (not i))
        for i, (marker, label, is_one) in enumerate(entries)
        if any(is_one(value) for value, *_ in lines)
    ]


def name_axis(axis: str) -> str:
    """Returns an axis in words: "model.num_layers" is "layers"."""
    if axis in WORDS:
        return WORDS[axis]
    parts = axis.split(".")
    words = parts[-1].removeprefix("num_").replace("_", " ")
    if "components" in parts[:-1]:
        words = f"{words} of {parts[-2]}"
    return words.replace("->", " → ")


def name_value(axis: str, value: Any) -> str:
    """Returns a value with its axis; a condition, in words, says enough."""
    if axis == "condition":
        return _MAPPING.sub(_written, str(value)).replace("_", " ")
    return f"{name_axis(axis)}: {number_text(value)}"


def _written(mapping: re.Match[str]) -> str:
    source, target = mapping.groups()
    return f"{source.upper()} → {target.upper()}"


def number_text(value: Any) -> str:
    """Returns a number without needless digits; text as it is."""
    return value if isinstance(value, str) else f"{value:g}"
