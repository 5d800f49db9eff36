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
from tiny_gpt.train import compile_gpt, load_finished, run

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
            run(TINY, 1, record)
    assert load_finished(TINY, 1, record) is None
    assert files_of(tmp_path) == ["seed_1.json", "seed_1.keras"]

    monkeypatch.setattr(keras.Model, "fit", stop)  # nothing is trained
    continued = run(TINY, 1, record)

    pd.testing.assert_frame_equal(continued.metrics, uninterrupted.metrics)
    assert files_of(tmp_path) == FINISHED


def test_an_interrupted_run_continues(uninterrupted, tmp_path, monkeypatch):
    # Saved every epoch, and stopped at epoch 2 between the two files: the
    # logs are of epoch 2, the model of epoch 1, from which it goes on. The
    # loss drops from epoch 1 to 2, across the break.
    assert uninterrupted.events["epoch"].to_list()[0] == 2
    record = tmp_path / "seed_1"
    replace, num_models = os.replace, 0

    def stop_at_the_second_model(source, target):
        nonlocal num_models
        num_models += target.suffix == ".keras"
        if num_models == 2:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop_at_the_second_model)
        with pytest.raises(KeyboardInterrupt):
            run(TINY, 1, record, save_every=1)
    assert load_finished(TINY, 1, record) is None
    saved = json.loads((tmp_path / "seed_1.json").read_text())
    assert len(saved["logs"]) == 2

    continued = run(TINY, 1, record, save_every=2)

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
    initialise_weights(model, np.random.default_rng(0))
    compile_gpt(model, experiment.train)
    model.optimizer.build(model.trainable_variables)
    return model


def test_a_model_without_its_logs_is_refused(tmp_path):
    record = Record(TINY, 1, tmp_path / "seed_1", save_every=1)
    record.set_model(untrained())
    record.on_epoch_end(0, {"loss": 1.0})
    (tmp_path / "seed_1.json").unlink()
    with pytest.raises(ValueError, match="needs the logs"):
        run(TINY, 1, tmp_path / "seed_1")


def test_the_random_state_of_dropout_is_saved(tmp_path):
    config = dataclasses.replace(TINY.model, dropout=0.3)
    experiment = dataclasses.replace(TINY, model=config)
    model = untrained(experiment)

    def states(model):
        return [
            keras.ops.convert_to_numpy(v).tolist()
            for v in model.variables
            if "seed_generator_state" in v.path
        ]

    record = Record(experiment, 1, tmp_path / "seed_1", save_every=1)
    record.set_model(model)
    record.on_epoch_end(0, {"loss": 1.0})
    # The saved model has taken no step, so it counts as epoch 0.
    path = tmp_path / "seed_1.json"
    saved = json.loads(path.read_text())
    saved["random_states"] = {"0": saved["random_states"]["1"]}
    path.write_text(json.dumps(saved))
    loaded = Record(experiment, 1, tmp_path / "seed_1").load_model()
    assert len(states(model)) == 2  # attention and block
    assert states(loaded) == states(model)


def test_a_record_stopped_while_it_finishes_is_one_or_the_other(
    tmp_path, monkeypatch
):
    row = ("A->B", "all_sentences", "1_demonstrations", "rank", 0.1 + 0.2)
    path = tmp_path / "seed_1"
    record = Record(TINY, 1, path, save_every=1)
    model = untrained()
    record.set_model(model)
    record.on_epoch_end(0, {"loss": math.nan})  # as where nothing is asked
    assert files_of(tmp_path) == ["seed_1.json", "seed_1.keras"]

    # Weights are there, the rows not yet: not finished, and the model is kept.
    with monkeypatch.context() as patch:
        patch.setattr(Record, "_save_logs", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            record.finish(model, [row])
    assert not Record(TINY, 1, path).is_finished
    assert files_of(tmp_path) == ["seed_1.json", "seed_1.keras", FINISHED[1]]

    # The rows are there, and the model still is: finished, and it goes.
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "unlink", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            record.finish(model, [row])
    assert (tmp_path / "seed_1.keras").exists()
    finished = Record(TINY, 1, path)
    assert finished.is_finished
    assert finished.exact == [row]
    assert len(finished.logs) == 1
    assert math.isnan(finished.logs[0]["loss"])
    assert "NaN" not in (tmp_path / "seed_1.json").read_text()  # not JSON
    assert files_of(tmp_path) == FINISHED


def test_without_files_a_record_is_kept_in_memory():
    record = Record(TINY, 1)
    record.on_epoch_end(0, {"loss": 1.0})
    record.finish(None, [])
    assert record.is_finished
    assert (record.logs, record.exact) == ([{"loss": 1.0}], [])
    assert not record.is_trained  # 1 of 4 epochs
