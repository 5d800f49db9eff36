"""Tests for tiny_gpt/metrics/summary.py."""

import pandas as pd
import pytest

from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.metrics.summary import accuracy_table, summarise


def frame():
    """Two seeds, 12 epochs: seed 0 scores 0, at last 1; seed 1 always 0.5."""
    rows = [
        ("t", "c", seed, epoch, epoch, "A->C", "all", "p", "accuracy", value)
        for seed in (0, 1)
        for epoch in range(1, 13)
        for value in [0.5 if seed else float(epoch == 12)]
    ]
    rows.append(("t", "c", 0, 1, 1, "all", "all", "all", "loss", 9.0))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_a_summary_by_hand():
    summary = summarise(frame(), "accuracy", "quick")
    assert summary["seeds"] == [0, 1]
    values = summary["conditions"]["c"]["A->C"]
    assert values["accuracy"] == {"mean": 0.75, "low": 0.5, "high": 1.0}
    # Seed 0 scores 1 in one of the last ten epochs.
    assert values["accuracy_last_10"] == pytest.approx(
        {"mean": 0.3, "low": 0.1, "high": 0.5}, rel=1e-12
    )


def test_a_summary_is_of_the_curves():
    # The exact evaluation has rows of the same metric, at the last epoch.
    curves = frame()
    row = ("t", "c", 0, 12, 12, "A->C", "all_sentences", "p", "accuracy", 0.0)
    exact = pd.DataFrame([row, row], columns=list(COLUMNS))
    both = pd.concat([curves, exact])
    assert summarise(both, "accuracy", "q") == summarise(
        curves, "accuracy", "q"
    )
    with pytest.raises(ValueError, match="metric='accuracy'"):
        summarise(exact, "accuracy", "q")


def test_a_frame_that_cannot_be_summarised_is_refused():
    with pytest.raises(ValueError, match="without \\['value'\\]"):
        summarise(frame().drop(columns="value"), "accuracy", "quick")
    with pytest.raises(ValueError, match="metric='brier'"):
        summarise(frame(), "brier", "quick")


def test_a_table_shows_paper_and_range():
    summary = summarise(frame(), "accuracy", "quick")
    table = accuracy_table(summary, {"paper": {"c": {"A->C": 0.65}}})
    assert table.splitlines() == [
        "| condition | mapping | paper | last epoch | last 10 epochs |",
        "| --- | --- | ---: | ---: | ---: |",
        "| c | A → C | 65.0 | 75.0 (50.0–100.0) | 30.0 (10.0–50.0) |",
    ]
