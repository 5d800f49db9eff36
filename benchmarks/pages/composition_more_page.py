"""The tables and the figure of docs/composition_more.md.

Question  What else was tried to turn composition on, and where in the network
          does it happen?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.composition_more_page
Time      seconds

Exploratory numbers, seeds from 1000 on: docs/runs/composition_variations,
composition_long and composition_pilot. The figure and the table by layer
describe the kept seeds, docs/runs/composition.
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks.pages.markdown import (
    DOCS,
    RUNS,
    fill,
    last,
    percent,
    points,
    read,
    table,
)
from experiments.composition import HELD_OUT
from experiments.composition_variations import DEPTHS, FEW, LOOPS
from tiny_gpt.runtime.files import write_text

KEPT = RUNS / "composition"
HELD = "held_out_words"
IDENTITIES = {
    "nothing": "none",
    "A → A": "source",
    "B → B": "bridge",
    "C → C": "target",
    "D → D, the placebo": "placebo",
}
POINTS = {
    "the word itself, where it is read": "embedding.source",
    "after block 1, where the word is read": "block_0.feed_forward.source",
    "after block 1, where the answer is given": "block_0.feed_forward.answer",
    "after block 2, where the answer is given": "block_1.feed_forward.answer",
}
LIKENESS = "block_0.attention.answer"
COLOURS = {"B → B": "#0072B2", "A → E and B → E": "#E69F00", "D → D": "#666666"}
NETWORKS = {
    "B → B": "held_out_2_bridge",
    "A → E and B → E": "common_target",
    "D → D": "held_out_2_placebo",
}


def write_identities(frame: pd.DataFrame) -> str:
    """Held-out words by identity, number of words and weight decay."""
    head = ["identity pairs added"]
    head += [f"{n} held out" for n in HELD_OUT]
    head += [f"{n} held out, decay 0.3" for n in HELD_OUT]
    rows = [
        [
            says,
            *(
                percent(last(frame, f"held_out_{n}_{name}{end}"))
                for end in ("", "_decay")
                for n in HELD_OUT
            ),
        ]
        for says, name in IDENTITIES.items()
    ]
    return table(head, rows)


def write_networks(frame: pd.DataFrame) -> str:
    """Held-out words by depth, loops and shared blocks, with the bridge."""
    rows = {f"{n} block{'s' * (n > 1)}": f"depth_{n}_bridge" for n in DEPTHS}
    rows["2 blocks, as everywhere else"] = "held_out_2_bridge"
    rows |= {f"1 block, {n} times": f"loops_{n}_bridge" for n in LOOPS}
    rows["2 blocks, twice"] = "shared_bridge"
    order = sorted(rows, key=lambda says: (says.count(","), says))
    return table(
        ["network", "A → B", "B → C", "A → C, held-out words"],
        [
            [
                says,
                percent(last(frame, rows[says], "A->B", "unseen_sentences")),
                percent(last(frame, rows[says], "B->C", "unseen_sentences")),
                percent(last(frame, rows[says])),
            ]
            for says in order
        ],
    )


def write_texts(frame: pd.DataFrame) -> str:
    """Held-out words by how the text shows the mappings."""
    rows = [
        ("nothing changed", "held_out_2_none", "A->C"),
        ("A → B and B → C of one sentence together", "together", "A->C"),
        ("A → C, windows of 45 tokens", "direct", "A->C"),
        ("A → B → C, asked step by step: B and C words", "stepwise", "A->B->C"),
        ("A → B → C shown, A → C asked", "stepwise", "A->C"),
    ]
    return table(
        ["text", "held-out words right, %"],
        [
            [says, percent(last(frame, name, mapping))]
            for says, name, mapping in rows
        ],
    )


def write_few(frame: pd.DataFrame) -> str:
    """The paper's triangle with few pairs, no word held out."""
    head = ["added", *(f"{n} pairs" for n in FEW)]
    kinds = {"nothing": "none", "D → D": "placebo", "B → B": "bridge"}
    rows = [
        [
            says,
            *(
                percent(
                    last(frame, f"sparse_{n}_{name}", tier="unseen_sentences")
                )
                for n in FEW
            ),
        ]
        for says, name in kinds.items()
    ]
    rows.append(
        [
            "B → B − D → D",
            *(
                points(
                    last(frame, f"sparse_{n}_bridge", tier="unseen_sentences")
                    - last(
                        frame, f"sparse_{n}_placebo", tier="unseen_sentences"
                    )
                )
                for n in FEW
            ),
        ]
    )
    return table(head, rows)


