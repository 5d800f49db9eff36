"""Tests for tiny_gpt/callbacks/checkpoints.py."""

import json

import keras
import numpy as np
import pytest

from tiny_gpt.callbacks import (
    CheckpointAtEvents,
    LossDropLogger,
    Schedule,
    load_checkpoint,
)
from tiny_gpt.runtime.files import (
    DamagedFileError,
    hash_arrays,
    write_checkpoint,
)

pytestmark = pytest.mark.backend

X = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
Y = np.array([0, 1])


class Scripted(keras.callbacks.Callback):
    """Gives `logs` another loss, and the model weights that say the epoch."""

    def __init__(self, losses):
        super().__init__()
        self.losses = losses
        self.values = {}  # by epoch counted from 0, other than its number

    def on_epoch_end(self, epoch, logs=None):
        logs["curve"] = self.losses[epoch]
        value = self.values.get(epoch, epoch + 1.0)
        kernel, bias = np.full((2, 2), value), np.zeros(2)
        self.model.set_weights([kernel, bias])


def info_of(path):
    stem = path.name.removesuffix(".weights.h5")
    return json.loads(path.with_name(f"{stem}.json").read_text())


def epochs_of(saved):
    return [info_of(path)["epoch"] for path in saved.paths]


def test_weights_are_saved_ever_less_often_and_around_events(
    tmp_path, fit, classifier
):
    # 10^(i/2) = 1, 3.2, 10, 31.6; the curve falls after epoch 20.
    losses = [2.0] * 20 + [1.5] + [1.0] * 19
    events = LossDropLogger(["curve"])
    saved = CheckpointAtEvents(tmp_path, events, Schedule(per_decade=2))
    fit(Scripted(losses), events, saved, epochs=40)
    (row,) = events.rows
    found = row["found"]
    assert row["start"] == 20
    # From the last epoch before it to the first after it was found.
    around = range(20, found + 2)
    assert epochs_of(saved) == [1, 3, 10, *around, 32, 40]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"epoch_{epoch:06d}{suffix}"
        for epoch in epochs_of(saved)
        for suffix in (".json", ".weights.h5")
    )
    info = info_of(saved.paths[3])
    assert info["reason"] == "around a change of curve"
    assert (info["epoch"], info["step"]) == (20, 20)  # one update an epoch

    model = classifier()
    model.load_weights(saved.paths[3])  # as Keras alone opens it
    values = model.get_weights()
    assert values[0][0, 0] == 20.0  # those of that epoch, not of its finding
    assert info["weights_hash"] == hash_arrays(values)
    assert load_checkpoint(saved.paths[0], model)["reason"] == "on schedule"
    np.testing.assert_array_equal(model.get_weights()[0], np.ones((2, 2)))
    whole = saved.paths[0].read_bytes()
    saved.paths[0].write_bytes(whole[:-1])
    with pytest.raises(DamagedFileError):
        load_checkpoint(saved.paths[0], model)
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    before = other.get_weights()
    with pytest.raises(ValueError, match="shape"):
        load_checkpoint(saved.paths[1], other)
    for one, again in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, again)


def test_a_checkpoint_of_the_format_before_is_read(tmp_path, classifier):
    path = tmp_path / "epoch_000001.checkpoint"
    values = [np.ones((2, 2), "float32"), np.zeros(2, "float32")]
    write_checkpoint(path, values, {"epoch": 1})
    model = classifier()
    assert load_checkpoint(path, model) == {"epoch": 1}
    np.testing.assert_array_equal(model.get_weights()[0], values[0])


def test_weights_of_an_epoch_that_is_done_again_are_not_lost(
    tmp_path, fit, classifier
):
    fit(Scripted([0.0] * 3), CheckpointAtEvents(tmp_path), epochs=3)
    # The job died after epoch 3; its backup is of epoch 2, and other batches
    # lead to other weights.
    fit(CheckpointAtEvents(tmp_path), epochs=3, initial_epoch=2)
    model = classifier()
    model.load_weights(tmp_path / "epoch_000003_replaced.weights.h5")
    assert model.get_weights()[0][0, 0] == 3.0
    load_checkpoint(tmp_path / "epoch_000003.weights.h5", model)
    assert model.get_weights()[0][1, 1] == 4.0


def test_each_set_of_other_weights_is_kept(tmp_path, fit, classifier):
    # Two crashes, and a file of somebody else.
    theirs = tmp_path / "epoch_000002.weights.h5"
    classifier().save_weights(theirs)
    fit(Scripted([0.0]), CheckpointAtEvents(tmp_path))
    with pytest.raises(ValueError, match="never replaced"):
        fit(Scripted([0.0] * 2), CheckpointAtEvents(tmp_path), epochs=2)
    for value in (7.0, 8.0, 9.0):
        again = Scripted([0.0, 0.0])
        again.values = {1: value}
        fit(again, CheckpointAtEvents(tmp_path), epochs=2, initial_epoch=1)
    model, found = classifier(), {}
    for path in sorted(tmp_path.glob("epoch_000002*.weights.h5")):
        model.load_weights(path)
        found[path.name] = model.get_weights()[0][0, 0]
    assert found == {
        "epoch_000002.weights.h5": 9.0,
        "epoch_000002_replaced.weights.h5": 3.0,  # theirs
        "epoch_000002_replaced_2.weights.h5": 7.0,
        "epoch_000002_replaced_3.weights.h5": 8.0,
    }
    saved = tmp_path / "epoch_000002_replaced_3.weights.h5"
    assert load_checkpoint(saved, model)["epoch"] == 2


def test_a_damaged_file_of_before_is_set_aside(tmp_path, fit, classifier):
    fit(Scripted([0.0] * 2), CheckpointAtEvents(tmp_path), epochs=2)
    path = tmp_path / "epoch_000002.weights.h5"
    path.write_bytes(path.read_bytes()[:-1])
    callback = CheckpointAtEvents(tmp_path)
    fit(Scripted([0.0] * 2), callback, epochs=2, initial_epoch=1)
    assert load_checkpoint(path, classifier())["epoch"] == 2
    assert (tmp_path / "epoch_000002_replaced.weights.h5").exists()


def test_a_policy_of_two_types_is_saved_and_named(tmp_path, fit):
    with_policy = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(2, dtype="bfloat16"),
            keras.layers.Dense(2, dtype="mixed_bfloat16"),
        ]
    )
    with_policy.compile("sgd", "mse")
    saved = CheckpointAtEvents(tmp_path)
    with_policy.fit(X, X, verbose=0, callbacks=[saved])
    before = [
        np.asarray(w).astype("float32") for w in with_policy.get_weights()
    ]
    with_policy.set_weights([0 * w for w in with_policy.get_weights()])
    load_checkpoint(saved.paths[0], with_policy)
    for one, again in zip(before, with_policy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, np.asarray(again).astype("float32"))


def test_a_checkpoint_is_never_replaced_by_other_weights(tmp_path, fit):
    for _ in range(2):  # the same again is no harm
        fit(CheckpointAtEvents(tmp_path))
    with pytest.raises(ValueError, match="never replaced"):
        fit(Scripted([0.0]), CheckpointAtEvents(tmp_path))
    with pytest.raises(ValueError, match="num_before=-1"):
        CheckpointAtEvents(tmp_path, num_before=-1)
    with pytest.raises(ValueError, match="num_kept=0"):
        CheckpointAtEvents(tmp_path, num_kept=0)
