"""Tests for tiny_gpt/callbacks/events.py."""

import csv
import json

import keras
import numpy as np
import pytest

from tiny_gpt.analysis.changes import find_changes
from tiny_gpt.callbacks import LossDropLogger
from tiny_gpt.callbacks.events import FIELDS

pytestmark = pytest.mark.backend

# Level at 2, one step down to 1: 3 is the last epoch before it.
STEP = [2.0] * 6 + [1.0] * 6


def threshold(**options):
    options = {"min_size": 0.5, "window": 1, **options}
    return LossDropLogger(method="threshold", **options)


def feed(logger, losses, key="loss"):
    """Plays an epoch-by-epoch curve into a callback, without a model."""
    logger.on_train_begin()
    for epoch, loss in enumerate(losses):
        logger.on_epoch_end(epoch, {key: loss})
    return logger


def steps(logger):
    return [
        (row["start"], row["epoch"], row["size"], row["before"], row["after"])
        for row in logger.rows
    ]


def test_two_steps_are_two_drops():
    logger = feed(threshold(), [2.0, 2.0, 1.0, 1.0, 0.5])
    assert steps(logger) == [(2, 3, 1.0, 2.0, 1.0), (4, 5, 0.5, 1.0, 0.5)]


def test_change_points_are_those_of_the_whole_curve():
    rng = np.random.default_rng(0)
    losses = np.r_[np.full(20, 2.0), np.full(20, 1.0)] + rng.normal(0, 0.02, 40)
    logger = feed(LossDropLogger(), losses)
    (found,) = find_changes(losses, min_size=0.1)
    (row,) = logger.rows
    assert (row["start"], row["epoch"]) == (found.start, found.end) == (20, 21)
    assert row["size"] == pytest.approx(1.0, abs=0.08)  # 4 x 0.02
    assert row["metric"] == "loss"
    assert row["direction"] == "fall"


def test_a_score_that_jumps_without_its_partner_is_suspect():
    # The loss of task b falls with its score, that of task a does not.
    logger = LossDropLogger(
        falls=["a_loss", "b_loss"],
        rises=["a_score", "b_score"],
        smooth={"a_score": "a_loss", "b_score": "b_loss"},
    )
    logger.on_train_begin()
    for epoch in range(20):
        late = float(epoch >= 10)
        logs = {"a_score": late, "b_score": late, "b_loss": 1.0 - late / 2}
        logger.on_epoch_end(epoch, {"a_loss": 1.0, **logs})
    rows = {row["metric"]: row for row in logger.rows}
    assert set(rows) == {"a_score", "b_score", "b_loss"}
    assert rows["a_score"]["is_suspect"] is True
    assert rows["b_score"]["is_suspect"] is False
    assert rows["b_loss"]["is_suspect"] is None
    assert rows["a_score"]["together"] == ["b_loss", "b_score"]
    assert rows["a_score"]["direction"] == "rise"


def test_epochs_without_a_value_are_left_out():
    # Every second epoch is evaluated: epochs 2, 4, ... and the jump at 14.
    logger = LossDropLogger(falls=[], rises=["score"])
    logger.on_train_begin()
    for epoch in range(24):
        value = float(epoch >= 13) if epoch % 2 else float("nan")
        logger.on_epoch_end(epoch, {"score": value})
    (row,) = logger.rows
    assert (row["start"], row["epoch"]) == (12, 14)


def test_a_second_fit_starts_a_new_record(tmp_path):
    logger = threshold(path=tmp_path / "drops.csv")
    feed(logger, [2.0, 1.0])
    feed(logger, [2.0, 2.0])
    assert [log["loss"] for log in logger.logs] == [2.0, 2.0]
    assert logger.events == []
    assert list(csv.DictReader(logger.path.open())) == []


def test_a_continued_run_finds_the_drop_across_the_break():
    earlier = [{"loss": 2.0, "other": 5.0}, {"loss": 2.0}]
    logger = threshold(earlier_logs=earlier)
    logger.on_train_begin()
    logger.on_epoch_end(2, {"loss": 1.0})
    assert steps(logger) == [(2, 3, 1.0, 2.0, 1.0)]


def test_saved_logs_give_the_same_events_at_once():
    live = feed(LossDropLogger(), STEP)
    saved = LossDropLogger(earlier_logs=[{"loss": loss} for loss in STEP])
    assert saved.events == live.events
    assert len(saved.events) == 1


