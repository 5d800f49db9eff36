"""Tests for training/log_columns.py: a callback's numbers reach the frame."""

import dataclasses
from typing import ClassVar

import keras
import pandas as pd
import pytest

from benchmarks.tiny_runs import TINY
from tests.helpers.shared_runs import tiny_folder, tiny_run
from tiny_gpt.callbacks import WeightNorms
from tiny_gpt.metrics.frames import columns_of
from tiny_gpt.sweep.cell import unlabelled
from tiny_gpt.sweep.store import Store
from tiny_gpt.train import run
from tiny_gpt.training.finished import load_finished
from tiny_gpt.training.log_columns import LogColumns
from tiny_gpt.training.many_seeds import run_jobs
from tiny_gpt.training.run_files import Record, columns_in
from tiny_gpt.training.run_setup import Job

PLACE = ("A->C", "all", "all", "noise")
PATHS = ["fit", "compiled"] if keras.backend.backend() == "jax" else ["fit"]
# `fit` compiles anew for callbacks of others.
QUICK_PATHS = [pytest.param("fit", marks=pytest.mark.slow), *PATHS[1:]]


class Noise(keras.callbacks.Callback):
    """Another callback: all it needs is here."""

    log_columns: ClassVar = {"noise": PLACE}

    def on_epoch_end(self, epoch, logs=None):
        logs["noise"] = epoch / 4


class Undeclared(keras.callbacks.Callback):
    """Writes a key that nobody knows of."""

    def on_epoch_end(self, epoch, logs=None):
        assert epoch == 0
        logs["noise"] = 0.0


def run_on(path, callbacks, record=None, experiment=TINY):
    if path == "fit":
        return run(experiment, 1, record, callbacks=callbacks)
    job = Job(experiment, 1, record)
    return dict(run_jobs([job], callbacks=lambda _: callbacks))[job]


@pytest.mark.slow
@pytest.mark.backend
@pytest.mark.parametrize("path", QUICK_PATHS)
def test_what_a_new_callback_writes_is_in_the_frame(path, tmp_path):
    record = tmp_path / "one"
    found = run_on(path, [Noise()], record)
    is_new = found.metrics["metric"] == "noise"
    rows = found.metrics[is_new]
    assert rows["value"].to_list() == [0, 0.25, 0.5, 0.75]
    for name, word in zip(("mapping", "tier", "prompt"), PLACE, strict=False):
        assert set(rows[name]) == {word}
    # From its record alone; and all else is as it would be without it.
    metrics, events, _ = load_finished(TINY, 1, record)
    pd.testing.assert_frame_equal(metrics, found.metrics)
    pd.testing.assert_frame_equal(events, found.events)
    if path == "fit":
        plain, saved = tiny_run(1), tiny_folder(1) / "seed_1.json"
    else:
        saved = tmp_path / "plain.json"
        plain = run_on(path, [], tmp_path / "plain")
    pd.testing.assert_frame_equal(
        found.metrics[~is_new].reset_index(drop=True), plain.metrics
    )
    logged = (tmp_path / "one.jsonl").read_text().splitlines()
    assert all('"noise": ' in line for line in logged)
    assert '"columns"' not in saved.read_text()


def test_a_checkpoint_keeps_the_places(tmp_path):
    record = Record(TINY, 1, tmp_path / "one")
    record.columns["noise"] = PLACE
    record.save(list)
    assert Record(TINY, 1, tmp_path / "one").columns == {"noise": PLACE}


@pytest.mark.slow
def test_a_store_keeps_the_places(tmp_path):
    store = Store(tmp_path)
    key = store.key(TINY)
    record = store.record(key, 1)
    expected = run_on("fit", [Noise()], record, unlabelled(TINY, key))
    lease = store.lease(key, 1)
    assert store.keep(key, TINY, 1)
    lease.release()
    found = store.load(key, 1)
    assert found.columns == {"noise": PLACE}
    assert [log["noise"] for log in found.logs] == [0, 0.25, 0.5, 0.75]
    assert "noise" in set(expected.metrics["metric"])


@pytest.mark.backend
@pytest.mark.parametrize("path", QUICK_PATHS)
def test_a_key_that_nobody_declared_ends_the_first_epoch(path, tmp_path):
    with pytest.raises(ValueError, match=r"`log_columns`\. Received: noise$"):
        run_on(path, [Undeclared()], tmp_path / "one")
    assert not (tmp_path / "one.json").exists()


class NeverTrained(keras.callbacks.Callback):
    """Fails where a refusal comes too late."""

    def on_epoch_end(self, epoch, logs=None):
        raise AssertionError("it has trained")


def with_attributes(**values):
    callback = NeverTrained()
    for name, value in values.items():
        setattr(callback, name, value)
    return callback


@pytest.mark.parametrize("path", PATHS)
def test_a_refusal_comes_before_the_training(path):
    with pytest.raises(ValueError, match="'noise' of NeverTrained"):
        run_on(path, [with_attributes(log_keys=("noise",))])


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"noise": ("all", "noise")}, "four words"),
        ({"noise": "four"}, "four words"),
        ({"loss": PLACE}, r"has one place\. Received: 'loss'"),
        (
            {"noise": ("all", "all", "all", "loss")},
            "Received: loss, noise, all at",
        ),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(columns, rule):
    callbacks = [with_attributes(log_columns=columns)]
    with pytest.raises(ValueError, match=rule):
        LogColumns(Record(TINY, 1), columns_of(TINY), callbacks)


def test_keys_that_are_known_late_are_asked_for_again():
    # With `by_layer` the keys are those of the model.
    norms, record = WeightNorms(by_layer=True), Record(TINY, 1)
    check = LogColumns(record, columns_of(TINY), [norms])
    norms.log_keys = ("weight_norm", "weight_norm_head")
    check.on_epoch_end(0, {"loss": 1.0, "weight_norm_head": 2.0})
    place = ("all", "all", "all", "weight_norm_head")
    assert record.columns == {"weight_norm_head": place}


@pytest.mark.slow
@pytest.mark.parametrize("has_gradients", [False, True])
def test_the_experiment_tells_what_its_callbacks_declare(has_gradients):
    # Else frames of records that name no places would lack rows.
    evaluation = dataclasses.replace(
        TINY.evaluation, num_fresh_sentences=2, has_gradients=has_gradients
    )
    experiment = dataclasses.replace(TINY, evaluation=evaluation)
    keys = set()

    class Seen(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            keys.update(logs)

    found = run(experiment, 1, callbacks=[Seen()])
    assert keys == set(columns_of(experiment))
    places = set(columns_of(experiment).values())
    names = ["mapping", "tier", "prompt", "metric"]
    assert places <= set(
        found.metrics[names].itertuples(index=False, name=None)
    )


def test_places_that_are_none_are_no_record():
    for columns in ({"noise": ["all"]}, ["noise"]):
        with pytest.raises((ValueError, AttributeError)):
            columns_in({"columns": columns})
