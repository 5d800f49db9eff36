"""Tests for tiny_gpt/sweep/slurm.py, with jobs that are processes here."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from tests.helpers.killed_workers import wait_until
from tests.helpers.tiny_sweeps import tiny_sweep
from tiny_gpt.sweep import slurm
from tiny_gpt.sweep.run import plan_tasks, run_sweep
from tiny_gpt.sweep.slurm import Slurm
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.threads import in_process

pytest.importorskip("submitit")
SWEEP = tiny_sweep()  # two cells, two seeds


class Job:
    """A job that has ended when it is asked, and says what it is given."""

    def __init__(self, results):
        self._results, self.is_cancelled = results, False

    def done(self):
        return True

    def result(self):
        if isinstance(self._results, Exception):
            raise self._results
        return self._results

    def cancel(self):
        self.is_cancelled = True


def scripted(monkeypatch, tmp_path, results, num_jobs=2):
    """Returns an executor whose jobs end with results, and what it submits."""
    submitted = []

    def submit(self, store, shares):
        submitted.append(shares)
        return [Job(results(share)) for share in shares]

    monkeypatch.setattr(Slurm, "_submit", submit)
    return Slurm(num_jobs, tmp_path / "jobs"), submitted


def test_each_job_has_a_share_of_the_tasks(monkeypatch, tmp_path):
    store = Store(tmp_path / "store")
    tasks = plan_tasks(tiny_sweep(seeds=range(5)), store)

    def results(share):
        return [(task.seeds, (), None, "") for task in share]

    executor, submitted = scripted(monkeypatch, tmp_path, results, 3)
    found = list(executor(store, tasks))
    assert [done.finished for done in found] == [d.task.seeds for d in found]
    assert sorted(map(len, submitted[0])) == [3, 3, 4]
    assert {done.task for done in found} == set(tasks)
    # No more jobs than tasks, and none for none.
    list(executor(store, tasks[:1]))
    assert [len(share) for share in submitted[1]] == [1]
    assert list(executor(store, [])) == []


def test_jobs_that_are_lost_again_and_again_end_the_command(
    monkeypatch, tmp_path
):
    from submitit.core.utils import UncompletedJobError

    store = Store(tmp_path / "store")
    executor, submitted = scripted(
        monkeypatch, tmp_path, lambda share: UncompletedJobError("killed")
    )
    monkeypatch.setattr("tiny_gpt.sweep.run.POLL_S", 0.01)
    with pytest.raises(RuntimeError, match=r"3 times without.*killed"):
        run_sweep(SWEEP, store, executor)
    assert len(submitted) == 3


@pytest.mark.parametrize(
    ("num_jobs", "parameters"), [(0, {}), (1, {"time": "1:00"})]
)
def test_bad_numbers_are_refused(num_jobs, parameters, tmp_path):
    with pytest.raises(ValueError, match="An array has 1 job or more"):
        Slurm(num_jobs, tmp_path, parameters)


def test_without_submitit_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match=r"tiny_gpt\[slurm\]"):
        next(Slurm(1, tmp_path)(store, plan_tasks(SWEEP, store)))


def test_without_slurm_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match="where SLURM's sbatch is found"):
        next(Slurm(1, tmp_path)(store, plan_tasks(SWEEP, store)))


@pytest.mark.slow
def test_jobs_make_what_this_process_makes(tmp_path, monkeypatch):
    monkeypatch.setenv("NPROC", "1")
    store = Store(tmp_path / "store", keeps_weights=True)
    executor = Slurm(2, tmp_path / "jobs", cluster="local")
    outcome = run_sweep(SWEEP, store, executor)
    assert (outcome.finished, outcome.failed, outcome.left) == (4, {}, 0)
    other = Store(tmp_path / "other", keeps_weights=True)
    run_sweep(SWEEP, other, lambda s, t: in_process(s, t, 1))
    for cell in SWEEP.cells:
        key = store.key(cell.experiment)
        for seed in SWEEP.seeds:
            ours, theirs = store.load(key, seed), other.load(key, seed)
            losses = [[log["loss"] for log in x.logs] for x in (ours, theirs)]
            assert losses[0] == pytest.approx(losses[1], rel=1e-4)
            assert store.weights(key, seed).exists()


@pytest.mark.slow
def test_runs_of_a_killed_job_go_on_in_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "POLL_S", 0.1)
    store, killed = Store(tmp_path / "store"), []
    jobs = tmp_path / "jobs"

    def kill():
        wait_until(lambda: any((store.folder / "running").iterdir()))
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text()
            except OSError:
                continue
            if str(jobs) in command:
                killed.append(int(pid))
                os.kill(int(pid), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = run_sweep(SWEEP, store, Slurm(1, jobs, cluster="local"))
    killer.join()
    assert killed
    assert (outcome.failed, outcome.left) == ({}, 0)
    keys = [store.key(cell.experiment) for cell in SWEEP.cells]
    assert all(store.seeds(key, checks=True) == {1, 2} for key in keys)
