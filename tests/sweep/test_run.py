"""Tests for tiny_gpt/sweep/run.py and tasks.py: what is run, and where."""

import threading
from collections import OrderedDict
from pathlib import Path

import pytest

from tests.helpers.scripted_training import Training, contents, write_record
from tests.helpers.tiny_sweeps import tiny_sweep
from tiny_gpt.sweep import run, tasks
from tiny_gpt.sweep.leftovers import partial
from tiny_gpt.sweep.run import plan_tasks, run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.threads import in_process

SWEEP = tiny_sweep()  # two cells, two seeds
PAIRS = "sparse_pairs"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def training(monkeypatch):
    return script(monkeypatch)


def script(monkeypatch, **options):
    scripted = Training(**options)
    monkeypatch.setattr(tasks, "_train", scripted)
    monkeypatch.setattr(run, "POLL_S", 0.01)
    return scripted


def one_thread(store, tasks):
    return in_process(store, tasks, num_workers=1)


def test_one_seed_of_every_cell_comes_before_the_next(store):
    tasks = plan_tasks(SWEEP, store)
    keys = [store.key(cell.experiment) for cell in SWEEP.cells]
    assert [(w.key, w.seeds) for w in tasks] == [
        (key, (seed,)) for seed in (1, 2) for key in keys
    ]
    seed_batches = plan_tasks(
        tiny_sweep(seeds=range(5)), store, seeds_per_batch=2
    )
    assert [w.seeds for w in seed_batches[::2]] == [(0, 1), (2, 3), (4,)]
    whole = plan_tasks(tiny_sweep(seeds=range(5)), store, seeds_per_batch=None)
    assert [w.seeds for w in whole] == [(0, 1, 2, 3, 4)] * 2


def test_finished_runs_are_not_run_again(store, training):
    first = run_sweep(SWEEP, store, one_thread)
    assert (first.finished, first.failed, first.left) == (4, {}, 0)
    assert len(set(training.made)) == len(training.made) == 4
    again = run_sweep(SWEEP, store, one_thread)
    assert (again.finished, again.left) == (0, 0)
    assert len(training.made) == 4


def test_new_seeds_and_values_run_what_is_new(store, training):
    run_sweep(SWEEP, store, one_thread)
    more = tiny_sweep({PAIRS: [4, 7, 10]}, seeds=(1, 2, 3))
    del training.made[:]
    assert run_sweep(more, store, one_thread).finished == 9 - 4
    new = store.key(more.cells[1].experiment)[:16]
    assert sorted(training.made) == sorted(
        [(new, seed) for seed in (1, 2, 3)]
        + [(store.key(c.experiment)[:16], 3) for c in SWEEP.cells]
    )


def test_cells_that_are_the_same_experiment_are_run_once(store, training):
    # 1 epoch has 2 updates: so have 2 updates, by another axis.
    fixed = {"evaluation.num_loss_windows": 0}
    by_epochs = tiny_sweep({"epochs": [1, 2]}, fixed=fixed)
    by_updates = tiny_sweep({"updates": [2, 4, 6]}, fixed=fixed)
    assert run_sweep(by_epochs, store, one_thread).finished == 4
    assert run_sweep(by_updates, store, one_thread).finished == 2


def test_shards_share_all_runs_among_them(store):
    sweep = tiny_sweep({PAIRS: range(20)}, seeds=range(5))
    shards = [
        {
            (w.key, seed)
            for w in plan_tasks(sweep, store, shard=(i, 3))
            for seed in w.seeds
        }
        for i in range(3)
    ]
    assert sum(map(len, shards)) == len(set.union(*shards)) == 100
    # 33.3 expected, with a standard deviation of 4.7.
    assert all(15 <= len(shard) <= 52 for shard in shards)
    # A run stays in its shard when others join the sweep.
    few = plan_tasks(tiny_sweep({PAIRS: [3]}, (4,)), store, shard=(0, 3))
    of_all = (store.key(sweep.cells[3].experiment), 4) in shards[0]
    assert bool(few) == of_all


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0)])
def test_a_shard_that_is_none_is_refused(store, shard):
    with pytest.raises(ValueError, match=f"Received: {shard[0]}/{shard[1]}"):
        plan_tasks(SWEEP, store, shard=shard)


def test_numbers_out_of_range_are_refused(store):
    with pytest.raises(ValueError, match="seeds_per_batch=0"):
        plan_tasks(SWEEP, store, seeds_per_batch=0)
    with pytest.raises(ValueError, match="num_workers=0"):
        list(in_process(store, [], num_workers=0))


def test_a_run_that_fails_does_not_stop_the_others(store, monkeypatch):
    bad = store.key(SWEEP.cells[0].experiment)
    training = script(
        monkeypatch,
        fails=lambda job: job.seed == 1 and bad[:16] in str(job.record),
    )
    outcome = run_sweep(SWEEP, store, one_thread)
    assert outcome.finished == 3
    assert outcome.failed == {(bad, 1): "ArithmeticError: it diverged"}
    assert outcome.left == 0
    assert len(training.made) == 4  # not again in this sweep
    assert not store.is_leased(bad, 1)
    script(monkeypatch)
    assert run_sweep(SWEEP, store, one_thread).finished == 1  # but in the next


