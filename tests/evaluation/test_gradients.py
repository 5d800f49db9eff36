"""Tests for evaluation/gradients.py: closed forms, both ways to train."""

import dataclasses
import functools

import keras
import numpy as np
import pytest

from benchmarks.tiny_runs import TINY
from tests.helpers.shared_runs import tiny_run
from tiny_gpt.evaluation.gradients import CompiledGradient, GradientsByTask
from tiny_gpt.train import run
from tiny_gpt.training.many_seeds import run_seeds

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(3, 4)).astype("float32")  # logits after each token
INPUTS = RNG.integers(0, 3, (7, 5)).astype("int32")
TARGETS = RNG.integers(0, 4, (7, 5)).astype("int32")
MASK = RNG.random((7, 5)) < 0.6


def build_bigram():
    """Builds a model whose gradient is known: its weights are the logits."""
    inputs = keras.Input((5,), dtype="int32")
    model = keras.Model(inputs, keras.layers.Embedding(3, 4)(inputs))
    model.set_weights([TABLE])
    return model


def softmax(logits):
    e = np.exp(logits)
    return e / e.sum(axis=-1, keepdims=True)


def gradient_by_hand(mask):
    """Returns mean over the mask of (softmax - right one), by token."""
    gradient = np.zeros(TABLE.shape)
    for token, target in zip(INPUTS[mask], TARGETS[mask], strict=True):
        gradient[token] += softmax(TABLE[token]) - np.eye(4)[target]
    return gradient.ravel() / mask.sum()


@pytest.mark.parametrize("batch_size", [1, 3, 7, 20])
def test_the_gradient_is_that_of_the_mean_loss(batch_size):
    model = build_bigram()
    gradient = CompiledGradient(model, batch_size)
    found = gradient(model, (INPUTS, TARGETS, MASK))
    np.testing.assert_allclose(found, gradient_by_hand(MASK), atol=1e-6)


def test_it_is_read_from_the_weights_of_now():
    model = build_bigram()
    gradient = CompiledGradient(model, 8)
    gradient(model, (INPUTS, TARGETS, MASK))
    model.set_weights([TABLE * 0])  # every class equally probable
    token, target = INPUTS[MASK][0], TARGETS[MASK][0]
    one = np.zeros_like(MASK)
    one[tuple(np.argwhere(MASK)[0])] = True
    found = gradient(model, (INPUTS, TARGETS, one)).reshape(3, 4)
    assert found[token] == pytest.approx(0.25 - np.eye(4)[target])


def test_norms_and_cosines():
    parts = {"a": MASK, "b": ~MASK, "again": MASK}
    model = build_bigram()
    callback = GradientsByTask(
        CompiledGradient(model, 4),
        {name: (INPUTS, TARGETS, mask) for name, mask in parts.items()},
    )
    callback.set_model(model)
    logs = {}
    callback.on_epoch_end(0, logs)
    assert set(logs) == set(callback.log_keys)
    a, b = gradient_by_hand(MASK), gradient_by_hand(~MASK)
    assert logs["a_gradient_norm"] == pytest.approx(np.linalg.norm(a), rel=1e-5)
    assert logs["b_gradient_norm"] == pytest.approx(np.linalg.norm(b), rel=1e-5)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert logs["a_b_gradient_cosine"] == pytest.approx(cosine, abs=1e-5)
    assert logs["a_again_gradient_cosine"] == pytest.approx(1.0)


def test_a_part_without_a_target_is_refused():
    model = build_bigram()
    none = np.zeros_like(MASK)
    with pytest.raises(ValueError, match="none for 'b'"):
        GradientsByTask(
            CompiledGradient(model, 4), {"b": (INPUTS, TARGETS, none)}
        )


def with_gradients():
    evaluation = dataclasses.replace(TINY.evaluation, has_gradients=True)
    return dataclasses.replace(TINY, evaluation=evaluation)


@functools.cache
def measured_run():
    return run(with_gradients(), 1)


def gradients_of(done):
    rows = done.metrics[done.metrics["metric"].str.startswith("gradient")]
    keys = ["mapping", "metric", "epoch"]
    return rows.set_index(keys)["value"].sort_index()


@pytest.mark.slow
def test_a_run_has_them_after_each_epoch():
    found = gradients_of(measured_run())
    assert set(found.index.droplevel("epoch")) == {
        ("A->B", "gradient_norm"),
        ("A->C", "gradient_norm"),
        ("A->B A->C", "gradient_cosine"),
    }
    assert len(found) == 3 * TINY.train.num_epochs
    norms = found[found.index.get_level_values("metric") == "gradient_norm"]
    assert (norms > 0).all()
    if keras.backend.backend() == "jax":
        again = gradients_of(run_seeds(with_gradients(), [1])[0])
        np.testing.assert_allclose(found, again, rtol=2e-3, atol=1e-5)


@pytest.mark.slow
def test_measuring_them_changes_nothing():
    plain, measured = tiny_run(1).metrics, measured_run().metrics
    is_new = measured["metric"].str.startswith("gradient")
    left = measured[~is_new].reset_index(drop=True)
    assert left["value"].tolist() == plain["value"].tolist()
