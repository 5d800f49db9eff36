"""Tests for tiny_gpt/sweep/remote_store.py: machines without a common disk."""

import sys
import uuid
import warnings

import fsspec
import pytest

from tests.helpers.scripted_training import Training, contents
from tests.helpers.tiny_sweeps import tiny_sweep
from tiny_gpt.sweep import tasks
from tiny_gpt.sweep.remote_store import WEIGHTS
from tiny_gpt.sweep.run import plan_tasks, run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.threads import in_process

SWEEP = tiny_sweep()


@pytest.fixture(params=["file", "memory"])
def url(request, tmp_path):
    if request.param == "file":
        return f"file://{tmp_path}/there"
    return f"memory://{uuid.uuid4()}"


@pytest.fixture
def training(monkeypatch):
    scripted = Training()
    monkeypatch.setattr(tasks, "_train", scripted)
    return scripted


def drive(store, sweep=SWEEP):
    return run_sweep(sweep, store, lambda s, w: in_process(s, w, 1))


def first_run(store):
    return store.key(SWEEP.cells[0].experiment), 1


def test_a_machine_finds_what_another_has_made(url, tmp_path, training):
    one = Store(tmp_path / "one", shared=url)
    assert drive(one).finished == 4
    two = Store(tmp_path / "two", shared=url)
    assert drive(two).finished == 0
    assert len(training.made) == 4
    assert contents(two) == contents(one)
    key, seed = first_run(one)
    assert one.shared.seeds(key) == {1, 2}
    data = one.path(key, seed).read_bytes()
    assert one.shared.fetch(key, seed) == data
    assert two.path(key, seed).read_bytes() == data


def test_weights_follow_the_runs_of_a_store_that_keeps_them(
    url, tmp_path, training, monkeypatch
):
    def kept(name):
        return Store(tmp_path / name, shared=url, keeps_weights=True)

    one = kept("one")
    training.weights = b"trained"
    drive(one)
    two = kept("two")
    assert drive(two).finished == 0
    assert two.weights(*first_run(two)).read_bytes() == b"trained"
    # Another store takes the runs alone; a run without weights is made again.
    drive(Store(tmp_path / "three", shared=url))
    key, seed = first_run(one)
    system, _ = fsspec.core.url_to_fs(url)
    system.rm(one.shared.path(key, seed, WEIGHTS))
    assert drive(kept("four")).finished == 1
    assert drive(kept("five")).finished == 0


def test_what_was_made_before_there_was_a_shared_place_is_sent(
    url, tmp_path, training
):
    alone = Store(tmp_path / "one")
    drive(alone)
    drive(Store(tmp_path / "one", shared=url))
    assert drive(Store(tmp_path / "two", shared=url)).finished == 0


def test_a_run_that_another_machine_finishes_meanwhile_is_not_made(
    url, tmp_path, training
):
    one = Store(tmp_path / "one", shared=url)
    two = Store(tmp_path / "two", shared=url)
    tasks = plan_tasks(SWEEP, one)
    drive(two)
    del training.made[:]
    results = list(in_process(one, tasks, 1))
    assert training.made == []
    assert all(done.finished == () for done in results)  # counted there
    assert contents(one) == contents(two)


def test_a_damaged_file_there_is_made_again_and_replaced(
    url, tmp_path, training
):
    one = Store(tmp_path / "one", shared=url)
    drive(one)
    key, seed = first_run(one)
    path = one.shared.path(key, seed)
    whole = one.shared.fetch(key, seed)
    system, _ = fsspec.core.url_to_fs(url)
    system.pipe_file(path, whole[: len(whole) // 2])
    two = Store(tmp_path / "two", shared=url)
    with pytest.warns(UserWarning, match="seed 1: is damaged"):
        outcome = drive(two)
    assert outcome.finished == 1
    assert contents(two) == contents(one)
    assert one.shared.fetch(key, seed) == two.path(key, seed).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drive(Store(tmp_path / "three", shared=url)).finished == 0


def test_a_place_that_fails_loses_nothing(tmp_path, training, monkeypatch):
    url = f"file://{tmp_path}/there"
    one = Store(tmp_path / "one", shared=url)

    def fail(*_):
        raise RuntimeError("no network")

    monkeypatch.setattr(one.shared._system, "pipe_file", fail)
    with pytest.warns(UserWarning, match=r"cannot be written \(no network\)"):
        assert drive(one).finished == 4
    monkeypatch.undo()
    monkeypatch.setattr(tasks, "_train", training)
    drive(Store(tmp_path / "one", shared=url))
    assert drive(Store(tmp_path / "two", shared=url)).finished == 0


def test_what_cannot_be_a_shared_place_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="shared='nowhere://x'"):
        Store(tmp_path / "store", shared="nowhere://x")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="can reach and write"):
        Store(tmp_path / "store", shared=f"file://{tmp_path}/file")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ValueError, match=r"pip install 'tiny_gpt\[remote\]'"):
        Store(tmp_path / "store", shared=f"file://{tmp_path}/there")
