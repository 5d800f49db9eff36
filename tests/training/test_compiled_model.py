"""Tests for compiled_model.py: who has a compiled model, and for how long."""

import dataclasses

import keras
import numpy as np
import pytest

from benchmarks.tiny_runs import TINY
from tests.helpers.shared_runs import tiny_run
from tiny_gpt.runtime.environment import set_precision
from tiny_gpt.train import run
from tiny_gpt.training import compiled_model
from tiny_gpt.training.compiled_model import borrow_model, forget_models
from tiny_gpt.training.run_setup import set_up_run

pytestmark = pytest.mark.backend


class Named:
    """Stands for a compiled model, and compiles nothing."""

    def __init__(self, experiment, placement):
        self.experiment = experiment


@pytest.fixture
def nothing_compiled(monkeypatch):
    monkeypatch.setattr(compiled_model, "CompiledModel", Named)
    monkeypatch.setattr(compiled_model, "_kept", type(compiled_model._kept)())


def changed(**changes):
    return dataclasses.replace(
        TINY, train=dataclasses.replace(TINY.train, **changes)
    )


def lent(experiment=TINY, *args):
    with borrow_model(experiment, None, *args) as found:
        return found


def test_runs_of_one_shape_have_one_model(nothing_compiled):
    one = lent()
    assert lent(changed(learning_rate=0.5, num_epochs=7)) is one
    for changes in (
        {"batch_size": 3},
        {"weight_decay": 0.1},
        {"clipnorm": None},
        {"clipping": "per_replica"},
    ):
        assert lent(changed(**changes)) is not one
    set_precision("float32")
    kept = lent()
    set_precision("mixed_bfloat16")
    try:
        assert lent() is not kept
    finally:
        set_precision("default")


def test_two_at_once_have_two_models(nothing_compiled):
    with borrow_model(TINY, None) as one, borrow_model(TINY, None) as other:
        assert one is not other
    assert lent() in (one, other)


def test_what_others_may_keep_is_lent_once(nothing_compiled):
    one = lent()
    assert lent(TINY, False) is not one
    assert lent() is one


def test_a_model_whose_run_broke_off_is_kept_where_it_is_whole(
    nothing_compiled,
):
    one = lent()
    with pytest.raises(KeyboardInterrupt), borrow_model(TINY, None):
        raise KeyboardInterrupt
    is_kept = lent() is one
    assert is_kept == (keras.backend.backend() == "tensorflow")


def test_the_models_used_last_are_kept(nothing_compiled, monkeypatch):
    monkeypatch.setattr(compiled_model, "MOST_KEPT", 2)
    two, three = (lent(changed(batch_size=size)) for size in (2, 3))
    assert lent(changed(batch_size=2)) is two
    lent(changed(batch_size=4))  # in the place of 3
    assert lent(changed(batch_size=2)) is two
    assert lent(changed(batch_size=3)) is not three
    forget_models()
    assert lent(changed(batch_size=2)) is not two


@pytest.mark.slow
def test_a_run_keeps_its_weights_when_another_has_its_model():
    # And nothing of the run before is left: weights, Adam, random state, rate.
    weights = [w.copy() for w in tiny_run().model.get_weights()]
    run(changed(learning_rate=0.5, num_epochs=1), 2)
    again = run(TINY, 1)
    for a, b, c in zip(
        tiny_run().model.get_weights(),
        weights,
        again.model.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(c, b)
    assert tiny_run().model is not again.model


def test_a_run_has_its_own_learning_rate():
    fast = changed(learning_rate=0.5)
    with borrow_model(TINY, None) as compiled:
        for experiment in (fast, TINY):
            compiled.start(set_up_run(experiment, 1))
            found = float(compiled.model.optimizer.learning_rate)
            assert found == pytest.approx(experiment.train.learning_rate)
