"""Tests for tiny_gpt/sweep/ray.py, on a real cluster of this machine."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from tests.helpers.executors import on_ray
from tests.helpers.killed_workers import wait_until
from tests.helpers.ray_cluster import cluster, nodes, tasks
from tests.helpers.scripted_ray import ScriptedRay
from tests.helpers.scripted_training import Training, contents
from tests.helpers.tiny_sweeps import tiny_sweep
from tiny_gpt.runtime.files import write_checkpoint
from tiny_gpt.sweep.leftovers import partial
from tiny_gpt.sweep.ray import Cluster
from tiny_gpt.sweep.run import plan_tasks, run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.tasks import Stopped, run_task
from tiny_gpt.sweep.threads import in_process

__all__ = ["cluster", "nodes"]  # fixtures
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


def check_disturbed(kill, store, sees_store, undisturbed):
    """Checks that a sweep in which something is killed is as one without."""
    killer = threading.Thread(target=kill)
    killer.start()
    outcome = run_sweep(
        SWEEP, store, lambda s, w: on_ray(s, w, sees_store=sees_store)
    )
    killer.join()
    assert (outcome.finished, outcome.failed, outcome.left) == (2, {}, 0)
    assert contents(store) == undisturbed
    assert list(partial(store)) == []


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

    check_disturbed(kill, store, sees_store, undisturbed)
    assert killed


@pytest.mark.ray
@pytest.mark.parametrize("sees_store", [True, False])
def test_a_killed_node_changes_nothing(
    nodes, undisturbed, tmp_path, sees_store
):
    store, (cluster, (lost, _)) = Store(tmp_path / "store"), nodes
    removed = []

    def kill():
        wait_until(lambda: len(tasks()) == 2)  # one on each node
        removed.append(cluster.remove_node(lost, allow_graceful=False))

    check_disturbed(kill, store, sees_store, undisturbed)
    assert removed


@pytest.mark.ray
def test_a_task_goes_on_from_what_the_driver_has(
    cluster, undisturbed, tmp_path, monkeypatch
):
    store = Store(tmp_path / "store")
    monkeypatch.setattr("tiny_gpt.sweep.tasks.SAVE_EVERY_S", 0.0)
    tasks = plan_tasks(SWEEP, store)
    seen = []

    def is_late():
        seen.append(0)
        return len(seen) == 30

    with pytest.raises(Stopped):
        run_task(store, tasks[0], is_stopped=is_late)
    assert list(partial(store)) == [(tasks[0].key, 1)]
    (done,) = on_ray(store, tasks[:1], sees_store=False)
    assert done.finished == (1,)
    assert contents(store)[tasks[0].key, 1] == undisturbed[tasks[0].key, 1]
    assert list(partial(store)) == []


@pytest.mark.ray
@pytest.mark.parametrize("sees_store", [True, False])
def test_a_driver_that_stops_gives_its_leases_back(
    cluster, tmp_path, sees_store
):
    store = Store(tmp_path / "store")
    tasks = plan_tasks(tiny_sweep(seeds=range(9)), store)
    results = on_ray(store, tasks, sees_store=sees_store)
    assert next(results).error is None
    results.close()
    wait_until(
        lambda: (
            not any(store.is_leased(w.key, s) for w in tasks for s in w.seeds)
        )
    )


@pytest.mark.ray
@pytest.mark.parametrize("sees_store", [True, False])
def test_what_a_run_raises_comes_back(cluster, tmp_path, sees_store):
    store = Store(tmp_path / "store")
    tasks = plan_tasks(SWEEP, store)[:1]
    record = store.record(tasks[0].key, 1)
    of_another = {"config": {}, "wall_s": 0, "logs": [], "exact": None}
    write_checkpoint(
        Path(f"{record}.checkpoint"),
        [],
        {**of_another, "weights_hash": None},
    )
    (done,) = on_ray(store, tasks, sees_store=sees_store)
    assert done.finished == ()
    assert done.error.startswith("ValueError: A record can only be continued")
    assert not store.is_leased(tasks[0].key, 1)


def script(monkeypatch, tmp_path, **options):
    """Puts a cluster in this process, and training that takes no time."""
    scripted = ScriptedRay(**options)
    monkeypatch.setitem(sys.modules, "ray", scripted)
    monkeypatch.setattr("tiny_gpt.sweep.tasks._train", Training())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("KERAS_BACKEND", "NPROC"):  # set by tasks
        monkeypatch.setenv(name, os.environ.get(name, ""))
    return scripted


@pytest.mark.parametrize("sees_store", [True, False])
def test_tasks_make_what_this_process_makes(monkeypatch, tmp_path, sees_store):
    sweep = tiny_sweep(seeds=range(4))
    ray = script(monkeypatch, tmp_path)
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    outcome = run_sweep(
        sweep, one, lambda s, w: on_ray(s, w, sees_store=sees_store), 3
    )
    assert (outcome.finished, outcome.failed, outcome.left) == (8, {}, 0)
    run_sweep(sweep, two, lambda s, w: in_process(s, w, 1))
    assert contents(one) == contents(two)
    assert ray.options["max_retries"] > 0
    assert ray.cancelled == []
    # Nothing stays in the folder of a node.
    assert list(tmp_path.glob("tiny_gpt_sweep_*/cells/*/*")) == []


@pytest.mark.parametrize("sees_store", [True, False])
def test_weights_are_kept_where_they_are_wanted(
    monkeypatch, tmp_path, sees_store
):
    script(monkeypatch, tmp_path)
    training = Training()
    training.weights = b"trained"
    monkeypatch.setattr("tiny_gpt.sweep.tasks._train", training)
    store = Store(tmp_path / "store", keeps_weights=True)
    outcome = run_sweep(
        SWEEP, store, lambda s, w: on_ray(s, w, sees_store=sees_store)
    )
    assert (outcome.failed, outcome.left) == ({}, 0)
    kept = sorted((tmp_path / "store").glob("cells/*/*.weights.h5"))
    assert [path.read_bytes() for path in kept] == [b"trained"] * 2
    assert list(tmp_path.glob("tiny_gpt_sweep_*/cells/*/*")) == []


def test_weights_of_epochs_stay_where_they_are_made(monkeypatch, tmp_path):
    script(monkeypatch, tmp_path)
    store = Store(tmp_path / "store", keeps_epochs=True)
    with pytest.raises(ValueError, match="keeps_epochs=True"):
        next(on_ray(store, plan_tasks(SWEEP, store), sees_store=False))


def test_a_cluster_stays_until_it_is_closed(monkeypatch, tmp_path):
    ray, started, ended = script(monkeypatch, tmp_path), [], []
    ray.is_initialized = lambda: len(started) > len(ended)
    ray.init = lambda *args, **options: started.append(args)
    ray.shutdown = lambda: ended.append(0)
    with Cluster() as cluster:
        for name in ("one", "two"):
            store = Store(tmp_path / name)
            assert run_sweep(tiny_sweep(), store, cluster).finished == 4
        assert (len(started), len(ended)) == (1, 0)
    assert (len(started), len(ended)) == (1, 1)


@pytest.mark.parametrize("sees_store", [True, False])
def test_a_worker_that_dies_too_often_stops_no_other(
    monkeypatch, tmp_path, sees_store
):
    script(monkeypatch, tmp_path, loses=lambda number: number == 1)
    store = Store(tmp_path / "store")
    outcome = run_sweep(
        tiny_sweep(), store, lambda s, w: on_ray(s, w, sees_store=sees_store)
    )
    assert outcome.finished == 3
    assert list(outcome.failed.values()) == ["LostWorkerError: the worker died"]
    assert not any(store.is_leased(*run) for run in outcome.failed)


def test_what_is_damaged_on_its_way_is_not_kept(monkeypatch, tmp_path):
    def cut(result):
        files, error = result
        return {
            seed: (data[:-9], w) for seed, (data, w) in files.items()
        }, error

    script(monkeypatch, tmp_path, changes=cut)
    store = Store(tmp_path / "store")
    (done,) = on_ray(store, plan_tasks(SWEEP, store)[:1], sees_store=False)
    assert done.finished == ()
    assert done.error.startswith("DamagedFileError")
    assert contents(store) == {}


def test_tasks_of_a_driver_that_stops_are_cancelled(monkeypatch, tmp_path):
    ray = script(monkeypatch, tmp_path)
    store = Store(tmp_path / "store")
    tasks = plan_tasks(tiny_sweep(seeds=range(9)), store)
    results = on_ray(store, tasks, sees_store=False)
    assert next(results).finished == (0,)
    # Twice as many tasks as cores; no more leases than tasks.
    assert sum(store.is_leased(w.key, w.seeds[0]) for w in tasks) == 3
    results.close()
    assert len(ray.cancelled) >= 3
    assert not any(store.is_leased(w.key, w.seeds[0]) for w in tasks)


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match=r"pip install 'tiny_gpt\[ray\]'"):
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
