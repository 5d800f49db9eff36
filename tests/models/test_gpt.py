"""Tests for tiny_gpt/models/gpt.py."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from tests.helpers.forward import forward
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights

pytestmark = pytest.mark.backend

SMALL = GPTConfig(
    vocabulary_size=11, sequence_length=7, num_heads=3, head_dim=4
)
VARIANTS = {
    "published": {},
    "usual": {
        "normalization": "pre",
        "logit_scale": "head_dim",
        "output_activation": None,
        "num_unused_classes": 0,
    },
    "no_positions": {"positions": "none"},
    "sinusoidal": {"positions": "sinusoidal"},
}
TOKENS = np.random.default_rng(5).integers(0, 11, (2, 7))


def small(**changes):
    config = GPTConfig(**{**vars(SMALL), **changes})
    model = config.build()
    initialise_weights(model, np.random.default_rng(1))
    return model, config


@pytest.mark.slow
def test_published_parameter_counts():
    # Facts of Sinha 2024's code: 4,533,631 (sec. 3.1), 34,196,455 (sec. 3.2).
    assert GPTConfig().build().count_params() == 4_533_631
    four = GPTConfig(
        vocabulary_size=54, num_layers=3, num_heads=30, head_dim=30
    )
    assert four.build().count_params() == 34_196_455


def reference_logits(model, config, tokens):
    """The network in NumPy and float64, written from the paper's facts."""
    erf = np.vectorize(math.erf)

    def gelu(x):
        return x * (1 + erf(x / math.sqrt(2))) / 2

    def dense(x, layer):
        kernel, bias = (np.asarray(w, "float64") for w in layer.get_weights())
        return x @ kernel + bias

    def norm(x):
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + config.layer_norm_epsilon)

    heads, width = config.num_heads, config.head_dim
    is_post = config.normalization == "post"
    scale = heads * width if config.logit_scale == "hidden_dim" else width
    length = tokens.shape[1]
    tables = model.get_layer("embedding").get_weights()
    x = np.asarray(tables[0], "float64")[tokens]
    if config.positions == "learned":
        x = x + tables[1][:length]
    elif config.positions == "sinusoidal":
        # Vaswani et al. 2017, sec. 3.4 and 3.5, in complex numbers.
        rates = 10000.0 ** (-2 * np.arange(width * heads // 2) / x.shape[-1])
        waves = np.exp(1j * np.outer(np.arange(length), rates))
        sines = np.stack([waves.imag, waves.real], axis=-1)
        x = x * np.sqrt(x.shape[-1]) + sines.reshape(length, -1)
    for i in range(config.num_layers):
        block = model.get_layer(f"block_{i}")
        attention = block.attention
        read = x if is_post else norm(x)
        q, k, v = (
            dense(read, layer)
            for layer in (attention.query, attention.key, attention.value)
        )
        out = np.zeros_like(x)
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            for t in range(length):
                logits = k[:, : t + 1, part] @ q[:, t, part, None]
                p = np.exp(logits[..., 0] / math.sqrt(scale))
                p /= p.sum(axis=-1, keepdims=True)
                out[:, t, part] = np.einsum(
                    "bs,bsk->bk", p, v[:, : t + 1, part]
                )
        x = x + dense(out, attention.out)
        x = norm(x) if is_post else x
        read = x if is_post else norm(x)
        hidden = dense(gelu(dense(read, block.inner)), block.outer)
        x = x + (gelu(hidden) if config.output_activation else hidden)
        x = norm(x) if is_post else x
    return dense(x if is_post else norm(x), model.get_layer("head"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_network_is_the_published_function(variant):
    model, config = small(**VARIANTS[variant])
    rng = np.random.default_rng(2)
    for v in model.variables:  # biases too
        if v.name in ("kernel", "bias"):
            v.assign(rng.normal(scale=0.3, size=v.shape))
    logits = forward(model, TOKENS)
    expected = reference_logits(model, config, TOKENS)
    assert logits.shape == (2, 7, 11 + config.num_unused_classes)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_later_token_changes_no_earlier_logit(variant):
    model, _ = small(**VARIANTS[variant])
    changed = TOKENS.copy()
    changed[:, 4] = (changed[:, 4] + 1) % 11
    before = forward(model, TOKENS)
    after = forward(model, changed)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert np.abs(before[:, 4:] - after[:, 4:]).max() > 1e-4  # it can fail


def test_a_shorter_input_gives_the_same_logits():
    model, _ = small()
    whole = forward(model, TOKENS)
    part = forward(model, TOKENS[:, :3])
    np.testing.assert_allclose(part, whole[:, :3], rtol=1e-5, atol=1e-6)


def test_initial_weights_follow_the_seed_and_keras_defaults():
    one, again = small()[0], small()[0]
    for a, b in zip(one.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for v in one.variables:
        values = ops.convert_to_numpy(v)
        if v.name == "kernel":
            # Glorot: uniform within sqrt(6 / (fan_in + fan_out)).
            limit = np.sqrt(6 / sum(v.shape))
            assert 0.9 * limit < np.abs(values).max() <= limit
        elif v.name.endswith("table"):
            assert 0.04 < np.abs(values).max() <= 0.05
        else:
            assert (values == (1 if v.name == "gamma" else 0)).all()


def recurrent(layer):
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(11, 6)(ids)
    return keras.Model(ids, keras.layers.Dense(11)(layer(x)))


def test_a_recurrent_network_follows_the_seed():
    # Keras's own draws differ by backend: what is not drawn here is an error.
    weights = []
    for layer in (keras.layers.GRU, keras.layers.GRU, keras.layers.LSTM):
        model = recurrent(layer(5, return_sequences=True))
        initialise_weights(model, np.random.default_rng(1))
        weights.append(model.get_weights())
        kernel = layer_weight(model, "recurrent_kernel")
        np.testing.assert_allclose(
            kernel @ kernel.T, np.eye(5), rtol=0, atol=1e-5
        )
        assert 0.04 < np.abs(layer_weight(model, "embeddings")).max() <= 0.05
    for a, b in zip(*weights[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    # The forget gate of an LSTM starts open, as Keras builds it.
    assert sorted(set(weights[2][3])) == [0.0, 1.0]


def layer_weight(model, name):
    (variable,) = (v for v in model.variables if v.name == name)
    return ops.convert_to_numpy(variable)


def test_a_convolution_has_the_fans_of_keras():
    ids = keras.Input((5, 4))
    model = keras.Model(ids, keras.layers.Conv1D(6, 3)(ids))
    initialise_weights(model, np.random.default_rng(1))
    kernel = np.abs(layer_weight(model, "kernel"))
    limit = math.sqrt(6 / (3 * 4 + 3 * 6))
    assert 0.9 * limit < kernel.max() <= limit


def test_a_variable_that_nobody_draws_is_refused():
    ids = keras.Input((5, 4))
    model = keras.Model(ids, keras.layers.PReLU(name="steep")(ids))
    with pytest.raises(ValueError, match=r"Received: steep/alpha"):
        initialise_weights(model, np.random.default_rng(1))


@pytest.mark.slow
def test_dropout_follows_the_seed():
    one, again = (small(dropout=0.3)[0] for _ in range(2))
    a = ops.convert_to_numpy(one(TOKENS, training=True))
    b = ops.convert_to_numpy(again(TOKENS, training=True))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - forward(one, TOKENS)).max() > 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_saved_model_loads_equal(variant, tmp_path):
    model, _ = small(**VARIANTS[variant])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        forward(loaded, TOKENS),
        forward(model, TOKENS),
    )


def embedding_gradient(mode):
    """The change of the token table after one step of plain SGD."""
    model, _ = small(embedding_gradient=mode)
    table = model.get_layer("embedding").token_table
    before = ops.convert_to_numpy(table).copy()
    model.compile(
        keras.optimizers.SGD(1.0, clipnorm=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    same = np.full((1, 7), 3)  # one token, seven times
    model.train_on_batch(same, same)
    return before - ops.convert_to_numpy(table)


def test_repeated_tokens_are_summed_before_clipping():
    # Dense: the one row that moves has the norm of the whole gradient, 0.01
    # after clipping. Apart, seven slices have norm 0.01 together, and their
    # sum can be up to sqrt(7) times longer.
    dense = embedding_gradient("dense")
    assert np.linalg.norm(dense) == pytest.approx(0.01, rel=1e-4)
    assert np.count_nonzero(np.abs(dense).sum(axis=1)) == 1
    if keras.backend.backend() == "tensorflow":
        apart = np.linalg.norm(embedding_gradient("indexed_slices"))
        assert 0.01 * 1.05 < apart < 0.01 * np.sqrt(7) * 1.001


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"num_layers": 0}, "num_layers=0"),
        ({"vocabulary_size": -1}, "vocabulary_size=-1"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"num_unused_classes": -1}, "num_unused_classes=-1"),
        ({"normalization": "both"}, "normalization='both'"),
        ({"logit_scale": "none"}, "logit_scale='none'"),
        ({"positions": "rotary"}, "positions='rotary'"),
        ({"embedding_gradient": "sparse"}, "embedding_gradient='sparse'"),
        ({"dropout_placement": "x"}, "dropout_placement='x'"),
    ],
)
def test_an_impossible_config_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        GPTConfig(**changes)
