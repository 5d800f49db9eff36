"""Tests for tiny_gpt/models/kernel_attention.py."""

import keras
import numpy as np
import pytest
from keras import ops

from tiny_gpt.models.kernel_attention import (
    KernelAttention,
    LinearAttentionConfig,
    feature_map,
)

pytestmark = pytest.mark.backend

X = np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]], "float32")
ZERO, IDENTITY, NO_BIAS = np.zeros((2, 2)), np.eye(2), np.zeros(2)


def layer_with(query, key, query_bias=NO_BIAS, key_bias=NO_BIAS):
    """One head of width 2; values and output pass x through."""
    layer = KernelAttention(num_heads=1, head_dim=2)
    layer.build((None, None, 2))
    layer.query.set_weights([query, query_bias])
    layer.key.set_weights([key, key_bias])
    layer.value.set_weights([IDENTITY, NO_BIAS])
    layer.out.set_weights([IDENTITY, NO_BIAS])
    return layer


def layer_of(num_heads, head_dim, seed=0, **config):
    """Returns a layer with random weights, and these weights."""
    layer = KernelAttention(num_heads, head_dim, **config)
    layer.build((None, None, num_heads * head_dim))
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=w.shape) for w in layer.weights]
    layer.set_weights(weights)
    return layer, weights


def phi(x):
    return np.where(x > 0, x + 1.0, np.exp(np.minimum(x, 0.0)))


def by_loop(x, weights, num_heads):
    """Returns outputs and both sums, one position after the other.

    Katharopoulos et al. 2020, eqs. 16 to 20, without their residual.
    """
    pairs = zip(weights[::2], weights[1::2], strict=True)
    (wq, bq), (wk, bk), (wv, bv), (wo, bo) = pairs
    heads = (len(x), num_heads, -1)
    width = x.shape[-1] // num_heads
    s = np.zeros((len(x), num_heads, width, width))
    z = np.zeros((len(x), num_heads, width))
    found = []
    for x_t in np.moveaxis(x.astype("float64"), 1, 0):
        q = phi(x_t @ wq + bq).reshape(heads)
        k = phi(x_t @ wk + bk).reshape(heads)
        v = (x_t @ wv + bv).reshape(heads)
        s = s + k[..., :, None] * v[..., None, :]
        z = z + k
        mean = (q[..., None, :] @ s)[..., 0, :] / (q * z).sum(-1)[..., None]
        found.append(mean.reshape(len(x), -1) @ wo + bo)
    return np.stack(found, axis=1), s, z


