"""Figures of docs/anti_composition.md, drawn by `anti_composition.py`."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from experiments import anti_composition as study
from tiny_gpt.plots.curves import COLOURS, GREY

BLIND = 4.5
BLUE, GREEN, ORANGE, PINK = COLOURS[:4]
# Conditions of the second panel of `when.png`, and their words.
LABELS = {
    "epochs_15": "as usual: 2 blocks, width 64, 2500 pairs, 15 epochs",
    "tagged": "the prompt names the language",
    "characters": "a space mark before every word",
    "no_positions": "no positions",
    "depth_1": "1 block",
    "depth_4": "4 blocks",
    "width_16": "width 16",
    "width_32": "width 32",
    "width_128": "width 128",
    "pairs_250": "250 pairs of each, as many updates",
    "pairs_1000": "1000 pairs of each, as many updates",
    "pairs_10000": "10000 pairs of each, as many updates",
    "b_to_c_last": "A → B alone, then B → C alone",
    "a_to_b_last": "B → C alone, then A → B alone",
    "frozen_head": "head not trained",
    "frozen_ends": "embeddings and head not trained",
    "no_route": "D → C in place of B → C",
}
UNREAD = (
    *("A → C", "B → D", "A → D"),
    *("B → A", "C → B", "D → C", "C → A", "D → B", "D → A"),
)
CHANGED = {
    "nothing": "nothing",
    "other_b": "once,\nwrong\nB word",
    "own_b": "once,\nown\nB word",
    "reflected_other_b": "twice,\nwrong\nB word",
    "reflected_own_b": "twice,\nown\nB word",
}


def draw(
    numbers: pd.DataFrame, rows: Any, sets: dict[str, Any], folder: Path
) -> None:
    """Draws all figures.

    Args:
        numbers: of `anti_composition.rows_of`.
        rows: the frame, `anti_composition.Rows`.
        sets: of `anti_composition.sets_of_seeds`.
        folder: where they go.
    """
    means = numbers.set_index(["topic", "what"])
    for name, figure in (
        ("when", _when(rows)),
        ("what", _what(means, rows)),
        ("slower", _slower(sets)),
    ):
        figure.savefig(folder / f"{name}.png", dpi=110)
        plt.close(figure)


def _blind(ax: plt.Axes, is_upright: bool = False, **more: Any) -> None:
    line = ax.axvline if is_upright else ax.axhline
    line(BLIND, color=GREY, linestyle=":", linewidth=1.2, **more)


def _rank_axis(ax: plt.Axes) -> None:
    ax.set_ylim(8.2, 0.8)  # the best rank on top
    ax.set_ylabel("Mean rank among the 8 words of C\n(1 is best)")


def _when(rows: Any) -> plt.Figure:
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(12, 5.6), layout="constrained", width_ratios=(1, 1.15)
    )
    epochs = study.EPOCHS
    by_epoch = pd.concat({n: rows.exact(f"epochs_{n}") for n in epochs}, axis=1)
    for _, values in by_epoch.iterrows():
        left.plot(epochs, values, color=ORANGE, linewidth=0.6, alpha=0.6)
    shown = [n for n in epochs if by_epoch[n].notna().all()]
    left.plot(
        *(shown, by_epoch[shown].mean(), "o-"),
        color=ORANGE,
        linewidth=2.2,
        label="composed C word",
    )
    for mapping, colour in (("A->B", BLUE), ("B->C", GREEN)):
        means = [
            rows.exact(f"epochs_{n}", mapping=mapping).mean() for n in epochs
        ]
        label = f"right word of {mapping.replace('->', ' → ')}"
        left.plot(epochs, means, color=colour, linewidth=1.8, label=label)
    _blind(left, label="blind guess")
    left.set_xscale("log")
    left.set_xticks(epochs, [str(n) for n in epochs])
    left.minorticks_off()
    left.set_xlabel("Epochs read")
    _rank_axis(left)
    left.set_ylabel("Mean rank among 8 words (1 is best)")
    left.legend(loc=(0.32, 0.62), fontsize=9, frameon=False)
    left.set_title("It comes with the two mappings", loc="left")
    _dots(right, rows)
    right.set_title("The composed C word by condition", loc="left")
    figure.suptitle(
        "Thin lines and small dots are seeds; thick ones means", fontsize=10
    )
    return figure


def _dots(ax: plt.Axes, rows: Any) -> None:
    for y, name in enumerate(LABELS):
        values = rows.exact(name)
        colour = BLUE if name == "no_route" else ORANGE
        ax.plot(values, [y] * len(values), ".", color=colour, alpha=0.5)
        ax.plot(values.mean(), y, "D", color=colour, markersize=7)
    _blind(ax, is_upright=True)
    ax.set_yticks(range(len(LABELS)), list(LABELS.values()))
    ax.invert_yaxis()
    ax.set_xlim(0.8, 8.2)
    ax.set_xlabel("Mean rank among the 8 words of C (8 is last)")


def _what(means: pd.DataFrame, rows: Any) -> plt.Figure:
    figure, axes = plt.subplots(
        2, 2, figsize=(12, 9.2), layout="constrained", height_ratios=(1, 1.05)
    )
    _groups(axes[0, 0], means)
    _routes(axes[0, 1], means)
    _cosines(axes[1, 0], rows)
    _changes(axes[1, 1], means)
    figure.suptitle("Means over seeds; bars are 95 % intervals", fontsize=10)
    return figure


def _bar(ax: plt.Axes, x: float, row: Any, **style: Any) -> None:
    ends = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
    ax.errorbar(x, row["value"], ends, capsize=3, **style)


def _groups(ax: plt.Axes, means: pd.DataFrame) -> None:
    styles = {
        "own": (ORANGE, "of the word asked for (composed)"),
        "earlier": (GREEN, "of a word asked for earlier"),
        "later": (PINK, "of a word asked for later"),
        "absent": (BLUE, "of no word of the sentence"),
    }
    for i, (group, (colour, label)) in enumerate(styles.items()):
        for place in range(1, 5):
            key = "epochs_15, C words", f"A->C {group} place_{place}"
            if key in means.index:
                x = place + 0.1 * (i - 1.5)
                style = {"color": colour, "fmt": "o"}
                is_first = place == (2 if group == "earlier" else 1)
                name = label if is_first else None
                _bar(ax, x, means.loc[key], label=name, **style)
    _blind(ax)
    ax.set_xticks(range(1, 5))
    ax.set_xlabel("Word of the answer")
    _rank_axis(ax)
    ax.legend(fontsize=9, frameon=False, loc="upper left", title="C word")
    ax.set_title("Only the composed word is low", loc="left")


def _routes(ax: plt.Axes, means: pd.DataFrame) -> None:
    names = {
        "epochs_15": (BLUE, -0.12, "A → B → C read"),
        "chain": (PINK, 0.12, "A → B → C → D read"),
    }
    for name, (colour, offset, label) in names.items():
        for x, what in enumerate(UNREAD):
            key = f"{name}, questions", what.replace(" → ", "->")
            if key in means.index:
                said = label if x == 0 else None
                style = {"color": colour, "fmt": "o", "label": said}
                _bar(ax, x + offset, means.loc[key], **style)
    _blind(ax)
    ax.set_xticks(range(len(UNREAD)), UNREAD, fontsize=8.5)
    for border in (1.5, 2.5, 5.5, 7.5):
        ax.axvline(border, color=GREY, linewidth=0.4)
    for where, steps in zip(
        (0.5, 2.0, 4.0, 6.5, 8.0), (2, 3, -1, -2, -3), strict=True
    ):
        way = "forward" if steps > 0 else "back"
        said = f"{abs(steps)} step{'s' * (abs(steps) > 1)}\n{way}"
        ax.text(where, 1.0, said, ha="center", va="top", fontsize=8.5)
    _rank_axis(ax)
    ax.set_ylabel("Mean rank of the partner,\nfirst word of the answer")
    ax.legend(fontsize=9, frameon=False, loc=(0.36, 0.03))
    ax.set_title("Questions never read, by steps", loc="left")


def _cosines(ax: plt.Axes, rows: Any) -> None:
    names = {
        "epochs_15": (ORANGE, "as usual"),
        "tagged": (GREEN, "tagged"),
        "frozen_head": (PINK, "head not trained"),
        "frozen_ends": (GREY, "embeddings and head not trained"),
        "no_route": (BLUE, "no route to C"),
    }
    for name, (colour, label) in names.items():
        cosine = rows.of(name, "A->B own words.embedding cosine")
        ax.plot(cosine, rows.exact(name), "o", color=colour, label=label)
    _blind(ax)
    ax.axvline(0, color=GREY, linewidth=0.6)
    _rank_axis(ax)
    ax.set_xlabel("Cosine of the embeddings of an A word and its B word")
    ax.legend(fontsize=9, frameon=False, loc="upper left")
    ax.set_title("Partners point away from each other", loc="left")


def _changes(ax: plt.Axes, means: pd.DataFrame) -> None:
    ends = {
        "embedding": (BLUE, "embeddings of A words"),
        "head": (GREEN, "head columns of C words"),
        "both": (ORANGE, "both"),
    }
    for i, (end, (colour, label)) in enumerate(ends.items()):
        for x, tier in enumerate(CHANGED):
            row = means.loc[("epochs_15, changed", f"{end}, {tier}, A->C")]
            name = label if x == 0 else None
            where = x + 0.14 * (i - 1)
            _bar(ax, where, row, color=colour, fmt="o", label=name)
    _blind(ax)
    ax.set_xticks(
        range(len(CHANGED)),
        list(CHANGED.values()),
        fontsize=8.5,
    )
    ax.set_xlabel("Projection on a B word that is taken away")
    _rank_axis(ax)
    ax.legend(fontsize=9, frameon=False, loc="upper left")
    ax.set_title("Without it, the composed word rises", loc="left")


def _slower(sets: dict[str, Any]) -> plt.Figure:
    figure, axes = plt.subplots(
        1, 2, figsize=(10, 4.4), layout="constrained", sharey=True
    )
    for ax, n in zip(axes, study.SPARSE, strict=True):
        for colour, (seeds, found) in zip(
            (ORANGE, BLUE, GREEN), sets.items(), strict=True
        ):
            gap = found.gaps[n].loc[found.rank.index]
            ax.plot(found.rank, gap, "o", color=colour, label=seeds)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.axvline(BLIND, color=GREY, linestyle=":", linewidth=1.2)
        ax.set_title(f"{n} A → C pairs", loc="left")
        ax.set_xlabel("Rank of the composed word without A → C")
    axes[0].set_ylabel("Rank of the right word\nreal less scrambled A → C")
    axes[0].legend(fontsize=9, frameon=False)
    return figure
