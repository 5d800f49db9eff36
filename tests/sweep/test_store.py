"""Tests for tiny_gpt/sweep/store.py: whole files, one holder of each run."""

import json
import math
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmarks.tiny_runs import TINY
from tiny_gpt.runtime.files import DamagedFileError, seal, unseal
from tiny_gpt.sweep.cell import FORMAT, unlabelled
from tiny_gpt.sweep.leftovers import damaged, partial
from tiny_gpt.sweep.store import Store
from tiny_gpt.training.run_files import Record

ROOT = Path(__file__).parents[2]
LOGS = [{"loss": 2.0, "x": math.nan}, {"loss": math.inf, "x": 0.25}]
EXACT = [["A->C", "unseen_sentences", "1_demonstrations", "accuracy", 0.5]]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def write_record(store, key, seed=3):
    """Leaves what a finished run does, and what it may leave beside."""
    record = store.record(key, seed)
    record.parent.mkdir(parents=True, exist_ok=True)
    saved = {
        "config": {},
        "wall_s": 1.5,
        "logs": [{"loss": 2.0, "x": None}, {"loss": "inf", "x": 0.25}],
        "exact": EXACT,
        "weights_hash": "0",
    }
    Path(f"{record}.json").write_text(seal(saved))
    for end in ("weights.h5", "jsonl", "previous.checkpoint"):
        Path(f"{record}.{end}").write_text("")
    (record.parent / f"saving_{record.name}.checkpoint").write_text("")


def finish(store, seed=3):
    key = store.key(TINY)
    write_record(store, key, seed)
    assert store.keep(key, TINY, seed)
    return key


def test_a_finished_run_becomes_one_file_and_its_record_goes(store):
    key = finish(store)
    run = store.load(key, 3)
    assert run.wall_s == 1.5
    assert run.logs[0]["loss"] == 2.0
    assert math.isnan(run.logs[0]["x"])
    assert run.logs[1] == LOGS[1]
    assert run.exact == [tuple(EXACT[0])]
    assert store.seeds(key) == {3}
    assert list(partial(store)) == []
    assert list((store.folder / "running").iterdir()) == []
    names = [path.name for path in store.path(key, 3).parent.iterdir()]
    assert names == ["seed_3.json"]
    cell = unseal(store.path(key, 3))
    assert cell["experiment"]["train"]["batch_size"] == 6
    assert "name" not in cell["experiment"]
    assert cell["backend"] == cell["made"]["backend"]
    assert cell["made"]["versions"]["keras"]


def test_the_record_of_another_seed_stays(store):
    key = store.key(TINY)
    write_record(store, key, 13)
    finish(store, 3)
    assert list(partial(store)) == [(key, 13)]
    assert len(list(store.record(key, 13).parent.iterdir())) == 5


def test_a_record_that_is_damaged_or_not_finished_is_left(store):
    key = store.key(TINY)
    write_record(store, key)
    path = Path(f"{store.record(key, 3)}.json")
    path.write_bytes(path.read_bytes()[:-9])
    assert not store.keep(key, TINY, 3)
    assert path.exists()
    path.unlink()
    assert not store.keep(key, TINY, 3)
    assert store.load(key, 3) is None


