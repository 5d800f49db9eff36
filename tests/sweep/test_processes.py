"""Tests for tiny_gpt/sweep/processes.py: processes, and what kills them."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.helpers.executors import in_pool
from tests.helpers.killed_workers import (
    Fatal,
    Telling,
    children_of,
    command_of,
    is_alive,
    wait_until,
)
from tests.helpers.scripted_training import contents
from tests.helpers.tiny_sweeps import tiny_sweep
from tiny_gpt.runtime.environment import count_cores
from tiny_gpt.runtime.processes import MOST_BREAKS
from tiny_gpt.sweep.leftovers import partial
from tiny_gpt.sweep.processes import Pool
from tiny_gpt.sweep.run import plan_tasks, run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.tasks import SweepTask
from tiny_gpt.sweep.threads import in_process

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="needs /proc"
)
ROOT = Path(__file__).parents[2]
# Two runs, long enough to be killed.
SWEEP = tiny_sweep(
    {"sparse_pairs": [4, 10]},
    seeds=(1,),
    fixed={"evaluation.num_loss_windows": 0, "epochs": 40},
)
DRIVER = """
import sys
from pathlib import Path
from tests.sweep.test_processes import SWEEP
from tiny_gpt.sweep.processes import Pool
from tiny_gpt.sweep.run import run_sweep
from tiny_gpt.sweep.store import Store

if __name__ == "__main__":
    with Pool() as pool:
        run_sweep(SWEEP, Store(Path(sys.argv[1])), pool)
"""


@pytest.fixture(autouse=True)
def programs(monkeypatch, tmp_path_factory):
    """Lets processes compile once for all."""
    folder = tmp_path_factory.getbasetemp() / "programs"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("undisturbed") / "store")
    assert run_sweep(SWEEP, store, in_process).finished == 2
    return contents(store)


def is_training(store):
    """Tells whether a run of the sweep is under way."""
    return any(
        store.is_leased(store.key(cell.experiment), 1) for cell in SWEEP.cells
    ) and any((store.folder / "running").glob("*_seed_1.*"))


def workers_of(pid):
    """Returns the workers of a driver, without what tracks their resources."""
    return [p for p in children_of(pid) if "spawn_main" in command_of(p)]


@pytest.mark.slow
def test_processes_make_what_threads_make_and_survive_a_kill(
    undisturbed, tmp_path
):
    store = Store(tmp_path / "store")
    killed = []

    def kill():
        wait_until(lambda: is_training(store))
        killed.append(max(workers_of(os.getpid())))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = run_sweep(SWEEP, store, in_pool)
    killer.join()
    assert killed
    assert (outcome.failed, outcome.left) == ({}, 0)
    assert contents(store) == undisturbed
    assert list(partial(store)) == []


@pytest.mark.slow
def test_workers_end_with_a_driver_that_is_killed(undisturbed, tmp_path):
    store = Store(tmp_path / "store")
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(store.folder)], cwd=ROOT
    )
    wait_until(lambda: is_training(store) or driver.poll() is not None)
    assert driver.returncode is None
    workers = children_of(driver.pid)
    assert workers
    driver.kill()
    driver.wait()
    wait_until(lambda: not any(map(is_alive, workers)))
    assert not is_training(store)
    assert run_sweep(SWEEP, store, in_process).left == 0
    assert contents(store) == undisturbed


@pytest.mark.slow
def test_workers_that_die_again_and_again_end_the_sweep(tmp_path):
    store = Store(tmp_path / "store")
    tasks = [SweepTask("0" * 64, Fatal(), (1,))]
    with pytest.raises(RuntimeError, match=f"killed {MOST_BREAKS} times"):
        list(in_pool(store, tasks, 1))
    with pytest.raises(ValueError, match="num_processes=0"):
        list(in_pool(store, tasks, 0))


@pytest.mark.slow
def test_processes_stay_until_they_are_closed(tmp_path):
    store = Store(tmp_path / "store")
    sweep = tiny_sweep({"sparse_pairs": [4]}, fixed={"epochs": 1})
    with Pool(1) as pool:
        (first,) = pool(store, plan_tasks(sweep, store)[:1])
        (worker,) = workers_of(os.getpid())
        # Another store, of another precision, and the first one again.
        other = Store(tmp_path / "other", "mixed_bfloat16")
        (second,) = pool(other, plan_tasks(sweep, other)[:1])
        again = Store(tmp_path / "again")
        (third,) = pool(again, plan_tasks(sweep, again)[:1])
        assert workers_of(os.getpid()) == [worker]
    assert first.finished == second.finished == third.finished == (1,)
    assert contents(store) == contents(again)
    ((key, _),) = contents(other)
    ((_, rounded),) = contents(other).items()
    assert (key, 1) not in contents(store)
    assert rounded["weights_hash"] not in str(contents(store))
    wait_until(lambda: not is_alive(worker))


@pytest.mark.slow
def test_devices_that_are_not_there_are_named(tmp_path):
    store = Store(tmp_path / "store")
    asked = {"devices": "tpu", "num_devices": 99, "tpu": None}
    with pytest.raises(ValueError, match="tpu"):
        list(in_pool(store, plan_tasks(SWEEP, store), 1, asked))


@pytest.mark.slow
@pytest.mark.parametrize("given", [None, "1"])
def test_workers_have_the_threads_of_their_driver(tmp_path, monkeypatch, given):
    # One core each: with as many threads, large products had other bits.
    monkeypatch.setenv("NPROC", given or "")
    store, told = Store(tmp_path / "store"), tmp_path / "told"
    tasks = [SweepTask("0" * 64, Telling(told), (1,))]
    list(in_pool(store, tasks, 2))
    assert told.read_text() == (given or str(count_cores()))
