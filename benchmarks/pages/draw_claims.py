"""Figures of claims as pictures, for docs/theory.md.

Question  What do the runs behind a verdict look like, seed by seed?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.draw_claims FOLDER
          FRAMES ... [--claims NAME ...]
          e.g. docs/runs/verdicts_theory docs/runs/verdicts_theory \
          docs/runs/verdicts
Time      half a minute

FOLDER gets one NAME.png a claim; FRAMES are folders with a metrics.csv.gz. The
figures are those of the report, with their legends below.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from benchmarks.pages.judge import evidence_of, judge, read_frames
from tiny_gpt.plots.curves import COLOURS, GREY
from tiny_gpt.report.claim_figures import has_fractions, present, show_figure
from tiny_gpt.report.figures import (
    LINE_STYLES,
    MARKERS,
    STYLE,
    plot_series,
    plot_strip,
)
from tiny_gpt.report.typeset import format_effect, typeset

CLAIMS = (
    "prop_1_order",
    "assumption_1",
    "proposition_3",
    "prompt_design",
    "assumption_2_samples",
    "assumption_2_pivot",
    "assumption_2_layers",
    "lemma_2_delta",
)
DPI = 120
LINE_HEIGHT = 17  # of a legend, points
NUM_CHARACTERS = 56  # of a line of the legend


def draw_claim(claim: dict[str, Any]) -> Figure:
    """Draws the figure of a claim, a strip or a curve, with its legend.

    Args:
        claim: one of a ledger; its figure is not `None`.
    """
    figure = claim["figure"]
    axis, is_fraction = typeset(figure["axis"]), has_fractions(figure)
    lines = present(figure["lines"])
    if figure["kind"] == "strip":
        groups = [{**g, "label": typeset(g["label"])} for g in figure["groups"]]
        unit = "fraction" if is_fraction else None
        texts = [format_effect(group, unit) for group in groups]
        drawn = plot_strip(groups, texts, axis, lines, is_fraction)
    else:
        x_axis, log_x = typeset(figure["x_axis"]), figure["log_x"]
        drawn = plot_series(
            figure["series"], axis, x_axis, lines, is_fraction, None, log_x
        )
    shown = show_figure(claim)
    if shown is None:
        raise ValueError(f"Claim {claim['name']} has no figure")
    with mpl.rc_context(STYLE):
        _add_legend(drawn, shown["legend"])
    return drawn


def _add_legend(figure: Figure, entries: Sequence[tuple]) -> None:
    handles = [_handle(kind, n) for kind, n, _ in entries]
    labels = [text for _, _, text in entries]
    columns = max(
        (n for n in (2, 3) if _width(labels, n) <= NUM_CHARACTERS), default=1
    )
    rows = -(-len(labels) // columns)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + rows * LINE_HEIGHT / 72)
    figure.legend(
        handles,
        labels,
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=10.5,
    )


def _width(labels: Sequence[str], num_columns: int) -> int:
    """Returns the characters of a line, with 7 for each handle."""
    columns = np.array_split(labels, num_columns)
    return sum(7 + max(map(len, c), default=0) for c in columns)


def _handle(kind: str, n: int) -> Artist:
    """Returns what a legend shows for one of the report's entries."""
    if kind == "line":
        marker = MARKERS[n % len(MARKERS)]
        return Line2D([], [], color=COLOURS[n % len(COLOURS)], marker=marker)
    if kind == "dot":
        dot: Any = {"alpha": 0.6, "markeredgewidth": 0}
        return Line2D([], [], color=COLOURS[0], marker="o", ls="", **dot)
    if kind == "band":
        return Patch(color=COLOURS[n], alpha=0.18, linewidth=0)
    if kind == "bar":
        return Line2D([], [], color="black", marker="|", ms=11, mew=2.2)
    style: Any = LINE_STYLES[n % len(LINE_STYLES)]  # "level" or "upright"
    return Line2D([], [], color=GREY, linestyle=style, linewidth=1.2)


def main(folder: Path, frames: Sequence[Path], claims: Sequence[str]) -> None:
    """Draws the claims that the page shows."""
    ledger = judge(evidence_of(read_frames(frames)))
    by_name = {claim["name"]: claim for claim in ledger["claims"]}
    for name in claims:
        draw_claim(by_name[name]).savefig(folder / f"{name}.png", dpi=DPI)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("frames", type=Path, nargs="+")
    parser.add_argument("--claims", nargs="+", default=CLAIMS)
    main(**vars(parser.parse_args()))
