"""The page of a committed reproduction shows what its runs have found."""

import json

import pandas as pd

from benchmarks.pages.committed_page import (
    events_of,
    manifest_of,
    missing_of,
    runs_of,
)
from experiments.reproduction import RUNS
from tiny_gpt.report.entries import lacks_runs

FOLDER = RUNS / "reproduce_quick"
VERDICTS = RUNS / "verdicts"


def test_the_manifest_has_the_seconds_of_each_condition():
    rows = pd.read_csv(VERDICTS / "metrics.csv.gz", low_memory=False)
    places = rows[["experiment", "condition"]].drop_duplicates()
    conditions = places.agg("/".join, axis=1)
    found = manifest_of([VERDICTS])
    assert set(found["wall_s"]) == set(conditions)
    assert found["backend"] == "jax"
    assert found["command"].count("--first-seed 200") == len(
        json.loads((VERDICTS / "manifest.json").read_text())["runs"]
    )


def test_every_claim_without_runs_is_said_to_wait():
    claims = json.loads((VERDICTS / "claims.json").read_text())["claims"]
    claims = [claim for claim in claims if claim["family"] == "section_3"]
    waiting = [claim["title"] for claim in claims if lacks_runs(claim)]
    lines = missing_of(claims)
    assert len(lines) == len(waiting)  # each waits for runs of its own
    for title, line in zip(waiting, lines, strict=True):
        assert f"“{title}” waits" in line


def test_measurements_are_no_runs():
    rows = [("theory", "alignment"), ("theory", "count_50"), ("triangle", "x")]
    frame = pd.DataFrame(rows, columns=["experiment", "condition"])
    assert list(runs_of(frame)["condition"]) == ["count_50"]


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
