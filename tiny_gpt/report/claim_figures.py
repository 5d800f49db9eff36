"""Figures of a claim on the page, with their legends."""

import math
from collections.abc import Sequence
from typing import Any

from tiny_gpt.report.figures import plot_series, plot_strip
from tiny_gpt.report.panels import plot_panels
from tiny_gpt.report.schema import figures_of
from tiny_gpt.report.svg import to_svg
from tiny_gpt.report.typeset import format_effect, format_number, typeset


def show_figure(claim: dict[str, Any]) -> dict[str, Any] | None:
    """Draws the figures of a claim.

    Args:
        claim: one of the ledger.

    Returns:
        SVG and legend entries of its figure, and "more", the same for further
        figures; None if it has no figure.
    """
    if claim["figure"] is None:
        return None
    first, *more = [
        _draw(figure, claim["title"], f"figure-{claim['name']}-{n}")
        for n, figure in enumerate(figures_of(claim))
    ]
    return {**first, "more": more}


def _draw(figure: dict[str, Any], title: str, identity: str) -> dict[str, Any]:
    axis, kind = typeset(figure["axis"]), figure["kind"]
    is_fraction = has_fractions(figure)
    unit = "fraction" if is_fraction else None
    lines = present(figure["lines"])
    marks = present(figure.get("marks", {}))
    x_axis = typeset(figure.get("x_axis", "Epoch"))
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
        shown = [panel["label"] for panel in panels]
        series = _with_labels(panels[0]["series"])
        legend = [("line", n, s["label"]) for n, s in enumerate(series)]
        legend.append(("band", 0, "lowest to highest seed"))
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
        shown = [item["label"] for item in series]
        legend = [("line", n, label) for n, label in enumerate(shown)]
        seed = "thin" if kind == "epochs" else "dot"
        legend += [(seed, 0, "one seed"), ("band", 0, "interval")]
    level = "upright" if kind == "strip" else "level"
    legend += [
        (level, n, f"{name} {format_number(value, unit)}")
        for n, (name, value) in enumerate(lines.items())
    ]
    legend += [
        ("mark", n, f"{name}: epoch {format_number(value)}")
        for n, (name, value) in enumerate(marks.items())
    ]
    label = f"{title}. {axis}: {'; '.join(shown)}"
    svg = to_svg(drawn, identity, typeset(label))
    return {"svg": svg, "legend": legend}


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
    return [{**part, "label": typeset(part["label"])} for part in parts]
