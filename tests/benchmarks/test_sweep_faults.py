"""Sweeps whose processes are killed: `benchmarks/faults/sweeps_killed.py`."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.faults.sweeps_killed import EVENTS, Trials, tabulate


@pytest.mark.faults
@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="needs /proc, to find workers"
)
def test_runs_of_killed_drivers_and_workers_are_there_once(tmp_path):
    trials = Trials(tmp_path)
    assert trials.is_same  # in threads and in processes
    for seed, event in enumerate((EVENTS[0], *EVENTS)):
        trials.trial(seed, event)
    assert [row["error"] for row in trials.rows] == [""] * 5
    assert all(row["survived"] for row in trials.rows)
    # They were disturbed while there was task.
    assert any(0 < row["made_after"] < row["runs"] for row in trials.rows)


def test_the_table_counts_what_happened_and_what_survived():
    rows = [("damaged", "threads", 3, True), ("damaged", "threads", 4, False)]
    columns = ["event", "path", "made_after", "survived"]
    frame = pd.DataFrame(rows, columns=columns)
    last = tabulate(frame.assign(runs=12)).splitlines()[-1]
    assert last == "| damaged | threads | 2 | 24 | 7 | 1 |"
