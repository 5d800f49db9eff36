"""Tests for tiny_gpt/commands/tracking.py: runs of a folder in TensorBoard."""

import json
import sys
import types

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from tiny_gpt.commands.tracking import check_tracking, send_runs
from tiny_gpt.metrics.columns import COLUMNS, EVENT_COLUMNS
from tiny_gpt.runtime.checks import MissingExtraError

ALL = ("all", "all", "all")
METRICS = pd.DataFrame(
    [
        ("e", "one", 0, 1, 9, *ALL, "loss", 2.0),
        ("e", "one", 0, 2, 18, *ALL, "loss", 1.0),
        ("e", "one", 0, 2, 18, "A->C", "fresh", "p", "accuracy", 0.5),
        ("e", "one", 0, 1, 9, "A->C", "fresh", "p", "accuracy", float("nan")),
        ("e", "one", 1, 1, 9, *ALL, "loss", 3.0),
    ],
    columns=COLUMNS,
)
EVENTS = pd.DataFrame(
    [
        (
            *("e", "one", 0, "fall", "all", "all", "loss"),
            *(1, 2, 2, 1.0, 2.0, 1.0, "", None),
        )
    ],
    columns=EVENT_COLUMNS,
)


def test_each_run_has_curves_and_events(tmp_path):
    for _ in range(2):  # written anew, not twice
        send_runs("tensorboard", tmp_path, METRICS, EVENTS)
    folder = tmp_path / "tensorboard" / "one"
    assert sorted(p.name for p in folder.iterdir()) == ["seed_0", "seed_1"]
    found = EventAccumulator(str(folder / "seed_0"))
    found.Reload()
    points = {
        tag: [(p.step, p.value) for p in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }
    assert points == {
        "loss": [(1, 2.0), (2, 1.0)],
        "accuracy/A->C fresh p": [(2, 0.5)],
        "events/loss fall": [(2, 1.0)],
    }


def test_a_run_is_sent_once(tmp_path, monkeypatch):
    runs = []

    class Sent:
        def __init__(self, **options):
            self.name, self.rows, self.summary = options["name"], [], {}
            runs.append(self)

        def log(self, row):
            self.rows.append(row)

        def finish(self):
            self.is_finished = True

    fake = types.ModuleType("wandb")
    fake.init = Sent
    fake.Table = lambda columns, data: data
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for _ in range(2):
        send_runs("wandb", tmp_path, METRICS, EVENTS)
    assert [run.name for run in runs] == ["one seed 0", "one seed 1"]
    first = runs[0].rows
    assert first[:2] == [
        {"epoch": 1, "loss": 2.0},
        {"epoch": 2, "loss": 1.0, "accuracy/A->C fresh p": 0.5},
    ]
    assert first[2]["events"] == [["loss", "fall", 1, 2, 2, 2.0, 1.0]]
    assert runs[0].summary["events/loss fall/first"] == 2
    assert runs[1].rows[1:] == [{"events": []}]
    assert all(run.is_finished for run in runs)
    sent = json.loads((tmp_path / "wandb.json").read_text())["sent"]
    assert len(sent) == 2


def test_a_missing_tool_is_refused_before_the_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"tiny_gpt\[wandb\]"):
        check_tracking("wandb")
    check_tracking(None)