@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("how", ["flip", "cut", "empty", "other", "copied"])
def test_a_damaged_file_is_set_aside_and_its_run_is_missing(store, how, checks):
    key = finish(store)
    path = store.path(key, 3)
    data = bytearray(path.read_bytes())
    if how == "flip":
        data[len(data) // 2] ^= 1
    elif how == "cut":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = b""
    elif how == "other":  # right sum, but no run
        data = seal({"key": key, "seed": 3}).encode()
    path.write_bytes(data)
    if how == "copied":  # the file of another seed
        finish(store, 4)
        path.write_bytes(store.path(key, 4).read_bytes())
        store.path(key, 4).unlink()
    match = r"set aside as seed_3\.json\.dam"
    with pytest.warns(UserWarning, match=match):
        found = store.seeds(key, checks=True) if checks else store.load(key, 3)
    assert not found
    assert store.seeds(key) == set()
    assert [path.name for path in damaged(store)] == ["seed_3.json.damaged"]
    finish(store)
    assert store.seeds(key, checks=True) == {3}


def test_a_run_of_elsewhere_is_received_if_it_is_whole(store, tmp_path):
    key, other = finish(store), Store(tmp_path / "other")
    data = store.path(key, 3).read_bytes()
    for bad, seed in ((data[:-5], 3), (data, 4), (b"", 3)):
        with pytest.raises(DamagedFileError):
            other.receive(key, seed, bad)
    with pytest.raises(DamagedFileError):  # of a backend or version not ours
        other.receive("0" * 64, 3, data)
    assert other.seeds(key) == set()
    assert list(other.folder.rglob("saving_*")) == []
    other.receive(key, 3, data)
    assert other.path(key, 3).read_bytes() == data


def test_a_damaged_file_that_is_being_made_again_is_left(store):
    key = finish(store)
    store.path(key, 3).write_text("")
    lease = store.lease(key, 3)
    assert store.load(key, 3) is None
    assert damaged(store) == []
    lease.release()


def test_a_lease_has_one_holder(store):
    one = store.lease("a", 1)
    assert store.lease("a", 1) is None
    assert Store(store.folder).lease("a", 1) is None
    assert store.is_leased("a", 1)
    other = store.lease("a", 2)
    assert other is not None
    assert not store.is_leased("b", 1)
    one.release()
    assert not store.is_leased("a", 1)
    again = store.lease("a", 1)
    assert again is not None
    again.release()
    other.release()


@pytest.mark.slow
def test_a_killed_process_holds_no_lease(store):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tiny_gpt.sweep.store import Store\n"
        "lease = Store(Path(sys.argv[1])).lease('a', 1)\n"
        "print(lease is not None, flush=True)\n"
        "time.sleep(100)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(store.folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout.readline() == "True\n"
    assert store.lease("a", 1) is None
    process.kill()
    process.wait()
    assert not store.is_leased("a", 1)


def test_writers_of_one_file_do_not_mix(store):
    # 8 writers, 20 times each; whoever is last, the file is whole.
    key, texts = "k", [seal({"of": "x" * 40_000, "n": n}) for n in range(8)]
    found, errors = set(), []

    def write(text):
        try:
            for _ in range(20):
                store.put(key, 1, text)
                found.add(unseal(store.path(key, 1))["n"])
        except (OSError, ValueError) as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(t,)) for t in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(found) > 1
    assert [p.name for p in store.path(key, 1).parent.iterdir()] == [
        "seed_1.json"
    ]


def test_a_store_of_another_format_is_refused(store):
    mark = store.folder / "store.json"
    assert json.loads(mark.read_text()) == {"format": FORMAT}
    mark.write_text(json.dumps({"format": 0}))
    with pytest.raises(ValueError, match=f"of format 0, now {FORMAT}"):
        Store(store.folder)
    for other in ("{", "[]", "7", "{}"):
        mark.write_text(other)
        with pytest.raises(ValueError, match="of format unreadable"):
            Store(store.folder)


def test_a_store_of_another_format_is_left_as_it_is(tmp_path):
    (tmp_path / "store.json").write_text(json.dumps({"format": 9}))
    with pytest.raises(ValueError, match="of format 9"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["store.json"]


def test_what_was_killed_while_it_made_a_store_is_removed(tmp_path):
    (tmp_path / "saving_host_1_2_store.json").write_text("{")
    Store(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["cells", "leases", "measured", "running", "store.json"]


def test_a_folder_of_something_else_is_refused_and_left(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"other files: thesis\.txt"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(ValueError, match="writable"):
        Store(tmp_path / "thesis.txt" / "store")
    with pytest.raises(ValueError, match="precision='half'"):
        Store(tmp_path / "new", "half")


def test_a_record_under_the_labels_of_the_store_is_that_of_any_sweep(store):
    key = store.key(TINY)
    one = unlabelled(TINY, key)
    assert (one.name, one.condition) == ("cell", key[:16])
    assert Record(one, 1, store.record(key, 1)).logs == []


@pytest.mark.parametrize("key", ["", "..", "../a", "/a", "a/b", "a\\b", "a\0"])
def test_no_key_leaves_the_folder(store, key):
    for use in (store.path, store.record, store.lease, store.weights):
        with pytest.raises(ValueError, match="key="):
            use(key, 1)


def test_a_store_of_before_is_read(store):
    """Runs did not know their commit, and nothing was measured."""
    key = finish(store, 3)
    path = store.path(key, 3)
    cell = unseal(path)
    del cell["made"]["commit"]
    path.write_text(seal(cell))
    (store.folder / "measured").rmdir()
    again = Store(store.folder)
    run = again.load(key, 3)
    assert run is not None
    assert "commit" not in run.made_on
    # Without its mark it is still a store, if it holds nothing else.
    (store.folder / "store.json").unlink()
    assert Store(store.folder).seeds(key, checks=True) == {3}
