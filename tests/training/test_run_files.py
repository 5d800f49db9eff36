"""Tests for tiny_gpt/training/run_files.py, and how a run continues from it."""

import dataclasses
import json
import math
import os

import keras
import numpy as np
import pandas as pd
import pytest

from benchmarks.tiny_runs import TINY
from tests.helpers.shared_runs import tiny_folder, tiny_run
from tiny_gpt.callbacks import read_logs
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.runtime import files
from tiny_gpt.runtime.files import DamagedFileError, hash_arrays
from tiny_gpt.train import run
from tiny_gpt.training import run_setup
from tiny_gpt.training.finished import load_finished, read_model
from tiny_gpt.training.run_files import Record, set_state, state_of
from tiny_gpt.training.update import compile_gpt

pytestmark = pytest.mark.backend

CHECKPOINTS = ("seed_1.checkpoint", "seed_1.previous.checkpoint")
FINISHED = ["seed_1.json", "seed_1.weights.h5"]


def files_of(folder):
    """Names of the files of a record; beside them the log grows."""
    names = sorted(p.name for p in folder.iterdir() if "saving" not in p.name)
    return [name for name in names if not name.endswith(".jsonl")]


@pytest.fixture(scope="module")
def folder():
    return tiny_folder(1)


@pytest.fixture(scope="module")
def uninterrupted():
    return tiny_run(1)


def test_a_finished_record_holds_exact_rows_and_weights(uninterrupted, folder):
    assert files_of(folder) == FINISHED
    assert len(list(folder.iterdir())) == 3  # nothing half saved
    saved = json.loads((folder / "seed_1.json").read_text())["value"]
    assert len(saved["logs"]) == 4
    lines = read_logs(folder / "seed_1.jsonl")
    assert lines == [
        {"epoch": epoch, **log} for epoch, log in enumerate(saved["logs"], 1)
    ]
    exact = uninterrupted.metrics.tail(len(saved["exact"]))
    columns = ["mapping", "tier", "prompt", "metric", "value"]
    assert exact[columns].to_numpy().tolist() == saved["exact"]
    assert "A->B->C" in set(exact["mapping"])

    weights = uninterrupted.model.get_weights()
    assert saved["weights_hash"] == hash_arrays(weights)
    path = folder / "seed_1.weights.h5"
    loaded = read_model(TINY, path, saved["weights_hash"]).get_weights()
    for a, b in zip(loaded, weights, strict=True):
        np.testing.assert_array_equal(a, b)
    metrics, events, wall_s = load_finished(TINY, 1, folder / "seed_1")
    pd.testing.assert_frame_equal(metrics, uninterrupted.metrics)
    pd.testing.assert_frame_equal(events, uninterrupted.events)
    assert wall_s == pytest.approx(uninterrupted.wall_s, abs=1.0)


@pytest.mark.slow
def test_a_run_stopped_before_its_exact_evaluation_ends_the_same(
    uninterrupted, tmp_path, monkeypatch
):
    record = tmp_path / "seed_1"

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_setup, "evaluate_exactly", stop)
        with pytest.raises(KeyboardInterrupt):
            run(TINY, 1, record, save_every_s=0)
    assert load_finished(TINY, 1, record) is None
    assert files_of(tmp_path) == [
        "seed_1.checkpoint",
        "seed_1.previous.checkpoint",
    ]

    monkeypatch.setattr(keras.Model, "fit", stop)  # nothing is trained
    continued = run(TINY, 1, record)

    pd.testing.assert_frame_equal(continued.metrics, uninterrupted.metrics)
    assert files_of(tmp_path) == FINISHED


