"""Figures of a sweep: maps, regimes, and thresholds against another axis."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from tiny_gpt.plots.maps import plot_maps, plot_regimes
from tiny_gpt.plots.thresholds import plot_thresholds
from tiny_gpt.sweep.collect import axes_of_map

FIGURES = {
    "map": "P(success) and the median",
    "regimes": "the most frequent regime of each cell",
    "thresholds": "thresholds against the other axis",
}


def draw_figures(
    sweep: Mapping[str, Any], cells: pd.DataFrame, fitted: dict[str, Any]
) -> dict[str, Figure]:
    """Draws the figures of collected results, none without a numeric axis.

    Args:
        sweep: its fields, as the manifest has them (`describe_sweep`).
        cells: content of cells.csv.
        fitted: content of thresholds.json.

    Returns:
        Figures by name, of `FIGURES`.
    """
    numbers, words = axes_of_map(sweep["axes"])
    if not numbers:
        return {}
    x: str = numbers[0]
    y: str | None = numbers[1] if len(numbers) > 1 else None
    facets = [*words, *numbers[2:]]
    order = [*([y] if y else []), *facets]
    lines = {
        tuple(found["at"][axis] for axis in order): _line(found)
        for found in fitted["thresholds"]
    }
    name = sweep["name"].replace("_", " ").capitalize()
    mapping = sweep["success"]["mapping"].replace("->", " → ")
    title = f"{name}: {mapping}, {len(sweep['seeds'])} seeds"
    figures = {
        "map": plot_maps(cells, x, y, facets, lines, title),
        "regimes": plot_regimes(cells, x, y, facets, title),
    }
    laws = {
        tuple(found["at"][axis] for axis in facets): found
        for found in fitted["exponents"]
    }
    # Without a threshold in the grid there is no law to draw.
    is_inside = (
        found["censoring"] == "none" and found["at"][y] > 0
        for found in fitted["thresholds"]
    )
    if y and any(is_inside):
        figures["thresholds"] = plot_thresholds(
            lines, x, y, facets, laws, title
        )
    return figures


def _line(found: dict[str, Any]) -> tuple[float, float, float]:
    nan, inf = float("nan"), float("inf")
    value = {"none": found["value"], "below": 0.0, "above": inf}.get(
        found["censoring"], nan
    )
    # Both are unknown with a single seed.
    low = value if found["low"] is None else found["low"]
    high = inf if found["high"] is None else found["high"]
    high = value if found["low"] is None else high
    return value, low, high