def write_long(frame: pd.DataFrame) -> str:
    """The grokking condition: each seed at a few times."""
    rows = frame[
        (frame["condition"] == "long_decay")
        & (frame["metric"] == "accuracy_aligned")
        & (frame["tier"] == "all")
    ]
    final = last(frame, "long_decay")
    epochs = sorted(rows["epoch"].unique())
    updates = int(rows["step"].max() / max(epochs))
    some = [e for e in (15, 100, 300, 500, max(epochs)) if e in epochs]
    head = ["seed", *(f"A → C after {e * updates}" for e in some), "held out"]
    body = []
    for seed, own in rows[rows["mapping"] == "A->C"].groupby("seed"):
        by_epoch = own.set_index("epoch")["value"]
        body.append(
            [
                str(seed),
                *(f"{100 * by_epoch[e]:.1f}" for e in some),
                f"{100 * final[seed]:.1f}",
            ]
        )
    return table(head, body)


def write_layers(frame: pd.DataFrame) -> str:
    """Where A->C's stream can stand for B->C's, by point of the network."""
    rows = frame[
        (frame["condition"] == "composing")
        & (frame["metric"] == f"donor_{HELD}")
        & (frame["mapping"] == "B->C")
    ]
    head = ["what is put into B → C", *NETWORKS]
    body = []
    for says, point in POINTS.items():
        cells = []
        for condition in NETWORKS.values():
            found = rows[
                (rows["tier"] == condition) & (rows["prompt"] == point)
            ]
            cells.append(percent(found.set_index("seed")["value"]))
        body.append([says, *cells])
    return table(head, body)


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Draws likeness and translation of held-out words by update."""
    rows = frame[frame["condition"] == "composing_by_epoch"]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True)
    parts = (
        (
            axes[0],
            "Likeness of an A word and its B word",
            (rows["mapping"] == "A->C|B->C")
            & (rows["prompt"] == LIKENESS)
            & (rows["metric"] == f"alike_{HELD}"),
        ),
        (
            axes[1],
            "Held-out words translated by way of B, %",
            (rows["mapping"] == "A->C")
            & (rows["prompt"] == "all")
            & (rows["metric"] == f"composed_{HELD}"),
        ),
    )
    for axis, title, is_in in parts:
        scale = 100 if title.endswith("%") else 1
        for says, condition in NETWORKS.items():
            own = rows[is_in & (rows["tier"] == condition)]
            by_step = own.pivot_table(
                index="step", columns="seed", values="value"
            )
            for seed in by_step:
                axis.plot(
                    by_step.index,
                    scale * by_step[seed],
                    color=COLOURS[says],
                    alpha=0.2,
                    linewidth=0.8,
                )
            mean = scale * by_step.mean(axis=1)
            axis.plot(mean.index, mean, color=COLOURS[says], linewidth=2.2)
            axis.annotate(
                says,
                (mean.index[-1], mean.iloc[-1]),
                xytext=(6, 0),
                textcoords="offset points",
                color=COLOURS[says],
                va="center",
            )
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel("updates")
        axis.set_xlim(0, float(rows["step"].max()) * 1.32)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")


PARTS: dict[str, Callable[[pd.DataFrame], str]] = {
    "identities": write_identities,
    "networks": write_networks,
    "texts": write_texts,
    "few": write_few,
    "long": write_long,
}


def filled(page: str) -> str:
    """Returns a page with its tables in place."""
    seen = read("composition_variations", "composition_pilot")
    tables = {name: write(seen) for name, write in PARTS.items()}
    tables["layers"] = write_layers(read("composition"))
    return fill(page, tables)


if __name__ == "__main__":
    path = DOCS / "composition_more.md"
    write_text(path, filled(path.read_text()))
    draw(read("composition"), KEPT / "likeness_by_update.png")
