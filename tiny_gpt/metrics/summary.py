"""Summary of accuracies over seeds, and its table."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tiny_gpt.metrics.columns import COLUMNS

LAST_EPOCHS = 10


def summarise(
    metrics: pd.DataFrame, metric: str, preset: str
) -> dict[str, Any]:
    """Summarises the accuracy of each condition and mapping over seeds.

    Args:
        metrics: metrics frame of one experiment.
        metric: metric that counts, e.g. "accuracy_aligned".
        preset: name of the preset, repeated in the summary.

    Returns:
        {"experiment", "preset", "metric", "seeds", "conditions": {condition:
        {mapping: {"accuracy": {"mean", "low", "high"}, "accuracy_last_10":
        {...}}}}}. Accuracies are fractions in [0, 1]: "accuracy" is that of
        the last epoch, "accuracy_last_10" the mean over the evaluations of
        the last ten epochs (of all, if there are fewer). "mean", "low" and
        "high" are the mean, lowest and highest over seeds.

    Raises:
        ValueError: if a column is missing, or the frame has no such metric.
    """
    missing = set(COLUMNS) - set(metrics.columns)
    if missing:
        raise ValueError(
            f"A metrics frame has the columns {COLUMNS}. "
            f"Received: a frame without {sorted(missing)}"
        )
    rows = metrics[(metrics["metric"] == metric) & (metrics["tier"] == "all")]
    if rows.empty:
        raise ValueError(
            "The frame must hold the metric that is summarised. "
            f"Received: metric={metric!r}; the frame has "
            f"{sorted(set(metrics['metric']))}"
        )
    conditions: dict[str, Any] = {}
    for (condition, mapping), group in rows.groupby(
        ["condition", "mapping"], sort=False
    ):
        last = group["epoch"].max()
        final = group[group["epoch"] == last]
        recent = group[group["epoch"] > last - LAST_EPOCHS]
        conditions.setdefault(str(condition), {})[mapping] = {
            "accuracy": _over_seeds(final),
            f"accuracy_last_{LAST_EPOCHS}": _over_seeds(recent),
        }
    return {
        "experiment": rows["experiment"].iloc[0],
        "preset": preset,
        "metric": metric,
        "seeds": sorted(int(seed) for seed in set(rows["seed"])),
        "conditions": conditions,
    }


def _over_seeds(rows: pd.DataFrame) -> dict[str, float]:
    by_seed = rows.groupby("seed")["value"].mean()
    return {
        "mean": float(by_seed.mean()),
        "low": float(by_seed.min()),
        "high": float(by_seed.max()),
    }


def accuracy_table(
    summary: dict[str, Any],
    columns: dict[str, Mapping[str, Mapping[str, float]]],
) -> str:
    """Writes a summary as a Markdown table, percentages.

    Args:
        summary: what `summarise` returns.
        columns: further columns, which come first: by heading, the fraction
            of each condition and mapping.

    Returns:
        The table, one row per condition and mapping.
    """

    def percent(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f}"

    def interval(values: dict[str, float]) -> str:
        low, high = percent(values["low"]), percent(values["high"])
        return f"{percent(values['mean'])} ({low}–{high})"

    last = f"accuracy_last_{LAST_EPOCHS}"
    ours = ("last epoch", f"last {LAST_EPOCHS} epochs")
    headings = ["condition", "mapping", *columns, *ours]
    lines: Sequence[Sequence[str]] = [
        [
            condition,
            mapping.replace("->", " → "),
            *(
                percent(c.get(condition, {}).get(mapping))
                for c in columns.values()
            ),
            interval(values["accuracy"]),
            interval(values[last]),
        ]
        for condition, by_mapping in summary["conditions"].items()
        for mapping, values in by_mapping.items()
    ]
    ruler = ["---"] * 2 + ["---:"] * (len(headings) - 2)
    rows = [headings, ruler, *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
