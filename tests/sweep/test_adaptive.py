"""Tests for tiny_gpt/sweep/adaptive.py, with runs that are scripted."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.choices import sweep_adaptive as benchmark
from benchmarks.tiny_runs import TINY
from tests.helpers.tiny_sweeps import SCRAMBLED, tiny_sweep
from tests.sweep.test_collect import finish
from tiny_gpt.sweep import adaptive
from tiny_gpt.sweep.adaptive import Row, Rule, run_adaptively
from tiny_gpt.sweep.collect import collect_runs
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.tasks import TaskResult

PAIRS = [4, 8, 16, 32, 64, 128]
SEEDS = tuple(range(1, 11))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def small(axes=None, seeds=SEEDS, **options):
    return tiny_sweep({"sparse_pairs": PAIRS, **(axes or {})}, seeds, **options)


class Scripted:
    """An executor whose runs succeed from a number of pairs on."""

    def __init__(self, sweep, store, threshold=20, fails=(), taken=()):
        self.cells = {store.key(c.experiment): c for c in sweep.cells}
        self.threshold, self.fails, self.taken = threshold, fails, set(taken)
        self.rounds = []

    def __call__(self, store, tasks):
        self.rounds.append([])
        for task in tasks:
            cell = self.cells[task.key]
            pairs = cell.values["sparse_pairs"]
            self.rounds[-1] += [(pairs, seed) for seed in task.seeds]
            if pairs in self.fails:
                yield TaskResult(task, error="ValueError: x")
                continue
            taken = tuple(s for s in task.seeds if (pairs, s) in self.taken)
            self.taken -= {(pairs, s) for s in taken}
            gone = [s for s in task.seeds if s not in taken]
            for seed in gone:
                is_success = pairs >= self.threshold
                finish(store, cell, seed, unseen=0.9 if is_success else 0.1)
            yield TaskResult(task, finished=tuple(gone), taken=taken)

    @property
    def runs(self):
        return [run for some in self.rounds for run in some]


def test_runs_gather_where_success_begins(store):
    sweep = small()
    executor = Scripted(sweep, store)
    found = run_adaptively(sweep, store, executor, Rule(budget=12))
    row = found.rows[()]
    assert (found.finished, row.runs, row.stopped) == (12, 12, "budget")
    assert len(set(executor.runs)) == 12
    # Success begins between 16 and 32.
    near = [run for run in executor.runs if run[0] in (16, 32)]
    assert len(near) >= 8
    assert 16 < row.threshold.value < 32
    # Each value takes the seeds in their order.
    for pairs in PAIRS:
        seeds = [seed for at, seed in executor.runs if at == pairs]
        assert seeds == list(SEEDS[: len(seeds)])
    assert len(collect_runs(sweep, store)) == 12


def test_what_is_there_counts_and_an_interrupted_call_goes_on(store, tmp_path):
    sweep = small()
    whole = Scripted(sweep, store)
    run_adaptively(sweep, store, whole, Rule(12))
    other = Store(tmp_path / "other")
    first, second = Scripted(sweep, other), Scripted(sweep, other)
    run_adaptively(sweep, other, first, Rule(5))
    found = run_adaptively(sweep, other, second, Rule(12))
    assert first.runs + second.runs == whole.runs
    assert found.finished == 7
    again = Scripted(sweep, other)
    assert run_adaptively(sweep, other, again, Rule(12)).finished == 0
    assert again.rounds == []


def test_a_row_stops_at_a_narrow_interval(store):
    sweep = small()
    executor = Scripted(sweep, store)
    rule = Rule(budget=60, factor=2.5)
    row = run_adaptively(sweep, store, executor, rule).rows[()]
    assert row.stopped == "interval"
    assert row.threshold.high <= 2.5 * row.threshold.low
    assert row.runs < 30


@pytest.mark.parametrize(
    ("threshold", "stopped"), [(1000, "above"), (1, "below")]
)
def test_a_row_stops_where_the_threshold_is_outside(store, threshold, stopped):
    sweep = small()
    executor = Scripted(sweep, store, threshold)
    row = run_adaptively(sweep, store, executor, Rule(60, 2.0)).rows[()]
    assert row.stopped == stopped
    assert row.runs < 20


def test_a_row_stops_without_seeds(store):
    sweep = small(seeds=(1, 2))
    executor = Scripted(sweep, store)
    row = run_adaptively(sweep, store, executor, Rule(60)).rows[()]
    assert row.stopped == "seeds"
    assert sorted(executor.runs) == [(p, s) for p in PAIRS for s in (1, 2)]


def test_each_row_has_its_own_threshold_and_all_run_together(store):
    axes = {"condition": ["real", "scrambled"], "epochs": [2, 3]}
    sweep = small(axes, bases={"real": TINY, "scrambled": SCRAMBLED}, fixed={})
    executor = Scripted(sweep, store)
    found = run_adaptively(sweep, store, executor, Rule(6))
    points = [(c, e) for c in axes["condition"] for e in (2, 3)]
    assert list(found.rows) == points
    assert all(row.runs == 6 for row in found.rows.values())
    assert [len(some) for some in executor.rounds] == [4] * 6


def test_a_batch_keeps_to_the_budget(store):
    sweep = small()
    executor = Scripted(sweep, store)
    run_adaptively(sweep, store, executor, Rule(7), batch=3)
    assert [len(some) for some in executor.rounds] == [3, 3, 1]
    assert len(set(executor.runs)) == 7


def test_a_batch_has_the_seeds_of_a_cell_in_one_work(store):
    sweep = small({"sparse_pairs": [4, 8]})
    tasks = []
    executor = Scripted(sweep, store)
    run_adaptively(sweep, store, executor, Rule(6), 6, on_plan=tasks.extend)
    assert sorted(len(task.seeds) for task in tasks) == [3, 3]


def test_a_run_that_fails_is_not_tried_again(store):
    sweep = small()
    executor = Scripted(sweep, store, fails=(16,))
    found = run_adaptively(sweep, store, executor, Rule(12))
    assert len(set(executor.runs)) == len(executor.runs) == 12
    assert set(found.failed.values()) == {"ValueError: x"}
    key = store.key(sweep.cells[2].experiment)
    assert {k for k, _ in found.failed} == {key}
    assert found.finished == 12 - len(found.failed)


def test_runs_of_other_processes_are_waited_for(store, monkeypatch):
    monkeypatch.setattr(adaptive, "POLL_S", 0)
    sweep = small()
    first = Scripted(sweep, store)
    run_adaptively(sweep, store, first, Rule(1))
    # The next run is another's at the first try.
    (x, seed), *_ = _next(sweep, store)
    executor = Scripted(sweep, store, taken=[(x, seed)])
    found = run_adaptively(sweep, store, executor, Rule(2), waits=False)
    assert (found.finished, found.left) == (0, 1)
    executor = Scripted(sweep, store, taken=[(x, seed)])
    found = run_adaptively(sweep, store, executor, Rule(2))
    assert executor.runs == [(x, seed)] * 2
    assert (found.finished, found.left) == (1, 0)


def _next(sweep, store):
    executor = Scripted(sweep, store, taken=[(x, 1) for x in PAIRS])
    executor.taken |= {(x, s) for x in PAIRS for s in SEEDS}
    run_adaptively(sweep, store, executor, Rule(2), waits=False)
    return executor.runs


def test_runs_that_nobody_can_judge_are_used_up_and_tell_nothing():
    row = Row([4.0, 8.0], (1, 2), Rule(10))
    before = row.psi.posterior
    row.tell(4.0, 1, None)
    assert row.runs == 1
    assert (row.psi.posterior == before).all()
    row.tell(4.0, 2, False)
    assert row.plan(1)[0][0] == 8.0  # no seed is left at 4


def test_values_that_are_not_positive_are_left_out(store):
    sweep = small({"sparse_pairs": [0, *PAIRS]})
    executor = Scripted(sweep, store, threshold=1)
    run_adaptively(sweep, store, executor, Rule(10))
    assert 0 not in {pairs for pairs, _ in executor.runs}


@pytest.mark.parametrize(
    "options",
    [
        {"budget": 0},
        {"budget": 2.5},
        {"budget": 5, "factor": 1.0},
        {"budget": 5, "factor": math.nan},
        {"budget": 5, "level": 1.0},
        {"budget": 5, "lapses": ()},
        {"budget": 5, "lapses": (1.0,)},
    ],
)
def test_a_rule_that_cannot_be_is_refused(options):
    name = [*options][-1]
    with pytest.raises(ValueError, match=rf"Received: {name}="):
        Rule(**options)


@pytest.mark.parametrize(
    ("axes", "batch", "rule"),
    [
        ({"tokens": ["words"]}, 1, "axis of numbers"),
        ({"sparse_pairs": [0, 4]}, 1, "two or more positive"),
        ({"sparse_pairs": [4, 8]}, 0, "batch=0"),
        ({"sparse_pairs": [4, 8]}, 7, "batch=7"),
    ],
)
def test_nothing_runs_of_what_cannot_be(store, axes, batch, rule):
    sweep = tiny_sweep(axes)
    executor = Scripted(sweep, store)
    with pytest.raises(ValueError, match=rf"{rule}"):
        run_adaptively(sweep, store, executor, Rule(5), batch)
    assert executor.rounds == []


def frame(slope, threshold_at, num_seeds=8, seed=0):
    """A full grid of runs: two batch sizes, ten numbers of pairs."""
    rng, rows = np.random.default_rng(seed), []
    for size in (4, 8):
        for pairs in (0, *(2**i for i in range(2, 12))):
            for run in range(1, num_seeds + 1):
                odds = (pairs / threshold_at(size)) ** slope
                is_success = rng.random() < odds / (1 + odds)
                row = {"sparse_pairs": pairs, "train.batch_size": size}
                row |= {"condition": "real", "seed": run, "value": 0.5}
                rows.append({**row, "is_success": is_success})
    return pd.DataFrame(rows)


def test_the_benchmark_reads_rows_of_seeds_that_are_whole():
    runs = frame(4, lambda size: 16 * size)
    runs = runs.drop(
        runs.index[(runs["seed"] == 3) & (runs["sparse_pairs"] == 4)]
    )
    rows = benchmark.read_rows(runs, "sparse_pairs")
    assert list(rows) == [(4, "real"), (8, "real")]
    assert list(rows[4, "real"]) == [2.0**i for i in range(2, 12)]
    assert list(rows[4, "real"][4.0]) == [1, 2, 4, 5, 6, 7, 8]
    assert rows[4, "real"][4.0][1] is not None
    with pytest.raises(ValueError, match="axis='pairs'"):
        benchmark.read_rows(runs, "pairs")
    with pytest.raises(ValueError, match="0 runs"):
        benchmark.read_rows(runs[:0], "sparse_pairs")


def test_steep_curves_save_most_of_their_runs():
    rows = benchmark.read_rows(frame(8, lambda s: 15 * s), "sparse_pairs")
    records = pd.DataFrame(
        [r for some in rows.values() for r in benchmark.compare(some, 2)]
    )
    table = benchmark.tabulate(records).set_index("seeds")
    assert list(table["runs"]) == [10 * k for k in range(1, 9)]
    # All runs of the grid are the grid, for both.
    assert table["error, even"][8] == pytest.approx(0, abs=1e-9)
    assert table["error, adaptive"][8] == pytest.approx(0, abs=1e-9)
    assert table["width, adaptive"][3] < table["width, even"][3]
    assert 0.4 < table["saving"][8] < 1
    stops = records[records["rule"] == "stops"]
    assert (stops["width"] <= math.log(2) + 1e-9).all()
    assert stops["runs"].max() < 60


def test_a_row_without_a_threshold_saves_nothing():
    rows = benchmark.read_rows(frame(8, lambda s: 1e6), "sparse_pairs")
    assert benchmark.compare(rows[4, "real"], 1) == []


def test_the_benchmark_writes_its_table_and_manifest(tmp_path, capsys):
    runs = frame(8, lambda size: 15 if size == 4 else 1e6, 3)
    runs.to_csv(tmp_path / "runs.csv", index=False)
    folder = tmp_path / "out"
    benchmark.main([str(tmp_path / "runs.csv"), str(folder), "--orders", "1"])
    printed = capsys.readouterr().out
    assert printed.startswith("| seeds | runs | error, even |")
    assert "1 of 2 rows have a threshold in the grid." in printed
    saving = json.loads((folder / "saving.json").read_text())
    assert [row["seeds"] for row in saving["table"]] == [1, 2, 3]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["rows"], manifest["rows_with_a_threshold"]) == (2, 1)
    # Nothing to save is no error.
    none = runs[runs["train.batch_size"] == 8]
    none.to_csv(tmp_path / "runs.csv", index=False)
    benchmark.main([str(tmp_path / "runs.csv"), str(folder), "--orders", "1"])
    assert "0 of 1 rows" in capsys.readouterr().out