def test_of_a_pack_that_fails_each_run_is_tried_alone(store, monkeypatch):
    script(monkeypatch, fails=lambda job: job.seed == 1)
    outcome = run_sweep(tiny_sweep({PAIRS: [4]}, (0, 1, 2)), store, one_thread)
    assert outcome.finished == 3 - 1
    assert [seed for _, seed in outcome.failed] == [1]
    outcome = run_sweep(
        tiny_sweep({PAIRS: [5]}, (0, 1, 2)),
        store,
        one_thread,
        seeds_per_batch=None,
    )
    assert outcome.finished == 3 - 1
    assert [seed for _, seed in outcome.failed] == [1]


def test_a_damaged_file_is_run_again(store, training):
    run_sweep(SWEEP, store, one_thread)
    whole = contents(store)
    key = store.key(SWEEP.cells[1].experiment)
    store.path(key, 2).write_text("{}")
    with pytest.warns(UserWarning, match="set aside"):
        outcome = run_sweep(SWEEP, store, one_thread)
    assert outcome.finished == 1
    assert contents(store) == whole


def test_drivers_of_one_store_share_the_runs(store, training):
    sweep = tiny_sweep({PAIRS: range(2, 12)}, seeds=range(5))
    outcomes = []

    def drive():
        mine = Store(store.folder)
        outcomes.append(
            run_sweep(sweep, mine, lambda s, w: in_process(s, w, 2))
        )

    threads = [threading.Thread(target=drive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(training.made) == len(set(training.made)) == 50
    assert sum(outcome.finished for outcome in outcomes) == 50
    assert all(outcome.left == 0 for outcome in outcomes)


def test_a_run_that_another_gives_up_is_taken_over(store, training):
    key = store.key(SWEEP.cells[0].experiment)
    lease = store.lease(key, 1)
    calls = []

    def executor(store, tasks):
        calls.append(tasks)
        return one_thread(store, tasks)

    outcome = run_sweep(SWEEP, store, executor, waits=False)
    assert (outcome.finished, outcome.left) == (3, 1)
    timer = threading.Timer(0.3, lease.release)
    timer.start()
    outcome = run_sweep(SWEEP, store, executor)
    assert (outcome.finished, outcome.left) == (1, 0)
    assert len(calls) == 2  # nothing is started while it only waits


def test_a_record_that_was_finished_by_a_killed_process_is_kept(
    store, training
):
    key = store.key(SWEEP.cells[0].experiment)
    write_record(store.record(key, 1))
    assert run_sweep(SWEEP, store, one_thread).finished == 4
    assert len(training.made) == 3


def test_what_a_process_killed_at_the_end_of_a_run_left_is_removed(
    store, training
):
    run_sweep(SWEEP, store, one_thread)
    key = store.key(SWEEP.cells[0].experiment)
    record = store.record(key, 1)
    write_record(record)
    Path(f"{record}.checkpoint").write_text("")
    assert list(partial(store)) == []
    run_sweep(SWEEP, store, one_thread)
    assert list((store.folder / "running").iterdir()) == []


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns a store that was filled in this process, undisturbed."""
    store = Store(tmp_path_factory.mktemp("trained") / "store")
    assert run_sweep(SWEEP, store, in_process).finished == 4
    return store


@pytest.mark.slow
def test_cells_of_a_shape_share_their_programs(trained, store, monkeypatch):
    kept = OrderedDict()
    monkeypatch.setattr("tiny_gpt.training.compiled_runs._kept", kept)
    run_sweep(SWEEP, store, one_thread)
    (of_shape,) = kept.values()
    # 40 and 34 pairs: 2 updates an epoch, which are rounded up to 8.
    assert len(of_shape.epoch(1).program._programs) == 1
    assert contents(store) == contents(trained)  # one thread, or two


@pytest.mark.slow
@pytest.mark.backend
def test_a_run_that_was_stopped_goes_on_from_what_it_saved(
    trained, store, monkeypatch
):
    monkeypatch.setattr(tasks, "SAVE_EVERY_S", 0.0)
    first = plan_tasks(SWEEP, store)[0]
    with pytest.raises(tasks.Stopped):
        tasks.run_task(store, first, is_stopped=lambda: True)
    assert list(partial(store)) == [(first.key, 1)]
    assert not store.is_leased(first.key, 1)
    epochs = []
    done = tasks.run_task(
        store, first, is_stopped=lambda: bool(epochs.append(0))
    )
    assert done.finished == (1,)
    assert len(epochs) == 2 - 1
    run = first.key, 1
    assert contents(store)[run] == contents(trained)[run]
    assert list(partial(store)) == []


@pytest.mark.slow
def test_threads_end_when_nobody_asks_for_more(store):
    tasks = plan_tasks(SWEEP, store)
    before = set(threading.enumerate())
    results = in_process(store, tasks, num_workers=2)
    next(results)
    results.close()
    assert not any(store.is_leased(w.key, w.seeds[0]) for w in tasks)
    assert set(threading.enumerate()) <= before
