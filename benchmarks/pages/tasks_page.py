"""The tables and figures of docs/tasks.md.

Question  Beyond translation: is a rare mapping composed, are parts used again,
          or is it learned afresh?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.tasks_page
Time      seconds

Numbers are those of the folders of docs/runs that `SHOWN` names, seeds that
were kept for the rules, and of their verdicts (`benchmarks.pages.judge`).
Those of regression are exploratory.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from experiments import (
    arithmetic,
    arithmetic_few,
    hangul,
    in_context_triangle,
    regression,
)
from experiments.regression_curves import write_table
from tiny_gpt.analysis.statistics import t_interval
from tiny_gpt.runtime.files import write_text
from tiny_gpt.tasks.arithmetic.task import Arithmetic
from tiny_gpt.tasks.prompt_triangle.task import PromptTriangle

# Of the triangle in the prompt.
TIERS = {
    "seen_sentences": "A that A → C asks in training",
    "unseen_sentences": "A held out",
}
Share = Callable[[pd.DataFrame, str], pd.Series]
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
ARITHMETIC = {
    "real": "f, g",
    "scrambled": "f, and a g that disagrees with h",
    "no_g": "f, twice as often",
    "no_f": "g, and another table in place of f",
    "alone": "nothing",
    "bridge": "f, g, rows that repeat a number",
}


@dataclass(frozen=True)
class Shown:
    """What is shown of a task.

    Attributes:
        what: head of the first column.
        networks: as they are said, by name.
        kinds: conditions as they are said, by name.
        share: what is right in a condition, by seed.
        chance: share of a guess.
        label: what the share is of.
    """

    what: str
    networks: Mapping[str, str]
    kinds: Mapping[str, str]
    share: Share
    chance: float
    label: str


def claims_of(name: str) -> list[dict[str, Any]]:
    """Returns the committed verdicts of a family."""
    ledger = json.loads((RUNS / name / "claims.json").read_text())
    return ledger["claims"]


def write_verdicts(claims: list[dict[str, Any]]) -> str:
    """Returns the verdict of each claim, with the intervals that decide it.

    Explanations have a column if any claim has one.
    """
    explained = any(claim["explanation"] for claim in claims)
    head = ["claim", "observation"] + ["by way of B"] * explained
    rows = []
    for claim in claims:
        row = [claim["title"], f"**{claim['observation']}**"]
        if explained:
            says = claim["explanation"]
            row.append(f"**{says}**" if says else "–")
        measured = claim["because"].removesuffix(".").replace("; ", "<br>")
        rows.append([*row, measured])
    return table([*head, "measured"], rows).replace("->", " → ")


def letters(frame: pd.DataFrame, condition: str) -> pd.Series:
    """Returns letters right of syllables that A->C never showed, by seed."""
    return last(frame, condition, tier="unseen_words")


def rows_of_h(frame: pd.DataFrame, condition: str) -> pd.Series:
    """Returns rows of h right that were not read, by seed."""
    return last(
        frame, condition, "h", "unseen_sentences", prompt="0_demonstrations"
    )


def write_shares(task: str) -> str:
    """Returns what is right by condition and network, of one of `SHOWN`."""
    shown, frame = SHOWN[task], read(task)
    rows = [
        [
            says,
            *(
                percent(shown.share(frame, f"{name}_{kind}"))
                for name in shown.networks
            ),
        ]
        for kind, says in shown.kinds.items()
    ]
    return table([shown.what, *shown.networks.values()], rows)


def write_triangle(frame: pd.DataFrame) -> str:
    """Returns A->C of the triangle in the prompt, by cell and network."""
    prompt = f"{PromptTriangle().num_facts}_demonstrations"
    head = ["network", "A → B", "B → C", *TIERS.values(), "exact reader"]
    rows = []
    for name, (net, first, second) in in_context_triangle.CONDITIONS.items():
        shares = [last(frame, name, tier=t, prompt=prompt) for t in TIERS]
        reader = last(
            frame,
            name,
            tier="unseen_sentences",
            metric="accuracy_of_reader",
            prompt=prompt,
        )
        rows.append(
            [
                arithmetic.NETWORKS[net],
                *(in_context_triangle.SAYS[place] for place in (first, second)),
                *map(percent, shares),
                f"{100 * reader.mean():.1f}",
            ]
        )
    return table(head, rows)


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


def draw(task: str) -> None:
    """Draws the figure of one of `SHOWN`, a panel for each network."""
    shown, frame = SHOWN[task], read(task)
    panels = {
        says: {
            kind.replace("_", "\n"): shown.share(frame, f"{name}_{kind}")
            for kind in shown.kinds
        }
        for name, says in shown.networks.items()
    }
    path = RUNS / task / f"{task}.png"
    draw_dots(panels, shown.chance, shown.label, path)


SHOWN = {
    "hangul": Shown(
        "beside A → C",
        hangul.SAYS,
        HANGUL,
        letters,
        1 / hangul.build_experiment("quick", "gpt_real").task.num_jamo,
        "letters right, %",
    ),
    **{
        name: Shown(
            "beside h",
            arithmetic.NETWORKS,
            ARITHMETIC,
            rows_of_h,
            1 / Arithmetic(0).num_answers,
            "unseen rows of h right, %",
        )
        for name in (arithmetic.NAME, arithmetic_few.NAME)
    },
}


def filled(page: str) -> str:
    """Returns a page with its tables in place."""
    tables = {}
    for task in SHOWN:
        tables[f"{task} verdicts"] = write_verdicts(claims_of(task))
        tables[f"{task} numbers"] = write_shares(task)
    tables["triangle numbers"] = write_triangle(read(in_context_triangle.NAME))
    tables["regression numbers"] = write_table(read(regression.NAME))
    return fill(page, tables)


if __name__ == "__main__":
    write_text(PAGE, filled(PAGE.read_text()))
    for each in SHOWN:
        draw(each)
