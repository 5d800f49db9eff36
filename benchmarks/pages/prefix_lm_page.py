"""The table and the figure of docs/prefix_lm.md.

Question  Does it need a causal model?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.prefix_lm_page
Time      seconds

Exploratory numbers, seeds from 1000 on: docs/runs/prefix_lm.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks.pages.markdown import (
    DOCS,
    fill,
    last,
    percent,
    points,
    read,
    table,
)
from experiments.prefix_lm import CONDITIONS, NAME, PAIRS
from tiny_gpt.analysis.statistics import t_interval
from tiny_gpt.runtime.files import write_text

FOLDER = DOCS / "runs" / NAME
UNSEEN = "unseen_sentences"
# By what is in the loss. Only readings of one line are compared.
PANELS = {
    "Loss of every token, or of every answer": (
        ("causal_full", "causal, every token", "#888888"),
        ("causal_answers", "causal, answers", "#0072B2"),
        ("prefix_pairs", "questions both ways", "#D55E00"),
    ),
    "Loss of last answers": (
        ("causal_last", "causal", "#0072B2"),
        ("prefix_prompt", "prompt both ways", "#D55E00"),
    ),
}
CONTRASTS = {
    "questions both ways − causal, loss of answers": (
        "prefix_pairs",
        "causal_answers",
    ),
    "prompt both ways − causal, loss of last answers": (
        "prefix_prompt",
        "causal_last",
    ),
    "loss of answers − loss of every token, causal": (
        "causal_answers",
        "causal_full",
    ),
    "windows of whole pairs − cut from a stream": ("causal_full", "stream"),
}


def write_accuracies(frame: pd.DataFrame) -> str:
    """A->C by reading and number of pairs, and A->B beside it."""
    head = ["reading", *(f"{n} pairs" for n in PAIRS), "A → B, 50 pairs"]
    says = {name: reading.says for name, (reading, _) in _readings().items()}
    rows = [
        [
            line,
            *(percent(_last(frame, name, n)) for n in PAIRS),
            percent(_last(frame, name, PAIRS[-1], "A->B")),
        ]
        for name, line in says.items()
    ]
    return table(head, rows)


def write_contrasts(frame: pd.DataFrame) -> str:
    """Differences of readings with the same windows, seed by seed."""
    head = ["points of A → C", *(f"{n} pairs" for n in PAIRS)]
    rows = []
    for says, (one, other) in CONTRASTS.items():
        differences = (
            _last(frame, one, n) - _last(frame, other, n) for n in PAIRS
        )
        rows.append([says, *(points(d.dropna()) for d in differences)])
    return table(head, rows)


def _readings() -> dict[str, Any]:
    return {
        condition.removesuffix(f"_{n}"): (reading, n)
        for condition, (reading, n) in CONDITIONS.items()
    }


def _last(
    frame: pd.DataFrame, name: str, num_pairs: int, mapping: str = "A->C"
) -> pd.Series:
    return last(frame, f"{name}_{num_pairs}", mapping, UNSEEN)


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Draws A->C by its number of pairs, a panel for each loss."""
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.4), sharey=True)
    for axis, (title, lines) in zip(axes, PANELS.items(), strict=True):
        for name, says, colour in lines:
            _draw_line(frame, axis, name, says, colour)
        axis.axhline(12.5, color="#bbbbbb", linewidth=0.8, linestyle=":")
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel("pairs of A → C")
        axis.set_xscale("log")
        axis.set_xticks(PAIRS, [str(n) for n in PAIRS])
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8, loc="lower right")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("A → C right, %")
    axes[0].set_ylim(0, 103)
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")


def _draw_line(
    frame: pd.DataFrame, axis: Any, name: str, says: str, colour: str
) -> None:
    means = [
        t_interval(list(100 * _last(frame, name, n)), 0.95, (0.0, 100.0))
        for n in PAIRS
    ]
    low, high = [m.low for m in means], [m.high for m in means]
    axis.fill_between(PAIRS, low, high, color=colour, alpha=0.2, linewidth=0)
    axis.plot(
        PAIRS, [m.value for m in means], color=colour, linewidth=2, label=says
    )


def filled(page: str, frame: pd.DataFrame) -> str:
    """Returns a page with its tables in place."""
    tables = {
        "accuracies": write_accuracies(frame),
        "contrasts": write_contrasts(frame),
    }
    return fill(page, tables)


if __name__ == "__main__":
    frames = read(NAME)
    page = DOCS / "prefix_lm.md"
    write_text(page, filled(page.read_text(), frames))
    draw(frames, FOLDER / "prefix_lm.png")
