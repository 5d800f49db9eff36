"""Tests for tiny_gpt/models/layers.py, attention.py and blocks.py."""

import keras
import numpy as np
import pytest
from keras import ops

from tiny_gpt.models.attention import CausalSelfAttention
from tiny_gpt.models.blocks import TransformerBlock
from tiny_gpt.models.layers import TokenAndPositionEmbedding

pytestmark = pytest.mark.backend

X = np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]], "float32")
ZERO, IDENTITY, NO_BIAS = np.zeros((2, 2)), np.eye(2), np.zeros(2)


def attention_with(query, key, **config):
    """One head of width 2; values and output pass x through."""
    layer = CausalSelfAttention(num_heads=1, head_dim=2, **config)
    layer.build((1, 3, 2))
    layer.query.set_weights([query, NO_BIAS])
    layer.key.set_weights([key, NO_BIAS])
    layer.value.set_weights([IDENTITY, NO_BIAS])
    layer.out.set_weights([IDENTITY, NO_BIAS])
    return layer


def test_equal_logits_average_the_past():
    # Zero queries make every visible position equally likely, so output t is
    # the mean of x[0], ..., x[t].
    out = attention_with(ZERO, IDENTITY)(X)
    expected = [[[1, 0], [1 / 2, 1 / 2], [2 / 3, 2 / 3]]]
    np.testing.assert_allclose(ops.convert_to_numpy(out), expected, rtol=1e-6)


def test_attention_by_hand():
    # Position 1 is (0, 1). Its products with keys (1, 0) and (0, 1) are 0 and
    # 1, scaled by 1/sqrt(2): weights 1/(1 + e) and e/(1 + e), e = exp(.7071).
    out = ops.convert_to_numpy(attention_with(IDENTITY, IDENTITY)(X))
    e = np.exp(1 / np.sqrt(2))
    np.testing.assert_allclose(out[0, 1], [1 / (1 + e), e / (1 + e)], rtol=1e-6)


def test_the_published_scale_counts_all_heads():
    # Two heads of width 1 and 1/sqrt(2), against the usual 1/sqrt(1): the
    # usual scale with queries over sqrt(2) gives the same.
    published, usual = (
        CausalSelfAttention(2, 1, logit_scale=s)
        for s in ("hidden_dim", "head_dim")
    )
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s) for s in [(2, 2), (2,)] * 4]
    for layer in (published, usual):
        layer.build((1, 3, 2))
        layer.set_weights(weights)
    different = np.abs(
        ops.convert_to_numpy(usual(X)) - ops.convert_to_numpy(published(X))
    )
    assert different.max() > 1e-3  # it can fail
    kernel, bias = usual.query.get_weights()
    usual.query.set_weights([kernel / np.sqrt(2), bias / np.sqrt(2)])
    np.testing.assert_allclose(
        ops.convert_to_numpy(usual(X)),
        ops.convert_to_numpy(published(X)),
        rtol=1e-5,
    )


def test_the_future_does_not_reach_the_past():
    layer = CausalSelfAttention(num_heads=2, head_dim=3)
    x = np.random.default_rng(0).normal(size=(1, 5, 6)).astype("float32")
    changed = x.copy()
    changed[:, 3:] += 1.0

    before = ops.convert_to_numpy(layer(x))
    after = ops.convert_to_numpy(layer(changed))

    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[:, 3:] - after[:, 3:]).max() > 1e-3  # it can fail


def test_dropout_on_logits_lets_a_masked_position_through():
    # As in Corpus2GPT: a dropped logit becomes 0, also where it was -inf.
    # Position 0 sees only itself, so it returns x[0] = (1, 0) unless a
    # masked logit was dropped.
    def first_positions(placement):
        layer = attention_with(
            ZERO, IDENTITY, dropout=0.5, dropout_placement=placement
        )
        many = np.repeat(X, 200, axis=0)
        out = ops.convert_to_numpy(layer(many, training=True))
        return out[:, 0, 1]  # 0 unless a later position is seen

    assert (first_positions("logits") > 0).any()
    assert (first_positions("weights") == 0).all()


def test_a_wrong_width_is_refused():
    with pytest.raises(ValueError, match="num_heads \\* head_dim = 6"):
        CausalSelfAttention(2, 3).build((1, 5, 7))


def test_an_embedding_adds_token_and_position():
    layer = TokenAndPositionEmbedding(3, 4, 2)
    layer.build((1, 2))
    tokens, positions = np.arange(6).reshape(3, 2), np.arange(8).reshape(4, 2)
    layer.set_weights([tokens, positions * 10])
    out = ops.convert_to_numpy(layer(np.array([[2, 0]])))
    # (4, 5) + (0, 10) and (0, 1) + (20, 30).
    np.testing.assert_array_equal(out, [[[4, 15], [20, 31]]])
    later = ops.convert_to_numpy(layer(np.array([[2]]), first_position=1))
    np.testing.assert_array_equal(later, [[[24, 35]]])


def test_without_positions_only_the_token_counts():
    layer = TokenAndPositionEmbedding(3, 4, 2, positions="none")
    out = ops.convert_to_numpy(layer(np.array([[2, 1, 2]])))
    np.testing.assert_array_equal(out[0, 0], out[0, 2])
    assert len(layer.weights) == 1


def test_an_input_longer_than_the_window_is_refused():
    layer = TokenAndPositionEmbedding(3, 4, 2)
    with pytest.raises(ValueError, match="sequence_length = 4"):
        layer(np.zeros((1, 5), "int32"))


def test_indexed_slices_exist_on_tensorflow_only():
    if keras.backend.backend() == "tensorflow":
        TokenAndPositionEmbedding(3, 4, 2, embedding_gradient="indexed_slices")
        return
    with pytest.raises(ValueError, match="TensorFlow only"):
        TokenAndPositionEmbedding(3, 4, 2, embedding_gradient="indexed_slices")


def norm(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)


@pytest.mark.parametrize("normalization", ["post", "pre"])
def test_a_block_without_weights_only_normalises(normalization):
    # With all kernels zero both sub-layers add nothing: post-norm leaves the
    # norm of the norm of x, pre-norm x itself.
    block = TransformerBlock(2, 2, 8, normalization=normalization)
    block.build((1, 3, 4))
    for variable in block.trainable_variables:
        if variable.name == "kernel":
            variable.assign(np.zeros(variable.shape))
    x = np.random.default_rng(0).normal(size=(1, 3, 4)).astype("float32")
    expected = norm(norm(x)) if normalization == "post" else x
    np.testing.assert_allclose(
        ops.convert_to_numpy(block(x)), expected, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    "layer",
    [
        TokenAndPositionEmbedding(3, 4, 2, positions="none"),
        TokenAndPositionEmbedding(3, 4, 2, positions="sinusoidal"),
        CausalSelfAttention(2, 3, "hidden_dim", 0.1, "logits"),
        TransformerBlock(
            2, 3, 7, "hidden_dim", 0.1, "logits", "post", 1e-3, "relu", "gelu"
        ),
    ],
)
def test_layers_survive_their_own_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_mixed_precision_reaches_every_part():
    block = TransformerBlock(2, 2, 8, dtype="mixed_bfloat16")
    x = np.ones((1, 3, 4), "float32")
    assert keras.backend.standardize_dtype(block(x).dtype) == "bfloat16"
    assert block.attention.query.compute_dtype == "bfloat16"
    assert block.inner.variable_dtype == "float32"
