"""Tests for positions="sinusoidal": the fixed table of Vaswani et al. 2017."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.helpers.forward import forward
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.models.layers import TokenAndPositionEmbedding, sinusoids

pytestmark = pytest.mark.backend


def test_the_first_two_positions_by_hand():
    # Width 4: rates 1 and 1/10000^(2/4) = 1/100, sines before cosines.
    table = sinusoids(2, 4)
    np.testing.assert_array_equal(table[0], [0, 1, 0, 1])
    np.testing.assert_allclose(
        table[1], [0.8414710, 0.5403023, 0.0099998, 0.9999500], atol=1e-7
    )


def test_an_odd_width_has_one_sine_more():
    # Width 3: rates 1 and 10000^(-2/3) = 0.00215443.
    np.testing.assert_allclose(
        sinusoids(2, 3),
        [[0, 1, 0], [0.8414710, 0.5403023, 0.0021544]],
        atol=1e-7,
    )
    np.testing.assert_allclose(sinusoids(3, 1)[:, 0], np.sin([0, 1, 2]))


@pytest.mark.parametrize("width", [2, 6, 64])
def test_distances_alone_decide_products_and_norms_are_equal(width):
    # sin a sin b + cos a cos b = cos(a - b): the product of two positions
    # depends on their distance, and a position with itself has D / 2.
    table = sinusoids(20, width)
    products = table @ table.T
    np.testing.assert_allclose(np.diag(products), width / 2)
    for distance in (1, 7):
        diagonal = np.diag(products, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-9)


@pytest.mark.parametrize("width", [4, 5])
def test_the_embedding_is_scaled_and_the_table_added(width):
    layer = TokenAndPositionEmbedding(3, 6, width, positions="sinusoidal")
    layer.build((1, 2))
    table = np.random.default_rng(0).normal(size=(3, width)).astype("float32")
    layer.set_weights([table])  # the only weights
    ids = np.array([[2, 0, 2], [1, 1, 0]])
    expected = table[ids] * np.sqrt(width) + sinusoids(6, width)[:3]
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(ids)), expected, rtol=1e-5, atol=1e-6
    )
    later = ops.convert_to_numpy(layer(ids[:, :1], first_position=4))
    expected = table[ids[:, :1]] * np.sqrt(width) + sinusoids(6, width)[4]
    np.testing.assert_allclose(later, expected, rtol=1e-5, atol=1e-6)


def test_the_table_has_the_precision_of_the_layer():
    layer = TokenAndPositionEmbedding(
        3, 4, 2, positions="sinusoidal", dtype="mixed_bfloat16"
    )
    found = layer(np.zeros((1, 4), "int32")).dtype
    assert keras.backend.standardize_dtype(found) == "bfloat16"


def test_a_network_of_odd_width_tells_positions_apart():
    config = GPTConfig(5, 6, num_heads=1, head_dim=5, positions="sinusoidal")
    model = config.build()
    initialise_weights(model, np.random.default_rng(0))
    logits = forward(model, np.full((1, 6), 2))[0]
    assert np.abs(logits[1:] - logits[:-1]).max(axis=1).min() > 1e-4
    names = [v.name for v in model.variables]
    assert "position_table" not in names
