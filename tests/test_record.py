"""Tests for tiny_gpt/record.py, and how a run continues from it."""

import dataclasses
import json
import math
import os

import keras
import numpy as np
import pandas as pd
import pytest

from tests.tiny_runs import TINY
from tiny_gpt import train
from tiny_gpt.model import build_gpt, initialise_weights
from tiny_gpt.record import Record
from tiny_gpt.train import (
    compile_gpt,
    load_finished,
    run,
    set_state,
    state_of,
)

pytestmark = pytest.mark.backend

FINISHED = ["seed_1.json", "seed_1.weights.h5"]


def files_of(folder):
    return sorted(p.name for p in folder.iterdir() if "saving" not in p.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("uninterrupted")


@pytest.fixture(scope="module")
def uninterrupted(folder):
    return run(TINY, 1, folder / "seed_1")


def test_a_finished_record_holds_exact_rows_and_weights(uninterrupted, folder):
    assert files_of(folder) == FINISHED
    assert len(list(folder.iterdir())) == 2  # nothing half saved
    saved = json.loads((folder / "seed_1.json").read_text())
    assert len(saved["logs"]) == 4
    exact = uninterrupted.metrics.tail(len(saved["exact"]))
    columns = ["mapping", "tier", "prompt", "metric", "value"]
    assert exact[columns].to_numpy().tolist() == saved["exact"]
    assert "A->B->C" in set(exact["mapping"])

    model = build_gpt(TINY.model)
    model.load_weights(folder / "seed_1.weights.h5")
    for a, b in zip(
        model.get_weights(), uninterrupted.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    metrics, events, wall_s = load_finished(TINY, 1, folder / "seed_1")
    pd.testing.assert_frame_equal(metrics, uninterrupted.metrics)
    pd.testing.assert_frame_equal(events, uninterrupted.events)
    assert wall_s == pytest.approx(uninterrupted.wall_s, abs=1.0)


def test_a_run_stopped_before_its_exact_evaluation_ends_the_same(
    uninterrupted, tmp_path, monkeypatch
):
    record = tmp_path / "seed_1"

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "evaluate_exactly", stop)
        with pytest.raises(KeyboardInterrupt):
            run(TINY, 1, record, save_every_s=0)
    assert load_finished(TINY, 1, record) is None
    assert files_of(tmp_path) == ["seed_1.npz"]

    monkeypatch.setattr(keras.Model, "fit", stop)  # nothing is trained
    continued = run(TINY, 1, record)

    pd.testing.assert_frame_equal(continued.metrics, uninterrupted.metrics)
    assert files_of(tmp_path) == FINISHED


def test_an_interrupted_run_continues(uninterrupted, tmp_path, monkeypatch):
    # Saved every epoch, and stopped while it saves the second: it goes on
    # from the first. The loss drops from epoch 1 to 2, across the break.
    assert uninterrupted.events["epoch"].to_list()[0] == 2
    record = tmp_path / "seed_1"
    replace, num_saved = os.replace, 0

    def stop_at_the_second(source, target):
        nonlocal num_saved
        num_saved += 1
        if num_saved == 2:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run(TINY, 1, record, save_every_s=0)
    assert load_finished(TINY, 1, record) is None
    assert len(Record(TINY, 1, record).logs) == 1

    continued = run(TINY, 1, record, save_every_s=0)

    pd.testing.assert_frame_equal(
        continued.metrics, uninterrupted.metrics, rtol=1e-5
    )
    pd.testing.assert_frame_equal(
        continued.events, uninterrupted.events, rtol=1e-4
    )
    for a, b in zip(
        continued.model.get_weights(),
        uninterrupted.model.get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    metrics, events, _ = load_finished(TINY, 1, record)
    pd.testing.assert_frame_equal(metrics, continued.metrics)
    pd.testing.assert_frame_equal(events, continued.events)
    assert files_of(tmp_path) == FINISHED

    # The record belongs to this experiment and seed, and is finished.
    other = dataclasses.replace(TINY, condition="two")
    with pytest.raises(ValueError, match="experiment and seed that wrote it"):
        run(other, 1, record)
    with pytest.raises(ValueError, match="experiment and seed that wrote it"):
        load_finished(TINY, 2, record)
    with pytest.raises(ValueError, match="finished run cannot be continued"):
        run(TINY, 1, record)


def untrained(experiment=TINY):
    model = build_gpt(experiment.model)
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
    other = build_gpt(config)
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
    assert files_of(tmp_path) == ["seed_1.npz"]


@pytest.mark.parametrize("damage", ["cut", "flip", "other"])
def test_a_damaged_record_is_refused(damage, tmp_path):
    model = untrained()
    record = Record(TINY, 1, tmp_path / "seed_1", save_every_s=0)
    record.add({"loss": 1.0}, lambda: state_of(model))
    path = tmp_path / "seed_1.npz"
    whole = path.read_bytes()
    half = len(whole) // 2
    flipped = whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]
    path.write_bytes({"cut": whole[:half], "flip": flipped}.get(damage, b"x"))
    with pytest.raises(ValueError, match=r"must be whole.*seed_1\.npz"):
        Record(TINY, 1, tmp_path / "seed_1")


def test_a_record_stopped_while_it_finishes_is_one_or_the_other(
    tmp_path, monkeypatch
):
    row = ("A->B", "all_sentences", "1_demonstrations", "rank", 0.1 + 0.2)
    path = tmp_path / "seed_1"
    record = Record(TINY, 1, path, save_every_s=0)
    model = untrained()
    # NaN as where nothing is asked.
    record.add({"loss": math.nan}, lambda: state_of(model))
    assert files_of(tmp_path) == ["seed_1.npz"]

    # Weights are there, the rows not yet: not finished, and the state is kept.
    with monkeypatch.context() as patch:
        patch.setattr(Record, "_as_json", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            record.finish(model, [row])
    assert not Record(TINY, 1, path).is_finished
    assert files_of(tmp_path) == ["seed_1.npz", FINISHED[1]]

    # The rows are there, and the state still is: finished, and it goes.
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "unlink", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            record.finish(model, [row])
    assert (tmp_path / "seed_1.npz").exists()
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
