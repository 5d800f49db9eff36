"""Tests for tiny_gpt/models/fast_cpu.py: the same functions and gradients."""

import keras
import numpy as np
import pytest

from tiny_gpt.models.blocks import TransformerBlock
from tiny_gpt.models.chain import apply
from tiny_gpt.models.layers import TokenAndPositionEmbedding
from tiny_gpt.runtime import backend

if keras.backend.backend() != "jax":
    pytest.skip("these forms exist on JAX alone", allow_module_level=True)

import jax
import jax.numpy as jnp

from tiny_gpt.models import fast_cpu

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


SHORTEST_WINDOW = fast_cpu.SHORTEST_WINDOW


@pytest.fixture(autouse=True)
def _short_windows(monkeypatch):
    # Tests are small; the rule itself has a test of its own.
    monkeypatch.setattr(fast_cpu, "SHORTEST_WINDOW", 2)


@pytest.fixture(params=list(TOLERANCE))
def dtype(request):
    with jax.enable_x64(request.param == "float64"):
        yield request.param


def normal(seed, *shape, dtype="float32"):
    values = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(values, dtype)


def assert_same(fast, plain, arguments, dtype, vanishing=()):
    """Values, and gradients by all arguments, up to rounding.

    Errors are compared with the largest entry of each array; the gradients
    of the arguments `vanishing`, by place, are rounding noise around 0.
    """

    def value_and_gradients(function):
        @jax.jit  # one program: op by op takes ten times as long
        def compiled(arguments):
            out = function(*arguments)
            weights = normal(9, *out.shape, dtype=dtype)
            loss = jax.grad(lambda args: (function(*args) * weights).sum())(
                arguments
            )
            return out, loss

        return jax.tree.leaves(compiled(arguments))

    pairs = zip(
        value_and_gradients(fast), value_and_gradients(plain), strict=True
    )
    largest = 0.0
    for i, (found, expected) in enumerate(pairs):
        assert found.dtype == expected.dtype == dtype
        scale = np.abs(expected).max()
        largest = max(largest, scale)
        if i - 1 in vanishing:  # the value is before the gradients
            assert np.abs(found).max() < TOLERANCE[dtype] * largest
            continue
        assert scale > 0
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=TOLERANCE[dtype] * scale
        )


def plain_gelu(z):
    return z * jax.scipy.stats.norm.cdf(z)


def test_gelu(dtype):
    z = jnp.linspace(-6.0, 6.0, 97, dtype=dtype)
    assert_same(fast_cpu.gelu, plain_gelu, (z,), dtype)
    # Phi(1) = 0.841344746...
    one = fast_cpu.gelu(jnp.ones((), dtype))
    assert float(one) == pytest.approx(0.8413447460685429, rel=1e-6)


def plain_layer_norm(z, scale, shift):
    centred = z - z.mean(axis=0)
    deviation = jnp.sqrt((centred**2).mean(axis=0) + 1e-6)
    return centred / deviation * scale[:, None] + shift[:, None]


def test_layer_norm(dtype):
    z = 3 + 2 * normal(0, 7, 11, dtype=dtype)
    scale, shift = (normal(i, 7, dtype=dtype) for i in (1, 2))
    assert_same(
        lambda *args: fast_cpu.layer_norm(*args, 1e-6),
        plain_layer_norm,
        (z, scale, shift),
        dtype,
    )


