"""Figures of a claim on the page, with their legends."""

import math
from collections.abc import Sequence
from typing import Any

from tiny_gpt.report.figures import (
    fit_beside,
    name_levels,
    plot_series,
    plot_strip,
)
from tiny_gpt.report.panels import plot_panels
from tiny_gpt.report.schema import figures_of
from tiny_gpt.report.svg import to_svg
from tiny_gpt.report.typeset import format_effect, format_number, in_words


def show_figure(
    claim: dict[str, Any], name: str = "figure"
) -> dict[str, Any] | None:
    """Draws the figures of a claim.

    Args:
        claim: one of the ledger.
        name: of the figures, unique in the page; their ids begin with it.

    Returns:
        SVG and legend entries of its figure, and "more", the same for further
        figures; None if it has no figure.
    """
    if claim["figure"] is None:
        return None
    first, *more = [
        _draw(figure, claim["title"], f"{name}-{n}")
        for n, figure in enumerate(figures_of(claim))
    ]
    return {**first, "more": more}


def _draw(figure: dict[str, Any], title: str, identity: str) -> dict[str, Any]:
    axis, kind = in_words(figure["axis"]), figure["kind"]
    is_fraction = has_fractions(figure)
    unit = "fraction" if is_fraction else None
    lines = present(figure["lines"])
    marks = present(figure.get("marks", {}))
    x_axis = in_words(figure.get("x_axis", "Epoch"))
    levels = name_levels(lines, is_fraction)
    legend: list[tuple[str, int, str]]
    if kind == "strip":
        groups = _with_labels(figure["groups"])
        texts = [format_effect(group, unit) for group in groups]
        drawn = plot_strip(groups, texts, axis, lines, is_fraction)
        shown = [
            f"{g['label']} {t}" for g, t in zip(groups, texts, strict=True)
        ]
        legend = [("dot", 1, "one seed"), ("bar", 0, "mean and interval")]
    elif kind == "panels":
        panels = _with_labels(figure["panels"])
        drawn = plot_panels(panels, axis, x_axis, lines, figure["log_y"])
        shown = [
            f"{panel['label']}: {_describe(panel['series'], None)}"
            for panel in panels
        ]
        names = [s["label"] for s in _with_labels(panels[0]["series"])]
        legend = [
            *(("line", n, name) for n, name in enumerate(names)),
            ("band", 0, "lowest to highest seed"),
            *(("level", n, name) for n, name in enumerate(levels)),
        ]
    else:
        series = _with_labels(figure["series"])
        drawn = plot_series(
            series,
            axis,
            x_axis,
            lines,
            is_fraction,
            marks,
            figure.get("log_x", False),
            kind == "epochs",
        )
        shown = [_describe(series, unit)]
        names = [item["label"] for item in series]
        seed = "thin" if kind == "epochs" else "dot"
        legend = [(seed, 0, "one seed"), ("band", 0, "interval")]
        if not fit_beside([*names, *levels]):
            legend = [
                *(("line", n, name) for n, name in enumerate(names)),
                *legend,
                *(("level", n, name) for n, name in enumerate(levels)),
            ]
    legend += [
        ("mark", n, f"{name}: epoch {format_number(value)}")
        for n, (name, value) in enumerate(marks.items())
    ]
    label = f"{title}. {axis}: {'; '.join(shown)}"
    svg = to_svg(drawn, identity, in_words(label))
    return {"svg": svg, "legend": legend}


def _describe(series: Sequence[dict[str, Any]], unit: str | None) -> str:
    """Says where the mean of each series begins and ends."""
    said = []
    for item in series:
        there = [
            f"{format_number(mean, unit)} at {format_number(x)}"
            for x, mean in zip(item["x"], item["mean"], strict=True)
            if mean is not None
        ]
        ends = " to ".join(dict.fromkeys(there[:: max(1, len(there) - 1)]))
        said.append(f"{item['label']} {ends}")
    return "; ".join(said)


def has_fractions(figure: dict[str, Any]) -> bool:
    """Tells whether values are shown in percent; "unit" may say so."""
    if "unit" in figure:
        return figure["unit"] == "fraction"
    axis = figure["axis"].lower()  # one of another unit has it in brackets
    return "(" not in axis and ("accuracy" in axis or "words" in axis)


def present(values: dict[str, float | None]) -> dict[str, float]:
    """Returns the numbers that are not None."""
    return {
        name: value
        for name, value in values.items()
        if value is not None and math.isfinite(value)
    }


def _with_labels(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**part, "label": in_words(part["label"])} for part in parts]
