"""Tests for tiny_gpt/models/gmlp.py."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from tiny_gpt.models.gmlp import GMLPConfig, SpatialGating
from tiny_gpt.models.initial_weights import initialise_weights

pytestmark = pytest.mark.backend

D, E, T = 4, 3, 6


def built(seed=1, **options):
    layer = SpatialGating(D, E, T, **options)
    rng = np.random.default_rng(seed)
    model = keras.Sequential([keras.Input((None, D)), layer])
    initialise_weights(model, rng)
    for v in layer.trainable_variables:
        own = ops.convert_to_numpy(v)
        v.assign(own + rng.normal(scale=0.5, size=v.shape))
    return layer


def inputs(length=T, seed=2):
    shape = (2, length, D)
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def parts(layer, row):
    """Returns u and the normalised v of one position, in NumPy."""
    kernel, bias = (w.astype("float64") for w in layer.inner.get_weights())
    z = row @ kernel + bias
    z = z * [0.5 * (1 + math.erf(x / math.sqrt(2))) for x in z]
    u, v = z[:E], z[E:]
    v = (v - v.mean()) / np.sqrt(v.var() + 1e-6)
    gamma, beta = layer.norm.get_weights()
    return u, v * gamma + beta


def one_after_the_other(layer, x):
    """Outputs of one sentence, (T', D), position by position, in NumPy."""
    spatial = ops.convert_to_numpy(layer.spatial_kernel)
    at_each = ops.convert_to_numpy(layer.spatial_bias)
    kernel, bias = layer.outer.get_weights()
    outputs, seen = [], []
    for t, row in enumerate(x):
        u, v = parts(layer, row)
        seen.append(v)
        gate = at_each[t] + sum(spatial[t, s] * seen[s] for s in range(t + 1))
        outputs.append((u * gate) @ kernel + bias)
    return np.array(outputs)


@pytest.mark.parametrize("length", [T, 4])  # and the corner of W
def test_all_positions_at_once_as_one_after_the_other(length):
    layer, x = built(), inputs(length)
    found = ops.convert_to_numpy(layer(x))
    expected = [one_after_the_other(layer, row) for row in x]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_weight_takes_one_position_to_one_other():
    # With W[2, 0] = 1 alone and b = 0, position 2 is gated by v_0, and no
    # other position has an output.
    layer, x = built(), inputs()
    kernel = np.zeros((T, T))
    kernel[2, 0] = 1
    layer.spatial_kernel.assign(kernel)
    layer.spatial_bias.assign(np.zeros(T))
    outer, _ = layer.outer.get_weights()
    layer.outer.bias.assign(np.zeros(D))
    found = ops.convert_to_numpy(layer(x))[0]
    (_, gate), (u, _) = parts(layer, x[0, 0]), parts(layer, x[0, 2])
    np.testing.assert_allclose(found[2], (u * gate) @ outer, rtol=1e-4)
    assert (np.delete(found, 2, axis=0) == 0).all()


def test_weights_from_later_positions_have_no_effect():
    layer, x = built(), ops.convert_to_tensor(inputs())

    def outputs():
        _, state = layer.read(x[:, :2], T - 2)
        return layer(x), layer.read_one(x[:, 2:3], 2, state)[0]

    before = outputs()
    kernel = ops.convert_to_numpy(layer.spatial_kernel)
    layer.spatial_kernel.assign(kernel + np.triu(np.ones((T, T)), 1))
    for a, b in zip(before, outputs(), strict=True):
        np.testing.assert_array_equal(a, b)
    layer.spatial_kernel.assign(kernel + np.tril(np.ones((T, T))))
    assert np.abs(ops.convert_to_numpy(layer(x) - before[0])).max() > 0.1


@pytest.mark.parametrize("num_more", [3, 4])  # it fills T, or not
def test_the_state_is_all_that_later_positions_need(num_more):
    layer, x = built(), ops.convert_to_tensor(inputs())
    found, state = layer.read(x[:, :2], num_more)
    assert state[0].shape == (2, 2 + num_more, E)
    found = [found]
    for t in range(2, 2 + num_more):
        assert (ops.convert_to_numpy(state[0])[:, t:] == 0).all()
        place = ops.convert_to_tensor(t)
        output, state = layer.read_one(x[:, t : t + 1], place, state)
        found.append(output)
    np.testing.assert_allclose(
        ops.concatenate(found, axis=1),
        ops.convert_to_numpy(layer(x))[:, : 2 + num_more],
        rtol=1e-4,
        atol=1e-5,
    )
    expected = [parts(layer, row)[1] for row in inputs()[1, : 2 + num_more]]
    np.testing.assert_allclose(
        ops.convert_to_numpy(state[0])[1], expected, rtol=1e-3, atol=1e-4
    )


def test_a_drawn_layer_sees_only_itself_at_first():
    # Liu et al. 2021, sec. 2.1: the gate starts as 1.
    layer = SpatialGating(D, E, T)
    model = keras.Sequential([keras.Input((T, D)), layer])
    initialise_weights(model, np.random.default_rng(1))
    kernel = ops.convert_to_numpy(layer.spatial_kernel)
    limit = 1e-3 / T
    assert 0.8 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
    assert (kernel[np.triu_indices(T, 1)] == 0).all()
    assert (kernel[np.tril_indices(T)] != 0).all()
    assert (ops.convert_to_numpy(layer.spatial_bias) == 1).all()
    x = inputs()
    u = np.array([parts(layer, row)[0] for row in x[0]])
    alone = u @ ops.convert_to_numpy(layer.outer.kernel)
    found = ops.convert_to_numpy(layer(x))[0]
    np.testing.assert_allclose(found, alone, atol=3e-3 * np.abs(alone).max())


def test_mixed_precision_reaches_every_part():
    layer, exact = built(dtype="mixed_bfloat16"), built()
    exact.set_weights(layer.get_weights())
    x = ops.convert_to_tensor(inputs())
    output = layer(x)
    # Keras casts a layer's own weights in a call, and not in `read`.
    np.testing.assert_array_equal(
        *(
            ops.convert_to_numpy(ops.cast(y, "float32"))
            for y in (output, layer.read(x, 0)[0])
        )
    )
    assert {v.dtype for v in layer.variables} == {"float32"}
    assert layer.inner.compute_dtype == "bfloat16"
    read, state = layer.read(x[:, :4], 2)
    one, later = layer.read_one(x[:, 4:5], 4, state)
    for tensor in (output, read, one, state[0], later[0]):
        assert keras.backend.standardize_dtype(tensor.dtype) == "bfloat16"
    output, one = (
        ops.convert_to_numpy(ops.cast(y, "float32")) for y in (output, one)
    )
    scale = np.abs(output).max()
    np.testing.assert_allclose(one, output[:, 4:5], atol=0.02 * scale)
    np.testing.assert_allclose(
        output, ops.convert_to_numpy(exact(x)), atol=0.04 * scale
    )


def test_an_input_longer_than_the_window_is_refused():
    layer = built()
    with pytest.raises(ValueError, match=r"= 6 positions\. Received: 7"):
        layer(inputs(7))
    x = ops.convert_to_tensor(inputs(4))
    with pytest.raises(ValueError, match="4 positions, and 3 to follow"):
        layer.read(x, 3)


def test_it_survives_its_own_config():
    layer = built(epsilon=1e-3)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert again.get_config() == layer.get_config()
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        ops.convert_to_numpy(again(inputs())),
        ops.convert_to_numpy(layer(inputs())),
    )


def test_its_counts_by_hand():
    config = GMLPConfig(hidden_dim=4, sequence_length=5, gate_dim=3)
    # 4 to 6 channels, 3 to 4, and a sum over 5 positions of 3 channels.
    assert config.count_mixer_operations() == 4 * 6 + 3 * 4 + 5 * 3
    assert config.count_state() == 2 * 5 * 3  # in two blocks


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"gate_dim": 0}, "Received: gate_dim=0"),
        ({"gate_dim": 2.5}, "Received: gate_dim=2.5"),
        ({"sequence_length": 0}, "Received: sequence_length=0"),
    ],
)
def test_an_impossible_config_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        GMLPConfig(**changes)