def test_a_stopped_run_ends_to_the_bit_as_one_never_stopped(
    uninterrupted, tmp_path, monkeypatch
):
    # Saved every epoch, and stopped while it writes the third: it goes on
    # from the second. The loss drops from epoch 1 to 2, across the break.
    assert uninterrupted.events["epoch"].to_list()[0] == 2
    record = tmp_path / "seed_1"
    write, num_saved = files.write_whole, 0

    def stop_at_the_third(*arguments):
        nonlocal num_saved
        num_saved += 1
        if num_saved == 3:
            raise KeyboardInterrupt
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_whole", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            run(TINY, 1, record, save_every_s=0)
    assert load_finished(TINY, 1, record) is None
    assert files_of(tmp_path) == ["seed_1.previous.checkpoint"]
    assert len(Record(TINY, 1, record).logs) == 2

    continued = run(TINY, 1, record, save_every_s=0)

    assert len(read_logs(tmp_path / "seed_1.jsonl")) == 4
    exactly = {"check_exact": True}
    pd.testing.assert_frame_equal(
        continued.metrics, uninterrupted.metrics, **exactly
    )
    pd.testing.assert_frame_equal(
        continued.events, uninterrupted.events, **exactly
    )
    hashes = [
        hash_arrays(run.model.get_weights())
        for run in (continued, uninterrupted)
    ]
    assert hashes[0] == hashes[1]
    metrics, events, _ = load_finished(TINY, 1, record)
    pd.testing.assert_frame_equal(metrics, continued.metrics)
    pd.testing.assert_frame_equal(events, continued.events)
    assert files_of(tmp_path) == FINISHED

    # The record belongs to this experiment and seed, and is finished.
    other = dataclasses.replace(TINY, condition="two")
    with pytest.raises(ValueError, match=r"condition: .*, now two"):
        run(other, 1, record)
    with pytest.raises(ValueError, match="experiment and seed that wrote it"):
        load_finished(TINY, 2, record)
    with pytest.raises(ValueError, match="finished run cannot be continued"):
        run(TINY, 1, record)


def untrained(experiment=TINY):
    model = experiment.model.build()
    compile_gpt(model, experiment.train)
    initialise_weights(model, np.random.default_rng(0))
    return model


def test_all_that_training_changes_is_saved(tmp_path):
    # Weights, optimizer, and the random state of dropout.
    config = dataclasses.replace(TINY.model, dropout=0.3)
    experiment = dataclasses.replace(TINY, model=config)
    model = untrained(experiment)
    names = [v.path for v in (*model.variables, *model.optimizer.variables)]
    assert sum("seed_generator_state" in name for name in names) == 2
    assert any("momentum" in name for name in names)
    record = Record(experiment, 1, tmp_path / "seed_1", save_every_s=0)
    record.add({"loss": 1.0}, lambda: state_of(model))
    saved = Record(experiment, 1, tmp_path / "seed_1").state
    other = config.build()
    compile_gpt(other, experiment.train)
    set_state(other, saved)
    assert len(saved) == len(names)
    for one, value in zip(state_of(other), state_of(model), strict=True):
        np.testing.assert_array_equal(one, value)


def test_a_record_is_saved_when_it_is_time(tmp_path):
    model = untrained()
    record = Record(TINY, 1, tmp_path / "seed_1", save_every_s=1e6)
    record.add({"loss": 1.0}, lambda: state_of(model))
    assert files_of(tmp_path) == []
    again = Record(TINY, 1, tmp_path / "seed_1", save_every_s=0)
    again.add({"loss": 1.0}, lambda: state_of(model))
    assert files_of(tmp_path) == ["seed_1.checkpoint"]


def damage(path, how):
    """Damages a file: cut in half, one bit flipped, empty, or another's."""
    whole = path.read_bytes()
    half = len(whole) // 2
    flipped = whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]
    others = {"cut": whole[:half], "flip": flipped, "empty": b""}
    path.write_bytes(others.get(how, b"something else"))


