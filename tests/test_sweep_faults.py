"""Sweeps whose processes are killed: see `benchmarks/sweep_faults.py`."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.sweep_faults import Trials, tabulate


@pytest.mark.faults
@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="needs /proc, to find workers"
)
def test_runs_of_killed_drivers_and_workers_are_there_once(tmp_path):
    trials = Trials(tmp_path)
    assert trials.is_same  # in threads and in processes
    for seed in range(4):
        trials.kill(seed)
    assert [row["error"] for row in trials.rows] == [""] * 4
    assert all(row["survived"] for row in trials.rows)
    # They were killed while there was work.
    assert any(0 < row["made_after"] < row["runs"] for row in trials.rows)


def test_the_table_counts_who_was_killed_and_what_survived():
    rows = [("threads", "driver", True), ("threads", "worker, driver", False)]
    frame = pd.DataFrame(rows, columns=["path", "killed", "survived"])
    last = tabulate(frame.assign(runs=12)).splitlines()[-1]
    assert last == "| threads | 2 | 2 | 1 | 24 | 1 |"