def plain_attention(qkv, length, scale):
    """Softmax of masked products, written out, of (3, H, K, G T, b)."""
    *_, rows, columns = qkv.shape
    qkv = qkv.reshape(*qkv.shape[:3], rows // length, length, columns)
    q, k, v = qkv
    scores = jnp.einsum("hkgtb,hkgsb->hgtsb", q, k) * scale
    future = np.triu(np.ones((length, length), bool), 1)
    scores = jnp.where(future[:, :, None], -jnp.inf, scores)
    weights = jax.nn.softmax(scores, axis=3)
    out = jnp.einsum("hgtsb,hkgsb->hkgtb", weights, v)
    return out.reshape(*out.shape[:2], rows, columns)


# A window that divides in two, in three, and not at all.
@pytest.mark.parametrize("length", [6, 9, 7, 2])
def test_attention(length, dtype):
    # 2 heads of 3, 2 groups of 5 sentences.
    qkv = 2 * normal(0, 3, 2, 3, 2 * length, 5, dtype=dtype)
    assert_same(
        lambda qkv: fast_cpu.attend(qkv, length, 0.7),
        lambda qkv: plain_attention(qkv, length, 0.7),
        (qkv,),
        dtype,
    )


def test_large_scores_do_not_overflow():
    # exp(200) is no float32; weights are 0 and 1.
    qkv = np.zeros((3, 1, 1, 2, 16), "float32")
    qkv[:2] = 20.0
    qkv[1, :, :, 0] = 0.0
    qkv[2, :, :, 1] = 1.0
    out = fast_cpu.attend(jnp.asarray(qkv), 2, 0.5)
    np.testing.assert_array_equal(out[0, 0, 1], np.ones(16, "float32"))


def test_embedding_by_a_product(dtype):
    table = normal(0, 5, 3, dtype=dtype)
    ids = jnp.asarray(np.random.default_rng(1).integers(0, 5, (32, 4)))
    assert_same(
        lambda table: fast_cpu.look_up(table, ids),
        lambda table: table[ids],
        (table,),
        dtype,
    )


# 48 sentences are one group, 128 are two; 23 and 67 divide by nothing.
@pytest.mark.parametrize(
    ("batch", "size"), [(16, 16), (48, 48), (128, 64), (420, 60), (23, 23)]
)
def test_groups_divide_the_batch(batch, size):
    assert fast_cpu.group_size(batch) == size


def test_a_batch_without_divisor_is_one_group():
    assert fast_cpu.group_size(67) == 67


USUAL = {"normalization": "pre", "output_activation": None}
PUBLISHED = {
    "normalization": "post",
    "output_activation": "gelu",
    "logit_scale": "hidden_dim",
}
LAYERS = {
    "usual block": lambda: TransformerBlock(2, 3, 24, **USUAL),
    "published block": lambda: TransformerBlock(2, 3, 24, **PUBLISHED),
    "relu block": lambda: TransformerBlock(2, 3, 24, activation="relu"),
    "head": lambda: keras.layers.Dense(5),
    "norm": lambda: keras.layers.LayerNormalization(epsilon=1e-6),
}


def both_forms(layer):
    """Returns the layer as a function of weights and input, in both forms."""

    def in_form(is_fast):
        def function(weights, x):
            mapping = list(zip(layer.variables, weights, strict=True))
            with (
                backend.building_for("cpu" if is_fast else "gpu"),
                keras.StatelessScope(state_mapping=mapping),
            ):
                return apply(layer, x)

        return function

    return in_form(True), in_form(False)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    "batch", [*(pytest.param(n, marks=pytest.mark.slow) for n in (32, 128)), 19]
)
def test_layers_are_the_same_in_both_forms(name, batch, monkeypatch):
    layer = LAYERS[name]()
    x = normal(0, batch, 6, 6)
    layer.build(x.shape)
    weights = [
        normal(i, *variable.shape)
        for i, variable in enumerate(layer.variables, start=1)
    ]
    used = []
    for function in ("apply_block", "_apply_dense", "_normalise_rows"):
        original = getattr(fast_cpu, function)
        monkeypatch.setattr(
            fast_cpu,
            function,
            lambda *args, original=original: used.append(1) or original(*args),
        )
    fast, plain = both_forms(layer)
    jax.eval_shape(fast, weights, x)
    assert used == [1]
    jax.eval_shape(plain, weights, x)
    assert used == [1]
    # A bias of the keys moves all scores of a position alike.
    keys = [i for i, v in enumerate(layer.variables) if "key/bias" in v.path]
    assert_same(fast, plain, (weights, x), "float32", keys)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "none"])
def test_the_embedding_layer_is_the_same_in_both_forms(positions):
    layer = TokenAndPositionEmbedding(7, 9, 6, positions=positions)
    ids = jnp.asarray(np.random.default_rng(0).integers(0, 7, (20, 9)))
    layer.build(ids.shape)
    weights = [normal(i, *v.shape) for i, v in enumerate(layer.variables)]
    fast, plain = both_forms(layer)
    assert_same(
        lambda weights: fast(weights, ids),
        lambda weights: plain(weights, ids),
        (weights,),
        "float32",
    )


def trace(block, shape, training=False):
    """Applies a block to what has a shape and no values."""
    if not block.built:
        block.build(shape)
    x = jax.ShapeDtypeStruct(shape, "float32")
    return jax.eval_shape(lambda x: apply(block, x, training), x)


@pytest.mark.parametrize(
    ("changes", "shape", "training"),
    [
        ({}, (15, 6, 6), False),  # too few sentences
        ({}, (32, 1, 6), False),  # nothing to attend to
        ({"dropout": 0.1}, (32, 6, 6), True),
        ({"activation": "softmax"}, (32, 6, 6), False),  # mixes features
        ({"dtype": "mixed_bfloat16"}, (32, 6, 6), False),
    ],
)
def test_what_the_fast_form_cannot_do_is_left_to_the_plain_one(
    changes, shape, training, monkeypatch
):
    monkeypatch.setattr(fast_cpu, "apply_block_and_keep", None)
    block = TransformerBlock(2, 3, 24, **changes)
    trace(block, shape, training)


def test_short_windows_are_left_to_the_plain_form(monkeypatch):
    monkeypatch.setattr(fast_cpu, "SHORTEST_WINDOW", SHORTEST_WINDOW)
    monkeypatch.setattr(fast_cpu, "apply_block_and_keep", None)
    block = TransformerBlock(2, 3, 24)
    trace(block, (32, SHORTEST_WINDOW - 1, 6))
    with pytest.raises(TypeError):
        trace(block, (32, SHORTEST_WINDOW, 6))


def test_batches_that_devices_divide_are_left_to_the_plain_form(monkeypatch):
    monkeypatch.setattr(fast_cpu, "apply_block_and_keep", None)
    block = TransformerBlock(2, 3, 24)
    with backend.dividing():
        trace(block, (32, 6, 6))
    with pytest.raises(TypeError):
        trace(block, (32, 6, 6))


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_other_platforms_have_the_plain_form(monkeypatch, platform):
    monkeypatch.setattr(fast_cpu, "apply_block_and_keep", None)
    with backend.building_for(platform):
        trace(TransformerBlock(2, 3, 24), (32, 6, 6))
