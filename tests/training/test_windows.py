"""Tests for windows.py where the text is cut anew in each epoch."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from benchmarks.tiny_runs import PRETRAINED, TINY, with_task
from tiny_gpt.evaluation.data import CutAnew
from tiny_gpt.experiment import config_of
from tiny_gpt.sweep.axes import with_values
from tiny_gpt.train import run, run_all
from tiny_gpt.training.run_files import Record
from tiny_gpt.training.run_setup import Job, set_up_run
from tiny_gpt.training.train_batch import epoch_batches
from tiny_gpt.training.windows import ShuffledWindows

pytestmark = pytest.mark.backend

ROTATED = with_task(TINY, rotates=True)


def text_of(phase, windows):
    """Returns the text of an epoch, in the order of its windows before."""
    rng = np.random.default_rng([windows._seed, phase])
    inputs, targets = windows.epoch(phase)
    order = np.argsort(rng.permutation(len(inputs)))
    rows = np.concatenate([inputs[order, :1], targets[order]], axis=1)
    return rows[rows != 0]


def test_cutting_anew_leaves_the_order_as_it_is():
    # The recut draws from the same source, after the order was drawn.
    inputs = np.arange(10)[:, None]
    plain = ShuffledWindows([(inputs, inputs)], [3], 4, 0)
    added = []

    def recut(rng):
        added.append(rng.integers(1000))
        return inputs + 1000 * added[-1], inputs

    recuts = ShuffledWindows([(inputs, inputs)], [3], 4, 0, recuts=[recut])
    for epoch in range(3):
        x, y = recuts.epoch(epoch)
        np.testing.assert_array_equal(y, plain.epoch(epoch)[1])
        np.testing.assert_array_equal(x - 1000 * added[-1], y)
    assert len(added) == 3  # once an epoch, however many batches
    assert len(set(added)) == 3


def test_a_phase_that_is_not_cut_anew_stays():
    one, two = np.arange(4)[:, None], np.arange(4)[:, None] + 10
    windows = ShuffledWindows(
        [(one, one), (two, two)],
        [1, 2],
        4,
        0,
        recuts=[None, lambda rng: (two + 10, two)],
    )
    assert sorted(windows.epoch(0)[0].ravel()) == [0, 1, 2, 3]
    assert sorted(windows.epoch(1)[0].ravel()) == [20, 21, 22, 23]


@pytest.mark.parametrize("experiment", [TINY, PRETRAINED], ids=lambda e: e.name)
def test_each_epoch_of_a_run_is_a_rotation_of_its_text(experiment):
    plain = set_up_run(experiment, 1).windows
    rotated = set_up_run(with_task(experiment, rotates=True), 1).windows
    for epoch in range(experiment.train.num_epochs):
        text, other = (text_of(epoch, w) for w in (plain, rotated))
        assert not np.array_equal(text, other)
        assert any(
            np.array_equal(np.roll(text, -n), other) for n in range(len(text))
        )
        assert rotated.epoch(epoch)[0].shape == plain.epoch(epoch)[0].shape


def test_an_epoch_depends_on_seed_and_epoch_alone():
    whole, again = (set_up_run(ROTATED, 1).windows for _ in range(2))
    other = set_up_run(ROTATED, 2).windows
    epochs = [whole.epoch(i)[0] for i in range(4)]
    for i in (3, 1):
        np.testing.assert_array_equal(again.epoch(i)[0], epochs[i])
        assert not np.array_equal(other.epoch(i)[0], epochs[i])
    assert len({x.tobytes() for x in epochs}) == 4


def test_fit_and_compiled_epochs_read_the_same():
    setup = set_up_run(ROTATED, 1)
    for epoch in (0, 2):
        filled = epoch_batches(setup, epoch)[0].reshape(-1, 20)
        batches = [setup.windows[2 * epoch + i][0] for i in (0, 1)]
        read = np.concatenate(batches)
        np.testing.assert_array_equal(filled[: len(read)], read)
        assert not filled[len(read) :].any()


def test_a_run_measures_its_losses_on_the_first_cut():
    plain, rotated = (set_up_run(e, 1).data for e in (TINY, ROTATED))
    assert isinstance(rotated, CutAnew)
    for label, windows in plain.windows().items():
        found = rotated.windows()[label]
        np.testing.assert_array_equal(found.inputs, windows.inputs)
        np.testing.assert_array_equal(found.kinds, windows.kinds)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("train", ["fit", "run_all"])
def test_a_rotated_run_continues_to_the_same_bits(train, tmp_path):
    def trained(record=None, on_epoch=None):
        if train == "fit":
            told = on_epoch and (lambda *args: on_epoch(None, *args))
            return run(ROTATED, 1, record, on_epoch=told)
        job = Job(ROTATED, 1, record)
        ((_, found),) = run_all([job], on_epoch=on_epoch)
        return found

    def stop(job, epoch, logs):
        if epoch == 2:
            raise Stopped

    record = tmp_path / "run"
    with pytest.raises(Stopped):
        trained(record, stop)
    assert len(Record(ROTATED, 1, record).logs) == 2
    continued, whole = trained(record), trained()
    pd.testing.assert_frame_equal(continued.metrics, whole.metrics)
    for a, b in zip(
        continued.model.get_weights(), whole.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    plain = run(TINY, 1) if keras.backend.backend() == "jax" else None
    if plain is not None:  # it can fail
        assert not plain.metrics.equals(whole.metrics)


def test_a_config_that_does_not_rotate_is_the_one_before_there_was_any():
    assert "rotates" not in config_of(TINY)
    assert config_of(ROTATED) == {**config_of(TINY), "rotates": True}


def test_rotates_is_an_axis_of_sweeps():
    made = with_values(TINY, {"rotates": True}, ("tiny", "one"), "A->C")
    assert made == ROTATED
    with pytest.raises(ValueError, match="must be of type bool"):
        with_values(TINY, {"rotates": 1}, ("tiny", "one"), "A->C")


def test_rotates_is_a_bool():
    with pytest.raises(ValueError, match=r"True or False.*rotates=1"):
        dataclasses.replace(TINY.task, rotates=1)