@pytest.mark.parametrize("how", ["cut", "flip", "empty", "other"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(how, tmp_path):
    record = Record(TINY, 1, tmp_path / "seed_1", save_every_s=0)
    for epoch in (1, 2):
        record.add({"loss": 1.0 / epoch}, lambda e=epoch: [np.arange(5) + e])
    last, previous = (tmp_path / name for name in CHECKPOINTS)
    assert Record(TINY, 1, tmp_path / "seed_1").state[0][0] == 2

    damage(last, how)
    with pytest.warns(UserWarning, match=r"seed_1\.checkpoint is damaged"):
        again = Record(TINY, 1, tmp_path / "seed_1")
    assert again.logs == [{"loss": 1.0}]
    assert again.state[0].tolist() == [1, 2, 3, 4, 5]
    aside = "seed_1.checkpoint.damaged"
    assert files_of(tmp_path) == [aside, CHECKPOINTS[1]]

    damage(previous, how)
    with pytest.warns(UserWarning, match=r"previous\.checkpoint is damaged"):
        anew = Record(TINY, 1, tmp_path / "seed_1")
    assert (anew.logs, anew.state) == ([], None)


@pytest.mark.parametrize("how", ["cut", "flip", "empty", "other"])
def test_a_damaged_finished_record_runs_again(how, tmp_path):
    record = Record(TINY, 1, tmp_path / "seed_1")
    record.add({"loss": 1.0}, list)
    record.finish(untrained(), [])
    damage(tmp_path / "seed_1.json", how)
    with pytest.warns(UserWarning, match=r"seed_1\.json is damaged"):
        assert load_finished(TINY, 1, tmp_path / "seed_1") is None
    assert "seed_1.json.damaged" in files_of(tmp_path)


@pytest.mark.parametrize("how", ["cut", "flip", "empty", "other"])
def test_weights_that_are_not_those_of_the_run_are_refused(how, tmp_path):
    record = Record(TINY, 1, tmp_path / "seed_1")
    record.finish(untrained(), [])
    weights = tmp_path / "seed_1.weights.h5"
    if how == "flip":  # a whole file, of another model of this shape
        other = untrained()
        other.set_weights([w + 1e-3 for w in other.get_weights()])
        other.save_weights(weights)
    else:
        damage(weights, how)
    with pytest.raises(DamagedFileError, match=r"seed_1\.weights\.h5"):
        read_model(TINY, weights, record.weights_hash)


def test_a_full_disk_leaves_the_last_good_state(tmp_path, monkeypatch):
    record = Record(TINY, 1, tmp_path / "seed_1", save_every_s=0)
    record.add({"loss": 1.0}, lambda: [np.ones(3)])

    def no_room(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        with pytest.raises(OSError, match="No space left"):
            record.add({"loss": 0.5}, lambda: [np.zeros(3)])
    again = Record(TINY, 1, tmp_path / "seed_1", save_every_s=0)
    assert again.logs == [{"loss": 1.0}]
    assert again.state[0].tolist() == [1, 1, 1]
    assert len(list(tmp_path.iterdir())) == 1  # nothing half saved
    # There is room again.
    again.add({"loss": 0.5}, lambda: [np.zeros(3)])
    assert Record(TINY, 1, tmp_path / "seed_1").logs[-1] == {"loss": 0.5}


def test_a_record_stopped_while_it_finishes_is_one_or_the_other(
    tmp_path, monkeypatch
):
    row = ("A->B", "all_sentences", "1_demonstrations", "rank", 0.1 + 0.2)
    path = tmp_path / "seed_1"
    record = Record(TINY, 1, path, save_every_s=0)
    model = untrained()
    # NaN as where nothing is asked.
    record.add({"loss": math.nan}, lambda: state_of(model))
    assert files_of(tmp_path) == ["seed_1.checkpoint"]

    # Weights are there, the rows not yet: not finished, and the state is kept.
    with monkeypatch.context() as patch:
        patch.setattr(Record, "_as_json", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            record.finish(model, [row])
    assert not Record(TINY, 1, path).is_finished
    assert files_of(tmp_path) == ["seed_1.checkpoint", FINISHED[1]]

    # The rows are there, and the state still is: finished, and it goes.
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "unlink", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            record.finish(model, [row])
    assert (tmp_path / "seed_1.checkpoint").exists()
    finished = Record(TINY, 1, path)
    assert finished.is_finished
    assert finished.exact == [row]
    assert len(finished.logs) == 1
    assert math.isnan(finished.logs[0]["loss"])
    assert "NaN" not in (tmp_path / "seed_1.json").read_text()  # not JSON
    assert files_of(tmp_path) == FINISHED


def test_without_files_a_record_is_kept_in_memory():
    record = Record(TINY, 1)
    record.add({"loss": 1.0}, list)
    record.finish(None, [])
    assert record.is_finished
    assert (record.logs, record.exact) == ([{"loss": 1.0}], [])
    assert not record.is_trained  # 1 of 4 epochs
