"""Fits of a sweep in words, for consoles, pages and the report."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from tiny_gpt.commands.sweeping.figures import FIGURES, draw_figures
from tiny_gpt.report.svg import to_svg
from tiny_gpt.sweep.grid import describe_point

# Of files that are not as `sweep collect` writes them.
ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError)


def describe_fit(fitted: dict[str, Any]) -> list[str]:
    """Returns a line for each threshold, exponent, warning and contrast.

    Args:
        fitted: the content of thresholds.json.
    """
    lines = [
        f"{_at(found)}{_threshold(found, fitted['axis'])}"
        for found in fitted["thresholds"]
    ]
    for found in fitted["exponents"]:
        if found["exponent"] is not None:
            lines.append(
                f"{_at(found)}threshold ∝ {fitted['exponent_axis']}^"
                f"{_number(found['exponent'])} ({_number(found['low'])} to "
                f"{_number(found['high'])})"
            )
        lines += [f"{_at(found)}warning: {text}" for text in found["warnings"]]
    for found in fitted["contrasts"]:
        above, below = found["over"]
        lines.append(
            f"{_at(found)}threshold of {above} / that of {below}: "
            f"{_number(found['ratio'])} ({_number(found['low'], '0')} to "
            f"{_number(found['high'], '∞')}), interval at "
            f"{100 * found['level']:.3g} %"
        )
    return lines


def _at(found: dict[str, Any]) -> str:
    point = describe_point(found["at"])
    return f"{point}: " if point else ""


def _threshold(found: dict[str, Any], axis: str) -> str:
    interval = (
        "(interval unknown)"  # of a single seed
        if found["low"] is None
        else f"({_number(found['low'])} to {_number(found['high'], '∞')})"
    )
    if found["censoring"] == "none":
        value = _number(found["value"])
        return f"P(success) reaches one half at {value} {axis} {interval}"
    if found["censoring"] == "does not rise":
        return f"success does not rise with {axis}"
    return f"threshold {found['censoring']} the grid of {axis} {interval}"


def _number(value: float | None, otherwise: str = "unknown") -> str:
    return otherwise if value is None else f"{value:.3g}"


def load_maps(folder: Path) -> list[dict[str, Any]]:
    """Reads the collected results of sweeps, and draws them for the report.

    Args:
        folder: has a folder for each sweep; it need not exist.

    Returns:
        For each sweep: "name", "runs", "seeds", "command", "lines"
        (`describe_fit`), and "figures", each an `<svg>` element.

    Raises:
        ValueError: if a file cannot be read.
    """
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*/thresholds.json")):
        try:
            fitted = json.loads(path.read_text())
            made = json.loads((path.parent / "manifest.json").read_text())
            cells = pd.read_csv(path.parent / "cells.csv")
            item = {
                "name": made["sweep"]["name"],
                "runs": made["runs"],
                "seeds": len(made["sweep"]["seeds"]),
                "command": made["command"],
                "lines": describe_fit(fitted),
            }
            figures = draw_figures(made["sweep"], cells, fitted)
        except ERRORS as error:
            raise ValueError(
                "A folder of a sweep holds what `sweep collect` wrote. "
                f"Received: {path.parent}, which cannot be read"
            ) from error
        name = item["name"].replace("_", " ")
        item["figures"] = [
            to_svg(figure, f"_m{len(found)}-{n}", f"{name}: {FIGURES[kind]}")
            for n, (kind, figure) in enumerate(figures.items())
        ]
        for figure in figures.values():
            plt.close(figure)
        found.append(item)
    return found
