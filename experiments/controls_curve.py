"""The curve of the controls: accuracy on A->C against its number of pairs.

`controls` trains the conditions; claims, report and the study draw this
figure of them.
"""

from typing import Any

from matplotlib.figure import Figure

from tiny_gpt.claims.claim import LEVEL
from tiny_gpt.claims.evidence import BySeed, Evidence, MissingRunsError, series
from tiny_gpt.claims.values import CHANCE, UNSEEN
from tiny_gpt.plots.pairs import plot_against_pairs

CURVE = (4, 8, 12, 16, 25, 50)  # A->C pairs
# Name of the condition with 50 pairs, by kind; others end in their number.
KINDS = {
    "real": "sparse_a_to_c",
    "scrambled": "scrambled_a_to_c",
    "no route": "no_route_to_c",
}
# In the words of the figure, by kind.
TITLES = {
    "real": "real: A → C is B → C after A → B",
    "scrambled": "scrambled: A → C disagrees with that on every word",
    "no route": "no route: D → C in place of B → C",
}
PLAIN, WITHIN = "accuracy_aligned", "accuracy_in_language"
AXES = {
    PLAIN: UNSEEN,
    WITHIN: "A->C, words right if only C words may be answered",
}


def accuracy_by_pairs(
    evidence: Evidence, metric: str = PLAIN
) -> dict[str, list[BySeed]]:
    """Returns A->C's accuracy on unseen sentences, by kind and for `CURVE`.

    Args:
        evidence: frames of the runs.
        metric: one of `AXES`.

    Raises:
        MissingRunsError: if a condition or a seed is missing.
    """
    ends = ["" if n == 50 else f"_{n}" for n in CURVE]
    return {
        kind: [
            evidence.final(f"controls/{name}{end}", metric=metric)
            for end in ends
        ]
        for kind, name in KINDS.items()
    }


def describe_curve(evidence: Evidence, metric: str = PLAIN) -> dict[str, Any]:
    """Describes the figure of `accuracy_by_pairs`, as the report reads it."""
    return {
        "kind": "curve",
        "axis": AXES[metric],
        "x_axis": "A->C sentence pairs",
        "log_x": True,
        "series": [
            series(evidence, kind, CURVE, values)
            for kind, values in accuracy_by_pairs(evidence, metric).items()
        ],
        "lines": {"chance": CHANCE},
    }


def draw_curve(
    evidence: Evidence, title: str, metric: str = PLAIN
) -> Figure | None:
    """Draws that figure; None if a condition is missing."""
    try:
        curve = describe_curve(evidence, metric)
    except MissingRunsError:
        return None
    return plot_against_pairs(
        [{**item, "label": TITLES[item["label"]]} for item in curve["series"]],
        curve["lines"],
        curve["axis"],
        f"{title}; band: {LEVEL:.0%} interval of the mean",
    )