def test_a_fit_with_an_initial_epoch_counts_from_there():
    logger = threshold()
    logger.on_train_begin()
    for epoch, loss in ((10, 2.0), (11, 1.0)):
        logger.on_epoch_end(epoch, {"loss": loss})
    assert steps(logger) == [(11, 12, 1.0, 2.0, 1.0)]


def test_events_are_written_to_a_file(tmp_path):
    path = tmp_path / "new" / "drops.csv"
    table = feed(threshold(path=path), [2.0, 1.0, 1.0])
    (row,) = csv.DictReader(table.path.open())
    assert tuple(row) == FIELDS
    assert (row["epoch"], row["size"], row["together"]) == ("2", "1.0", "")
    lines = feed(threshold(path=tmp_path / "drops.jsonl"), [2.0, 1.0, 1.0])
    (line,) = lines.path.read_text().splitlines()
    assert json.loads(line) == lines.rows[0]


def test_events_are_a_frame():
    # `make test-callbacks` runs this without it; `make test` has it.
    pytest.importorskip("pandas", reason="frames need it")
    frame = feed(threshold(), [2.0, 1.0, 1.0]).frame()
    assert frame["epoch"].to_list() == [2]
    assert tuple(frame.columns) == FIELDS


def test_each_event_is_told_once():
    told = []
    feed(LossDropLogger(on_event=told.append), STEP)
    (row,) = told
    assert (row["metric"], row["start"]) == ("loss", 6)


def test_any_key_of_the_logs_can_be_watched():
    logger = threshold(falls=["val_loss"])
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 9.0, "val_loss": 1.0})
    assert logger.logs == [{"epoch": 1, "val_loss": 1.0}]


def test_an_epoch_without_a_validation_is_left_out():
    # fit(validation_freq=2): epochs 2, 4, ... have a value.
    logger = threshold(falls=["val_loss"])
    logger.on_train_begin()
    for epoch, loss in enumerate((None, 2.0, None, 1.0)):
        logs = {"loss": 9.0} | ({} if loss is None else {"val_loss": loss})
        logger.on_epoch_end(epoch, logs)
    assert steps(logger) == [(2, 4, 1.0, 2.0, 1.0)]


def test_a_key_that_nobody_writes_is_refused():
    logger = threshold(falls=["los"])
    logger.on_train_begin()
    with pytest.raises(ValueError, match=r"\['los'\]"):
        logger.on_epoch_end(0, {"loss": 9.0})


def test_a_key_can_be_watched_both_ways_by_a_size_of_its_own():
    logger = threshold(
        falls=["a", "b"], rises=["a"], min_size={"a": 1.0, "b": 0.5}
    )
    logger.on_train_begin()
    for epoch, (a, b) in enumerate([(2, 2), (1, 1.4), (1, 1.4), (3, 1.4)]):
        logger.on_epoch_end(epoch, {"a": a, "b": b})
    found = [(r["metric"], r["direction"], r["epoch"]) for r in logger.rows]
    assert found == [("a", "fall", 2), ("b", "fall", 2), ("a", "rise", 4)]


def test_epochs_that_are_done_again_count_once():
    # The job died in epoch 4; its backup is of epoch 2.
    earlier = [{"epoch": e, "loss": x} for e, x in ((1, 2.0), (2, 2.0), (3, 1))]
    logger = threshold(earlier_logs=earlier)
    assert steps(logger) == [(2, 3, 1.0, 2.0, 1)]
    logger.on_train_begin()
    logger.on_epoch_begin(2)
    assert logger.rows == []
    for epoch, loss in ((2, 2.0), (3, 1.0)):
        logger.on_epoch_end(epoch, {"loss": loss})
    assert steps(logger) == [(3, 4, 1.0, 2.0, 1.0)]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"falls": "loss"}, "lists of keys"),
        ({"falls": []}, r"falls=\(\)"),
        ({"rises": ["a", "a"]}, "each once"),
        ({"min_size": {"a": 1.0}}, r"\['a'\], which are not"),
        ({"smooth": {"loss": "other"}}, r"\['other'\]"),
        ({"method": "magic"}, "method='magic'"),
        ({"min_size": 0}, "min_size=0"),
        ({"method": "threshold", "window": 0}, "window=0"),
        ({"path": "events.txt"}, r"events\.txt"),
    ],
)
def test_impossible_events_are_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        LossDropLogger(**arguments)


def test_it_can_be_saved_and_built_again():
    logger = LossDropLogger(
        ["a"], ["b"], {"b": "a"}, min_size=0.2, path="e.jsonl"
    )
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(logger)
    )
    assert again.get_config() == logger.get_config()
    assert again.smooth == {"b": "a"}
