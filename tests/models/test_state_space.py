"""Tests for tiny_gpt/models/state_space.py."""

import keras
import numpy as np
import pytest
from keras import ops

from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.models.state_space import StateSpaceConfig, StateSpaceMixer

pytestmark = pytest.mark.backend

D, T = 6, 7
SHAPES = [
    {"num_heads": 3, "state_size": 2},
    {"num_heads": 1, "state_size": 4, "conv_width": 1, "expansion": 1},
    {"num_heads": 4, "state_size": 1, "conv_width": 3, "expansion": 2},
]


def built(num_heads, state_size, seed=1, **options):
    layer = StateSpaceMixer(D, num_heads, state_size, **options)
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


def silu(x):
    return x / (1 + np.exp(-x))


def by_the_recurrence(layer, x):
    """One sentence, one position and one head after the other, in NumPy.

    Returns the outputs, (T, D), the states, (H, K, N), and the inputs of the
    convolution.
    """
    config = layer.get_config()
    heads, size = config["num_heads"], config["state_size"]
    inner = config["expansion"] * D
    weights = {
        v.path.split(f"{layer.name}/")[1]: ops.convert_to_numpy(v).astype(
            "float64"
        )
        for v in layer.variables
    }
    kernel = weights["depthwise_kernel"]
    width = len(kernel)
    state = np.zeros((heads, inner // heads, size))
    seen = [np.zeros(kernel.shape[1])] * (width - 1)
    outputs = []
    for row in x.astype("float64"):
        projected = row @ weights["in_projection/kernel"]
        gate, channels = projected[:inner], projected[inner:-heads]
        dt = np.log1p(np.exp(projected[-heads:] + weights["dt_bias"]))
        seen = [*seen, channels]
        recent = np.array(seen[-width:])
        convolved = (kernel * recent).sum(axis=0) + weights["depthwise_bias"]
        convolved = silu(convolved)
        u = convolved[:inner].reshape(heads, -1)
        b, c = convolved[inner : inner + size], convolved[inner + size :]
        y = np.empty_like(u)
        for h in range(heads):
            decay = np.exp(-dt[h] * np.exp(weights["A_log"][h]))
            state[h] = decay * state[h] + dt[h] * np.outer(u[h], b)
            y[h] = state[h] @ c + weights["skip"][h] * u[h]
        y = y.reshape(inner) * silu(gate)
        y = y / np.sqrt((y**2).mean() + 1e-6) * weights["norm/scale"]
        outputs.append(y @ weights["out_projection/kernel"])
    return np.array(outputs), state, np.array(seen)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_positions_at_once_are_the_recurrence(shape):
    layer, x = built(**shape), inputs()
    found = ops.convert_to_numpy(layer(x))
    for row, output in zip(x, found, strict=True):
        expected, _, _ = by_the_recurrence(layer, row)
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_read", [1, 5])  # fewer than the width, and more
@pytest.mark.parametrize("shape", SHAPES)
def test_the_state_is_all_that_later_positions_need(shape, num_read):
    layer, x = built(**shape), ops.convert_to_tensor(inputs())
    whole = ops.convert_to_numpy(layer(x))
    found, state = layer.read(x[:, :num_read], T - num_read)
    found = [found]
    for t in range(num_read, T):
        output, state = layer.read_one(x[:, t : t + 1], t, state)
        found.append(output)
    np.testing.assert_allclose(
        ops.concatenate(found, axis=1), whole, rtol=1e-4, atol=1e-5
    )
    _, expected, channels = by_the_recurrence(layer, inputs()[1])
    last, state = (ops.convert_to_numpy(kept)[1] for kept in state)
    np.testing.assert_allclose(state, expected, rtol=1e-4, atol=1e-5)
    expected = channels[len(channels) - len(last) :]
    np.testing.assert_allclose(last, expected, rtol=1e-5, atol=1e-6)
    assert len(last) == layer.get_config()["conv_width"] - 1


def states_of_a_constant(dt_bias, rate, lengths, **options):
    """States after some lengths of one input, over that after one position."""
    layer = StateSpaceMixer(D, 1, 2, conv_width=1, **options)
    layer.build((None, None, D))
    kernel = ops.convert_to_numpy(layer.in_projection.kernel).copy()
    kernel[:, -1] = 0  # the step is that of the bias alone
    layer.in_projection.kernel.assign(kernel)
    layer.dt_bias.assign([dt_bias])
    layer.A_log.assign([np.log(rate)])
    x = np.ones((1, max(lengths), D), "float32")
    states = [
        ops.convert_to_numpy(layer.read(x[:, :n], 0)[1][1])
        for n in (1, *lengths)
    ]
    return [state / states[0] for state in states[1:]]


def test_a_constant_input_adds_up_to_a_geometric_series():
    # dt = softplus(log(e - 1)) = 1 and a rate of log 2: the state halves.
    found = states_of_a_constant(np.log(np.e - 1), np.log(2), [2, 3, 4])
    for ratio, expected in zip(found, [1.5, 1.75, 1.875], strict=True):
        np.testing.assert_allclose(ratio, expected, rtol=1e-5)


def test_decays_are_exact_under_mixed_precision():
    # exp(-1 / 500) is 1 in bfloat16, and the sum would be 64.
    decay = np.exp(-1 / 500)
    expected = (1 - decay**64) / (1 - decay)
    (found,) = states_of_a_constant(
        np.log(np.e - 1), 1 / 500, [64], dtype="mixed_bfloat16"
    )
    assert expected < 61
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_mixed_precision_reaches_every_part():
    layer, exact = built(2, 3, dtype="mixed_bfloat16"), built(2, 3)
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
    assert layer.in_projection.compute_dtype == "bfloat16"
    read, state = layer.read(x[:, :4], 3)
    one, later = layer.read_one(x[:, 4:5], 4, state)
    for tensor in (output, read, one, state[0], later[0]):
        assert keras.backend.standardize_dtype(tensor.dtype) == "bfloat16"
    for tensor in (state[1], later[1]):
        assert keras.backend.standardize_dtype(tensor.dtype) == "float32"
    output, one = (
        ops.convert_to_numpy(ops.cast(y, "float32")) for y in (output, one)
    )
    scale = np.abs(output).max()
    np.testing.assert_allclose(one, output[:, 4:5], atol=0.02 * scale)
    np.testing.assert_allclose(
        output, ops.convert_to_numpy(exact(x)), atol=0.04 * scale
    )


def test_large_steps_leave_numbers_finite():
    # Up to 60 positions with a decay of exp(-50): exp(3000) must not appear,
    # and not in the gradient.
    layer = built(2, 3)
    layer.dt_bias.assign([50.0, 50.0])
    layer.A_log.assign([0.0, 0.0])
    model = keras.Sequential([keras.Input((60, D)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = inputs(60)
    model.train_on_batch(x, x)
    for weight in model.get_weights():
        assert np.isfinite(weight).all()
    assert np.isfinite(ops.convert_to_numpy(model(x))).all()


def test_initial_values_are_those_of_mamba():
    layer = StateSpaceMixer(500, 1000, 2)
    model = keras.Sequential([keras.Input((3, 500)), layer])
    initialise_weights(model, np.random.default_rng(1))
    rate = np.exp(ops.convert_to_numpy(layer.A_log))
    step = np.log1p(np.exp(ops.convert_to_numpy(layer.dt_bias)))
    for values, low, high in (
        (rate, 1, 16),
        (np.log(step), np.log(0.001), np.log(0.1)),
        (ops.convert_to_numpy(layer.depthwise_kernel), -0.5, 0.5),
    ):
        assert values.shape[-1] >= 1000
        assert low - 1e-4 <= values.min()
        assert values.max() <= high + 1e-4
        # Uniform: the quartiles are those of the interval.
        np.testing.assert_allclose(
            np.quantile(values, [0.25, 0.5, 0.75]),
            np.quantile([low, high], [0.25, 0.5, 0.75]),
            atol=0.06 * (high - low),
        )
    assert (ops.convert_to_numpy(layer.skip) == 1).all()
    assert (ops.convert_to_numpy(layer.norm.scale) == 1).all()
    assert (ops.convert_to_numpy(layer.depthwise_bias) == 0).all()


def test_it_survives_its_own_config():
    layer = built(3, 2, conv_width=2, expansion=1, epsilon=1e-3)
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
    config = StateSpaceConfig(
        hidden_dim=4, sequence_length=5, num_heads=2, state_size=3
    )
    # An inner width of 8, and 8 + 2 * 3 = 14 channels of the convolution.
    dense = 4 * (8 + 14 + 2) + 8 * 4
    sums = 5 * 3 + 5 * 8  # c . b and the sum over positions
    assert config.count_mixer_operations() == dense + 4 * 14 + sums
    # Two blocks: states of 2 heads, 4 wide, and the last three inputs.
    assert config.count_state() == 2 * (2 * 4 * 3 + 3 * 14)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"num_heads": 0}, "Received: num_heads=0"),
        ({"state_size": 1.5}, "Received: state_size=1.5"),
        ({"conv_width": 0}, "Received: conv_width=0"),
        ({"expansion": 0}, "Received: expansion=0"),
        ({"hidden_dim": 0}, "Received: hidden_dim=0"),
        (
            {"hidden_dim": 10, "num_heads": 3},
            "multiple of `num_heads`. Received: expansion=2, hidden_dim=10, "
            "num_heads=3",
        ),
    ],
)
def test_an_impossible_config_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        StateSpaceConfig(**changes)
