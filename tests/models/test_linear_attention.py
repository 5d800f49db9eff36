"""Tests for tiny_gpt/models/linear_attention.py."""

import keras
import numpy as np
import pytest
from keras import ops

from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.models.linear_attention import (
    LinearSelfAttention,
    build_linear_gpt,
)

pytestmark = pytest.mark.backend

# Keras applies kernels to rows: f = (z_i key) . (z_j query), P V z = z value.
Z = np.array([[[1.0, 0.0], [1.0, 2.0]]], "float32")
KERNELS = [[[1.0, 0.0], [2.0, 1.0]], np.eye(2), [[0.0, 1.0], [1.0, 0.0]]]


def build(**options):
    layer = LinearSelfAttention(**options)
    layer.build((None, None, 2))
    layer.set_weights([np.array(x) for x in (*KERNELS, np.eye(2))])
    return layer


def call(layer, z=Z, **arguments):
    return ops.convert_to_numpy(layer(z, **arguments))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # f(z_1, z_1) = 1, f(z_1, z_2) = 5, f(z_2, z_2) = 9, f(z_2, z_1) = 1;
        # P V z_1 = (0, 1), P V z_2 = (2, 1). Position 1 adds 1 (0, 1) to
        # (1, 0), and position 2 adds 5 (0, 1) + 9 (2, 1) to (1, 2).
        ({}, [[1, 1], [19, 16]]),
        # Position 1 also adds f(z_2, z_1) (2, 1) = (2, 1).
        ({"is_causal": False}, [[3, 2], [19, 16]]),
        # (18, 14) / 2 = (9, 7).
        ({"normalization": "num_keys"}, [[1, 1], [10, 9]]),
    ],
)
def test_output_by_hand(options, expected):
    np.testing.assert_allclose(call(build(**options))[0], expected, rtol=1e-6)


def test_softmax_takes_the_place_of_f():
    # Weights of position 2: 1 / (1 + e^4) and e^4 / (1 + e^4).
    second = np.exp(4) / (1 + np.exp(4))
    expected = [[1, 1], [1 + 2 * second, 2 + 1]]
    output = call(build(weighting="softmax"))
    np.testing.assert_allclose(output[0], expected, rtol=1e-6)


def test_a_perturbation_is_added_to_f():
    # 10 more on f(z_1, z_2), and 100 on f(z_2, z_1), which is not seen.
    perturbation = np.array([[0.0, 100.0], [10.0, 0.0]])
    output = call(build(), perturbation=perturbation)
    np.testing.assert_allclose(output[0], [[1, 1], [19, 26]], rtol=1e-6)


def test_heads_are_added():
    # Two heads of width 1: f_1 = 1 key, f_2 = another; both by hand.
    layer = LinearSelfAttention(num_heads=2)
    layer.build((None, None, 2))
    layer.set_weights([np.eye(2), np.eye(2), np.eye(2), 3 * np.eye(2)])
    # f_1(z_1, z_2) = 1, f_1(z_2, z_2) = 1; f_2 = 0 and 4. Position 2 adds
    # 3 (1 + 1, 0) and 3 (0, 4 * 2).
    expected = [[1 + 3, 0], [1 + 6, 2 + 24]]
    np.testing.assert_allclose(call(layer)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("weighting", ["linear", "softmax"])
def test_the_future_does_not_reach_the_past(weighting):
    model = build_linear_gpt(9, 6, 8, num_layers=2, weighting=weighting)
    initialise_weights(model, np.random.default_rng(0))
    # With embeddings of 0.05 attention adds next to nothing.
    embedding = model.get_layer("embedding")
    embedding.set_weights([20 * x for x in embedding.get_weights()])
    tokens = np.array([[1, 2, 3, 4, 5, 6]])
    changed = np.array([[1, 2, 3, 8, 7, 6]])
    before, after = (ops.convert_to_numpy(model(x)) for x in (tokens, changed))
    np.testing.assert_allclose(before[:, :3], after[:, :3], atol=1e-6)
    # The last token is the same: only attention tells it of the others.
    assert np.abs(before[:, 5] - after[:, 5]).max() > 1e-3


def test_a_saved_model_computes_the_same(tmp_path):
    model = build_linear_gpt(9, 6, 8, num_layers=2, num_heads=2)
    initialise_weights(model, np.random.default_rng(0))
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    tokens = np.array([[1, 2, 3]])
    outputs = [ops.convert_to_numpy(m(tokens)) for m in (model, loaded)]
    np.testing.assert_array_equal(*outputs)
    assert loaded.get_layer("attention_1").num_heads == 2


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"num_heads": 0}, "num_heads=0"),
        ({"head_dim": 0}, "head_dim=0"),
        ({"weighting": "relu"}, "weighting='relu'"),
        ({"normalization": "mean"}, "normalization='mean'"),
        (
            {"weighting": "softmax", "normalization": "num_keys"},
            "normalization='num_keys'",
        ),
    ],
)
def test_rejects_what_it_cannot_do(options, received):
    with pytest.raises(ValueError, match=received):
        LinearSelfAttention(**options)


def test_rejects_a_width_that_heads_cannot_share():
    with pytest.raises(ValueError, match="num_heads = 3"):
        LinearSelfAttention(num_heads=3).build((None, None, 8))


def test_rejects_a_model_without_layers():
    with pytest.raises(ValueError, match="num_layers=0"):
        build_linear_gpt(9, 6, num_layers=0)