def inputs_of(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def array(x):
    return np.asarray(ops.convert_to_numpy(x), "float64")


def dtype_of(x):
    return keras.backend.standardize_dtype(x.dtype)


def test_equal_features_average_the_past():
    # Zero queries and keys have the features (1, 1), so output t is the mean
    # of x[0], ..., x[t].
    expected = [[[1, 0], [1 / 2, 1 / 2], [2 / 3, 2 / 3]]]
    found = array(layer_with(ZERO, ZERO)(X))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_attention_by_hand():
    # Position 1 is (0, 1). Its query has the features (1, 2); keys (1, 0) and
    # (0, 1) have (2, 1) and (1, 2). Products 4 and 5: weights 4/9 and 5/9.
    found = array(layer_with(IDENTITY, IDENTITY)(X))
    np.testing.assert_allclose(found[0, 1], [4 / 9, 5 / 9], rtol=1e-5)


def test_features_are_positive_and_exact_far_below_zero():
    x = np.array([-80.0, -20.0, -1.0, -1e-3, 0.0, 1e-3, 2.0, 1e4, 1e30])
    found = array(feature_map(ops.convert_to_tensor(x.astype("float32"))))
    np.testing.assert_allclose(found, phi(x), rtol=1e-5)
    assert (found > 0).all()


def test_the_gradient_of_features_is_finite_everywhere():
    x = np.array([-200.0, -1.0, 0.0, 1.0, 200.0], "float32")
    expected = [0.0, np.exp(-1.0), 1.0, 1.0, 1.0]
    if keras.backend.backend() == "jax":
        import jax

        found = jax.grad(lambda x: feature_map(x).sum())(x)
    else:
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(feature_map(x))
        found = tape.gradient(total, x)
    np.testing.assert_allclose(array(found), expected, rtol=1e-6)


def test_vanished_weights_give_no_nan():
    # Features of -200 are 0 in float32, and so are all weights.
    low = np.full(2, -200.0)
    layer = layer_with(ZERO, ZERO, low, low)
    np.testing.assert_array_equal(array(layer(X)), np.zeros_like(X))
    _, state = layer.read(X[:, :2], 1)
    last, _ = layer.read_one(X[:, 2:], 2, state)
    np.testing.assert_array_equal(array(last), np.zeros((1, 1, 2)))


@pytest.mark.parametrize(("num_heads", "head_dim"), [(1, 6), (2, 3), (6, 1)])
def test_all_positions_at_once_are_as_one_after_the_other(num_heads, head_dim):
    layer, weights = layer_of(num_heads, head_dim)
    x = inputs_of(3, 11, 6)
    expected, *_ = by_loop(x, weights, num_heads)
    np.testing.assert_allclose(array(layer(x)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [1, 4])
def test_the_state_is_the_two_sums(length):
    layer, weights = layer_of(2, 3)
    x = inputs_of(3, length + 2, 6)
    out, state = layer.read(x[:, :length], 2)
    np.testing.assert_array_equal(array(out), array(layer(x[:, :length])))
    for place in range(length, length + 2):
        out, state = layer.read_one(x[:, place : place + 1], place, state)
    expected, *sums = by_loop(x, weights, 2)
    np.testing.assert_allclose(
        array(out), expected[:, -1:], rtol=1e-4, atol=1e-4
    )
    assert [x.shape for x in state] == [(3, 2, 3, 3), (3, 2, 3)]
    for found, own in zip(state, sums, strict=True):
        np.testing.assert_allclose(array(found), own, rtol=1e-4, atol=1e-4)


def test_an_output_lies_between_the_values_seen():
    # The weights are positive and sum to 1.
    rng = np.random.default_rng(0)
    layer = layer_with(*rng.normal(scale=0.5, size=(2, 2, 2)))
    x = inputs_of(4, 9, 2)
    found = array(layer(x))
    low = np.minimum.accumulate(x, axis=1)
    high = np.maximum.accumulate(x, axis=1)
    assert (found >= low - 1e-5).all()
    assert (found <= high + 1e-5).all()
    assert (found[:, 1:] < high[:, 1:] - 1e-3).any()  # it can fail


def test_it_survives_its_own_config():
    layer = KernelAttention(2, 3, name="own", dtype="mixed_bfloat16")
    again = KernelAttention.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.num_heads, again.head_dim) == (2, 3)


def test_mixed_precision_keeps_the_sums_exact():
    # With zero keys each position adds the features 1: bfloat16 cannot count
    # beyond 256.
    layer, weights = layer_of(2, 3, dtype="mixed_bfloat16")
    weights[2:4] = np.zeros((6, 6)), np.zeros(6)
    layer.set_weights(weights)
    for dense in (layer.query, layer.key, layer.value, layer.out):
        assert dense.compute_dtype == "bfloat16"
        assert dense.variable_dtype == "float32"
    x = inputs_of(1, 303, 6)
    low = ops.cast(x, "bfloat16")
    out, state = layer.read(low[:, :300], 3)
    assert dtype_of(out) == dtype_of(layer(x)) == "bfloat16"
    for place in range(300, 303):
        out, state = layer.read_one(low[:, place : place + 1], place, state)
    assert dtype_of(out) == "bfloat16"
    assert [dtype_of(x) for x in state] == ["float32", "float32"]
    np.testing.assert_array_equal(array(state[1]), np.full((1, 2, 3), 303.0))


def test_a_wrong_width_is_refused():
    with pytest.raises(ValueError, match="num_heads \\* head_dim = 6"):
        KernelAttention(2, 3).build((1, 5, 7))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"num_heads": 3}, "hidden_dim` must be num_heads.*num_heads=3"),
        ({"hidden_dim": 65}, "Received: hidden_dim=65"),
        ({"num_heads": 0}, "num_heads=0"),
        ({"head_dim": 16.0}, "head_dim=16.0"),
        ({"hidden_dim": 0}, "hidden_dim=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_an_impossible_config_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        LinearAttentionConfig(**changes)


def test_what_it_takes_is_counted():
    config = LinearAttentionConfig(
        num_layers=3, hidden_dim=6, num_heads=2, head_dim=3, sequence_length=10
    )
    # Four products with 6 x 6 kernels, and 10 x 10 weights over 10 tokens,
    # which take 10 x 10 x 6 products, twice.
    assert config.count_mixer_operations() == 4 * 36 + 2 * 10 * 6
    # Two heads with 3 x 3 and 3 numbers each, in three blocks.
    assert config.count_state() == 3 * 2 * (9 + 3)
