"""Runs of a sweep that are dealt to devices."""

import keras
import pytest

from tests.helpers.scripted_training import write_record
from tests.helpers.tiny_sweeps import tiny_sweep
from tiny_gpt.runtime.backend import building_for
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.sweep import run, tasks, threads
from tiny_gpt.sweep.run import plan_tasks, run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.threads import in_process

SWEEP = tiny_sweep()  # two cells, two seeds
FOUR = Placement("gpu", ("a", "b", "c", "d"))
if keras.backend.backend() != "jax":
    pytest.skip(
        "runs are dealt to devices on JAX alone", allow_module_level=True
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def dealt(monkeypatch, fails=lambda jobs: False):
    """Scripts what deals runs to devices; returns the jobs of each call."""
    calls = []

    def run_all(jobs, num_workers=None, **options):
        calls.append([(j.experiment.condition, j.seed) for j in jobs])
        assert options["placement"] is FOUR
        if fails(jobs):
            raise ArithmeticError("it diverged")
        for job in jobs:
            write_record(job.record)
            yield job, None

    for module in (threads, tasks):
        monkeypatch.setattr(module, "run_all", run_all)
    monkeypatch.setattr(run, "POLL_S", 0.01)
    return calls


def on_four(store, tasks):
    return in_process(store, tasks, placement=FOUR)


def test_the_runs_of_all_cells_are_dealt_to_devices_together(
    store, monkeypatch
):
    calls = dealt(monkeypatch)
    assert run_sweep(SWEEP, store, on_four, None).finished == 4
    assert [len(call) for call in calls] == [4]
    # Fewer at once where each lease would be a file too many.
    monkeypatch.setattr(threads, "MOST_DEALT", 3)
    more = tiny_sweep(seeds=range(10, 14))
    assert run_sweep(more, store, on_four, 2).finished == 8
    assert [len(call) for call in calls[1:]] == [2, 2, 2, 2]


def test_batches_of_a_device_have_as_many_seeds_as_are_asked_for(store):
    """As on a GPU, where the seeds of all cells could be one batch."""
    started = []
    sweep = tiny_sweep({"sparse_pairs": [4]}, (1, 2))
    with building_for("gpu"):
        made = in_process(
            store,
            plan_tasks(sweep, store),
            on_start=started.append,
            seeds_per_batch=1,
        )
        assert [result.finished for result in made] == [(1,), (2,)]
    assert [batches.sizes for batches in started] == [(1, 1)]


def test_a_run_that_raises_on_devices_stops_no_other(store, monkeypatch):
    bad = store.key(SWEEP.cells[1].experiment)

    def fails(jobs):
        return (bad[:16], 2) in {
            (job.experiment.condition, job.seed) for job in jobs
        }

    dealt(monkeypatch, fails)
    outcome = run_sweep(SWEEP, store, on_four, None)
    assert outcome.finished == 3
    assert outcome.failed == {(bad, 2): "ArithmeticError: it diverged"}
    assert not store.is_leased(bad, 2)
