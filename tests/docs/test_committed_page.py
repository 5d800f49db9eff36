"""The page of a committed reproduction shows what its runs have found."""

from pathlib import Path

import pandas as pd

from benchmarks.pages.committed_page import events_of

FOLDER = Path(__file__).parents[2] / "docs/runs/reproduce_quick"


def test_loss_drops_of_the_frames_are_those_of_the_runs():
    places = ("triangle", "sparse_a_to_c"), ("controls", "held_out_1")
    labels = ["experiment", "condition"]
    metrics = pd.read_csv(FOLDER / "metrics.csv.gz").set_index(labels)
    expected = pd.read_csv(FOLDER / "events.csv").set_index(labels)
    for place in places:
        found = events_of(metrics.loc[[place]].reset_index(), "quick")
        found = found[found["event"] == "loss_drop"]
        rows = expected.loc[[place]].reset_index(drop=True)
        assert len(rows) > 5
        for name in ("seed", "epoch"):
            assert list(found[name]) == list(rows[name])
        for name in ("size", "before", "after"):
            pd.testing.assert_series_equal(
                found[name].reset_index(drop=True), rows[name], rtol=1e-4
            )
