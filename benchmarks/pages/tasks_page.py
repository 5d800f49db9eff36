"""The tables and figures of docs/tasks.md.

Question  Beyond translation: is a rare mapping composed, are parts used again,
          or is it learned afresh?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.tasks_page
Time      seconds

Numbers are those of docs/runs/hangul, seeds that were kept for the rules, and
of its verdicts (`benchmarks.pages.judge`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks.pages.markdown import (
    DOCS,
    RUNS,
    fill,
    last,
    percent,
    read,
    table,
)
from experiments import hangul
from tiny_gpt.analysis.statistics import t_interval
from tiny_gpt.runtime.files import write_text

PAGE = DOCS / "tasks.md"
COLOURS = ("#0072B2", "#D55E00")
HANGUL = {
    "real": "A → B, B → C",
    "scrambled": "the same, A → C has other letters",
    "no_route": "A → B, E → C: no route",
    "unrelated": "D → E, E → F: nothing related",
    "alone": "nothing",
    "bridge": "A → B, B → C, B → B",
}


def claims_of(name: str) -> list[dict[str, Any]]:
    """Returns the committed verdicts of a family."""
    ledger = json.loads((RUNS / name / "claims.json").read_text())
    return ledger["claims"]


def write_verdicts(claims: list[dict[str, Any]]) -> str:
    """Returns the verdict of each claim, with the intervals that decide it."""
    rows = [
        [
            claim["title"].replace("->", " → "),
            f"**{claim['observation']}**",
            f"**{claim['explanation']}**" if claim["explanation"] else "–",
            claim["because"].removesuffix(".").replace("; ", "<br>"),
        ]
        for claim in claims
    ]
    head = ["claim", "observation", "by way of B", "measured"]
    return table(head, rows).replace("->", " → ")


def write_hangul(frame: pd.DataFrame) -> str:
    """Returns letters of A->C by network and condition, and the mappings."""
    head = ["beside A → C", *hangul.SAYS.values()]
    rows = [
        [
            says,
            *(
                percent(_letters(frame, f"{name}_{kind}"))
                for name in hangul.SAYS
            ),
        ]
        for kind, says in HANGUL.items()
    ]
    return table(head, rows)


def _letters(frame: pd.DataFrame, condition: str) -> pd.Series:
    return last(frame, condition, tier="unseen_words")


def draw_dots(
    panels: Mapping[str, Mapping[str, pd.Series]],
    chance: float,
    label: str,
    path: Path,
) -> None:
    """Draws a dot a seed, and means with their 95 % intervals.

    Args:
        panels: shares by seed, by condition in words, by heading.
        chance: share of a guess.
        label: what the share is of.
        path: file.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(8.4, 3.4), sharey=True, squeeze=False
    )
    for axis, colour, (heading, group) in zip(
        axes[0], COLOURS, panels.items(), strict=False
    ):
        for place, values in enumerate(group.values()):
            mean = t_interval(list(100 * values), 0.95, (0.0, 100.0))
            axis.plot(
                [place - 0.18] * len(values),
                100 * values,
                "o",
                color=colour,
                alpha=0.35,
                markersize=4,
                markeredgewidth=0,
            )
            axis.plot([place + 0.12] * 2, [mean.low, mean.high], color=colour)
            axis.plot([place + 0.12], [mean.value], "_", color=colour, ms=11)
        axis.axhline(100 * chance, color="#999999", linewidth=0.8, ls=":")
        axis.set_title(heading, loc="left", fontsize=10, color=colour)
        axis.set_xticks(range(len(group)), [*group], fontsize=8)
        axis.set_xlim(-0.6, len(group) - 0.4)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylim(0, 103)
    axes[0, 0].set_ylabel(label)
    axes[0, 0].annotate(
        "a guess", (-0.5, 100 * chance + 1.5), color="#777777", fontsize=8
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def draw_hangul(frame: pd.DataFrame, path: Path) -> None:
    """Draws letters of syllables that A->C never showed."""
    panels = {
        says: {
            kind.replace("_", "\n"): _letters(frame, f"{name}_{kind}")
            for kind in HANGUL
        }
        for name, says in hangul.SAYS.items()
    }
    chance = 1 / hangul.build_experiment("quick", "gpt_real").task.num_jamo
    draw_dots(panels, chance, "letters right, %", path)


def filled(page: str) -> str:
    """Returns a page with its tables in place."""
    return fill(
        page,
        {
            "hangul verdicts": write_verdicts(claims_of("hangul")),
            "hangul numbers": write_hangul(read("hangul")),
        },
    )


if __name__ == "__main__":
    write_text(PAGE, filled(PAGE.read_text()))
    draw_hangul(read("hangul"), RUNS / "hangul" / "hangul.png")
