"""Tests for tiny_gpt/models/min_gru.py."""

import keras
import numpy as np
import pytest
from keras import ops

from tiny_gpt.models.min_gru import MinGRU, MinGRUConfig, linear_recurrence

pytestmark = pytest.mark.backend

IS_JAX = keras.backend.backend() == "jax"


def layer_of(width, seed=0, **config):
    """Returns a layer with random weights, and these weights."""
    layer = MinGRU(width, **config)
    layer.build((None, None, width))
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=w.shape) for w in layer.weights]
    layer.set_weights(weights)
    return layer, weights


def states_by_loop(x, weights):
    """Returns the states, one position after the other (sec. 3.1)."""
    gate_kernel, gate_bias, kernel, bias, *_ = weights
    h, found = np.zeros((len(x), len(bias))), []
    for x_t in np.moveaxis(x, 1, 0):
        z = 1.0 / (1.0 + np.exp(-(x_t @ gate_kernel + gate_bias)))
        h = (1.0 - z) * h + z * (x_t @ kernel + bias)
        found.append(h)
    return np.stack(found, axis=1)


def outputs_by_loop(x, weights):
    *_, kernel, bias = weights
    return states_by_loop(x, weights) @ kernel + bias


def inputs_of(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def array(x):
    return np.asarray(ops.convert_to_numpy(x), "float64")


def with_gate(bias):
    """Returns a layer of width 2 whose gate is constant, candidate 3 x."""
    layer, _ = layer_of(2)
    zero, one, none = np.zeros((2, 2)), np.eye(2), np.zeros(2)
    gate = np.full(2, bias)
    layer.set_weights([zero, gate, 3.0 * one, none, one, none])
    return layer


def test_a_half_open_gate_halves_the_past():
    # z = 1/2 everywhere, so a 1 at the first position gives the states
    # 3/2, 3/4, 3/8, ...
    x = np.zeros((1, 7, 2))
    x[0, 0, 0] = 1.0
    expected = np.zeros((1, 7, 2))
    expected[0, :, 0] = 3.0 * 0.5 ** np.arange(1, 8)
    found = array(with_gate(0.0)(x.astype("float32")))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_open_gate_forgets_and_a_closed_one_never_learns():
    x = inputs_of(2, 9, 2)
    np.testing.assert_allclose(array(with_gate(60.0)(x)), 3.0 * x, rtol=1e-6)
    np.testing.assert_allclose(array(with_gate(-60.0)(x)), 0.0, atol=1e-20)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 8, 11, 30])
def test_all_positions_at_once_are_as_one_after_the_other(length):
    layer, weights = layer_of(6)
    x = inputs_of(3, length, 6)
    expected = outputs_by_loop(x, weights)
    np.testing.assert_allclose(array(layer(x)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 4, 5])
def test_the_state_is_the_last_one(length):
    layer, weights = layer_of(6)
    x = inputs_of(3, length + 2, 6)
    expected = states_by_loop(x, weights)
    out, state = layer.read(x[:, :length], 2)
    np.testing.assert_array_equal(array(out), array(layer(x[:, :length])))
    for place in range(length, length + 2):
        np.testing.assert_allclose(
            array(state[0]), expected[:, place - 1], rtol=1e-4, atol=1e-5
        )
        out, state = layer.read_one(x[:, place : place + 1], place, state)
    assert [x.shape for x in state] == [(3, 6)]
    last = outputs_by_loop(x, weights)[:, -1:]
    np.testing.assert_allclose(array(out), last, rtol=1e-4, atol=1e-5)


def test_a_long_text_stays_within_its_candidates():
    # Products of 1 - z become 0 after 2000 positions, and some gates are
    # fully open or closed: float32 still agrees with the loop in float64.
    layer, weights = layer_of(6)
    weights[0] = 20.0 * weights[0]
    layer.set_weights(weights)
    x = inputs_of(1, 2000, 6)
    candidates = x @ weights[2] + weights[3]
    found = array(layer.states(x))
    assert np.abs(found).max() <= np.abs(candidates).max() * (1 + 1e-5)
    np.testing.assert_allclose(
        found, states_by_loop(x.astype("float64"), weights), atol=1e-4
    )


def gradient_of_last(factors, terms):
    """Returns the gradient of the last states' sum by both, with XLA."""

    def total(factors, terms):
        return ops.sum(linear_recurrence(factors, terms)[:, -1])

    if IS_JAX:
        import jax

        compiled = jax.jit(jax.vmap(jax.grad(total, (0, 1))))
        return [array(x) for x in compiled(factors, terms)]
    import tensorflow as tf

    @tf.function(jit_compile=True, autograph=False)
    def compiled(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            last = total(*inputs)
        return tape.gradient(last, inputs)

    pairs = zip(factors, terms, strict=True)
    found = [compiled(*map(tf.constant, pair)) for pair in pairs]
    return [np.stack([array(x) for x in xs]) for xs in zip(*found, strict=True)]


@pytest.mark.parametrize("length", [2, 6, 13])
def test_the_gradient_is_the_product_of_later_factors(length):
    # h_T = sum_s terms_s prod_{u > s} factors_u. Two batches, as of two
    # seeds: JAX computes them side by side.
    rng = np.random.default_rng(0)
    shape = (2, 3, length, 4)
    factors = rng.uniform(0.1, 1.0, shape).astype("float32")
    terms = rng.normal(size=shape).astype("float32")
    later = np.ones(shape)
    for s in range(length - 1):
        later[:, :, s] = np.prod(factors[:, :, s + 1 :], axis=2)
    before, h = np.zeros(shape), np.zeros((2, 3, 4))
    for t in range(length):
        before[:, :, t] = h
        h = factors[:, :, t] * h + terms[:, :, t]

    by_factors, by_terms = gradient_of_last(factors, terms)

    np.testing.assert_allclose(by_terms, later, rtol=1e-5)
    np.testing.assert_allclose(by_factors, before * later, rtol=1e-4, atol=1e-5)


def test_it_survives_its_own_config():
    layer = MinGRU(6, name="own", dtype="mixed_bfloat16")
    again = MinGRU.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.hidden_dim == 6


def test_mixed_precision_keeps_the_state_exact():
    # With z = 1/404, bfloat16 would round 1 - z to 255/256 or to 1.
    layer = MinGRU(6, dtype="mixed_bfloat16")
    layer.build((None, None, 6))
    weights = layer_of(6)[1]
    weights[0], weights[1] = np.zeros((6, 6)), np.full(6, -6.0)
    layer.set_weights(weights)
    for dense in (layer.gate, layer.candidate, layer.out):
        assert dense.compute_dtype == "bfloat16"
        assert dense.variable_dtype == "float32"
    x = inputs_of(2, 30, 6)
    out, (h,) = layer.read(ops.cast(x, "bfloat16"), 1)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(layer(x).dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(h.dtype) == "float32"
    expected = states_by_loop(x.astype("float64"), weights)[:, -1]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(array(h), expected, atol=0.01 * scale)
    out, state = layer.read_one(ops.cast(x[:, :1], "bfloat16"), 30, (h,))
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(state[0].dtype) == "float32"


def test_what_it_takes_is_counted():
    config = MinGRUConfig(num_layers=3, hidden_dim=5)
    layer = config.mixer()
    layer.build((None, None, 5))
    kernels = [w for w in layer.weights if w.name == "kernel"]
    assert sum(np.prod(w.shape) for w in kernels) == 75
    assert config.count_mixer_operations() == 75
    assert config.count_state() == 3 * 5
