"""Tests for tiny_gpt/sweep/ray.py, on a real cluster of this machine."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from tests.killed_workers import children_of, command_of, wait_until
from tests.scripted_training import contents
from tests.tiny_sweeps import tiny_sweep
from tiny_gpt.files import write_checkpoint
from tiny_gpt.sweep.ray import on_ray
from tiny_gpt.sweep.run import plan_work, run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.work import Stopped, do, in_process

# Two runs, long enough to be killed.
SWEEP = tiny_sweep(
    {"sparse_pairs": [4, 10]},
    seeds=(1,),
    fixed={"evaluation.num_loss_windows": 0, "epochs": 40},
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("undisturbed") / "store")
    assert run_sweep(SWEEP, store, in_process).finished == 2
    return contents(store)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster whose workers compile once for all."""
    ray = pytest.importorskip("ray")
    scratch = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(scratch / "programs"))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("TMPDIR", str(scratch))  # of what tasks save
        start_cluster(ray)
        yield ray
        ray.shutdown()


def start_cluster(ray):
    """Starts it; a machine with other work to do may need several trials."""
    options = {"include_dashboard": False, "log_to_driver": False}
    for _ in range(9):
        try:
            ray.init("local", num_cpus=2, **options)
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            ray.shutdown()
        else:
            return
    pytest.fail("No cluster could be started in 9 times 30 seconds.")


def tasks():
    """Returns processes that do a work at this moment."""
    return [
        pid
        for pid in children_of(os.getpid())
        if command_of(pid).startswith("ray::_do")
    ]


@pytest.mark.ray
@pytest.mark.parametrize("sees_store", [True, False])
def test_a_killed_worker_changes_nothing(
    cluster, undisturbed, tmp_path, sees_store
):
    store = Store(tmp_path / "store")
    killed = []

    def kill():
        killed.append(wait_until(tasks)[0])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = run_sweep(
        SWEEP, store, lambda s, w: on_ray(s, w, sees_store=sees_store)
    )
    killer.join()
    assert killed
    assert (outcome.finished, outcome.failed, outcome.left) == (2, {}, 0)
    assert contents(store) == undisturbed
    assert list(store.partial()) == []


@pytest.mark.ray
def test_a_task_goes_on_from_what_the_driver_has(
    cluster, undisturbed, tmp_path, monkeypatch
):
    store = Store(tmp_path / "store")
    monkeypatch.setattr("tiny_gpt.sweep.work.SAVE_EVERY_S", 0.0)
    works = plan_work(SWEEP, store)
    seen = []

    def is_late():
        seen.append(0)
        return len(seen) == 30

    with pytest.raises(Stopped):
        do(store, works[0], is_stopped=is_late)
    assert list(store.partial()) == [(works[0].key, 1)]
    (done,) = on_ray(store, works[:1], sees_store=False)
    assert done.finished == (1,)
    assert contents(store)[works[0].key, 1] == undisturbed[works[0].key, 1]
    assert list(store.partial()) == []


@pytest.mark.ray
@pytest.mark.parametrize("sees_store", [True, False])
def test_a_driver_that_stops_gives_its_leases_back(
    cluster, tmp_path, sees_store
):
    store = Store(tmp_path / "store")
    works = plan_work(tiny_sweep(seeds=range(9)), store)
    results = on_ray(store, works, sees_store=sees_store)
    assert next(results).error is None
    results.close()
    wait_until(
        lambda: (
            not any(store.is_leased(w.key, s) for w in works for s in w.seeds)
        )
    )


@pytest.mark.ray
@pytest.mark.parametrize("sees_store", [True, False])
def test_what_a_run_raises_comes_back(cluster, tmp_path, sees_store):
    store = Store(tmp_path / "store")
    works = plan_work(SWEEP, store)[:1]
    record = store.record(works[0].key, 1)
    of_another = {"config": {}, "wall_s": 0, "logs": [], "exact": None}
    write_checkpoint(
        Path(f"{record}.checkpoint"),
        [],
        {**of_another, "weights_hash": None},
    )
    (done,) = on_ray(store, works, sees_store=sees_store)
    assert done.finished == ()
    assert done.error.startswith("ValueError: A record can only be continued")
    assert not store.is_leased(works[0].key, 1)


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match=r"pip install -e '\.\[ray\]'"):
        next(on_ray(store, []))


@pytest.mark.ray
@pytest.mark.parametrize(
    "address", ["ray://127.0.0.1:1", "127.0.0.1:1", "auto", "somewhere"]
)
def test_an_address_without_a_cluster_is_refused(tmp_path, address):
    ray = pytest.importorskip("ray")
    if ray.is_initialized():
        ray.shutdown()
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match=f"address='{address}'"):
        next(on_ray(store, [], address))


@pytest.mark.parametrize("options", [{"num_cpus": 0}, {"num_gpus": -1}])
def test_numbers_out_of_range_are_refused(tmp_path, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        next(on_ray(Store(tmp_path / "store"), [], **options))
