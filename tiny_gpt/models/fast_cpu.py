"""The GPT's layers in the form that a CPU computes fastest, for JAX.

Functions and gradients are those of `layers.py`; `chain.py` decides which
form is used. Three things make this form fast if XLA compiles for a CPU:

- Activations are feature-major: shape (D, N) with a column for each of the
  N = B T tokens. Every product with weights, forward and backward, reads its
  operands in the order of memory. The statistics of layer normalisation add
  up whole rows.
- In the attention the last axis is a group of sentences, which fills the
  vector registers. Products over short windows are then sums of a few terms,
  without the transposes and tiny matrix products of the usual form. Heads and
  groups are computed one by one, so that scores stay in the cache. None are
  kept for the backward pass (Dao et al. 2022, sec. 3.1).
- GELU and layer normalisation have gradients of their own, which recompute
  what is cheaper to compute than to keep.

Columns are ordered by group of sentences, then position, then sentence:
(D, G T b) with B = G b, where b is `group_size(B)`.

Only reverse-mode differentiation works: `jax.jvp` refuses a custom gradient.
"""

import math

import jax
import jax.numpy as jnp
import keras
from jax import lax

from tiny_gpt.models.blocks import MixerBlock, TransformerBlock
from tiny_gpt.models.layers import TokenAndPositionEmbedding

# Sentences that stand side by side: scores of T x T for so many fit the
# second-level cache at the window sizes of the paper.
LARGEST_GROUP = 64
# With fewer, vector registers stay empty, and the usual form is as good.
SMALLEST_GROUP = 16
# Sums of fewer terms are short enough for XLA to merge them with what they
# add, which it then computes once for each (benchmarks/speed/growth.py).
SHORTEST_WINDOW = 16
# Other activations would mix features, or positions, of a (D, N) array.
ELEMENTWISE = ("gelu", "linear", "relu", "silu", "tanh")


def form_of(layer, training):
    """Returns the fast form of a layer, or None if it has none.

    Args:
        layer: the layer.
        training: whether dropout, if it has any, acts.

    Returns:
        Function of the layer and its input.
    """
    if isinstance(layer, TokenAndPositionEmbedding):
        return lambda layer, token_ids: layer.embed(token_ids, look_up)
    if isinstance(layer, MixerBlock):
        is_fast = _is_elementwise(layer.inner) and _is_elementwise(layer.outer)
        is_dropping = training and layer.drop.rate > 0
        is_gpt = isinstance(layer, TransformerBlock)
        # `attend` is causal only.
        has_spans = is_gpt and len(layer.attention.bidirectional) > 0
        fast = apply_block if is_gpt else apply_mixer_block
        is_fast = is_fast and not is_dropping and not has_spans
        return fast if is_fast else None
    if isinstance(layer, keras.layers.LayerNormalization):
        return _normalise_rows
    if isinstance(layer, keras.layers.Dense) and _is_elementwise(layer):
        return _apply_dense
    return None


def _is_elementwise(dense):
    name = getattr(dense.activation, "__name__", None)
    return dense.use_bias and name in ELEMENTWISE


def group_size(batch: int) -> int:
    """Returns how many of B sentences form a group; a divisor of B."""
    sizes = range(SMALLEST_GROUP, LARGEST_GROUP + 1)
    return max((b for b in sizes if batch % b == 0), default=batch)


def apply_block(block, x):
    """Applies a `TransformerBlock` without dropout.

    Args:
        block: the layer.
        x: float array of shape (B, T, D).

    Returns:
        Float array of shape (B, T, D).
    """
    return apply_block_and_keep(block, x)[0]


def apply_block_and_keep(block, x):
    """Applies a block, and returns its keys and values as well.

    Returns:
        The output of `apply_block`; keys and values, each (B, T, H, K).
    """
    is_pre = block.normalization == "pre"
    shape = x.shape
    z = _from_rows(x)
    y = normalise(block.attention_norm, z) if is_pre else z
    attention = block.attention
    qkv = _queries_keys_values(attention, y, shape)
    out = attend(qkv, shape[1], attention.scale)
    z = z + project(attention.out, out.reshape(z.shape))
    z = _after_mixer(block, z)
    heads = *shape[:2], attention.num_heads, attention.head_dim
    keys, values = (
        _to_rows(part.reshape(z.shape), shape).reshape(heads)
        for part in qkv[1:]
    )
    return _to_rows(z, shape), keys, values


def apply_mixer_block(block, x):
    """Applies a `MixerBlock` without dropout, its mixer in the usual form.

    Args:
        block: the layer.
        x: float array of shape (B, T, D).

    Returns:
        Float array of shape (B, T, D).
    """
    z = y = _from_rows(x)
    if block.normalization == "pre":
        y = normalise(block.mixer_norm, z)
    z = z + _from_rows(block.mixer(_to_rows(y, x.shape)))
    return _to_rows(_after_mixer(block, z), x.shape)


def _after_mixer(block, z):
    """Applies the rest of a block to the sum of its input and the mixer's."""
    is_pre = block.normalization == "pre"
    z = z if is_pre else normalise(block.mixer_norm, z)
    y = normalise(block.feed_forward_norm, z) if is_pre else z
    y = activate(block.inner, project(block.inner, y))
    z = z + activate(block.outer, project(block.outer, y))
    return z if is_pre else normalise(block.feed_forward_norm, z)


def _normalise_rows(norm, x):
    """Applies a LayerNormalization layer to (B, T, D)."""
    return _to_rows(normalise(norm, _from_rows(x)), x.shape)


def _apply_dense(dense, x):
    """Applies a Dense layer to (B, T, D)."""
    x = x.astype(dense.compute_dtype)  # logits, under mixed precision
    z = project(dense, _from_rows(x))
    return dense.activation(_to_rows(z, x.shape))


def look_up(table, token_ids):
    """Looks token ids up by a product, whose gradient needs no scatter.

    Args:
        table: embeddings, shape (V, D).
        token_ids: integers of shape (B, T), all in [0, V).

    Returns:
        Float array of shape (B, T, D).
    """
    ids = _from_rows(token_ids[..., None])  # (1, N)
    is_token = ids == jnp.arange(len(table))[:, None]  # (V, N)
    z = _transposed_product(table, is_token.astype(table.dtype))
    return _to_rows(z, token_ids.shape)


def _from_rows(x):
    """(B, T, D) -> (D, N)."""
    batch, length, width = x.shape
    x = x.reshape(-1, group_size(batch), length, width)
    return x.transpose(3, 0, 2, 1).reshape(width, -1)


def _to_rows(z, shape):
    """(D, N) -> (B, T, D), where B and T are the first two of a shape."""
    batch, length = shape[:2]
    z = z.reshape(len(z), -1, length, group_size(batch))
    return z.transpose(1, 3, 2, 0).reshape(batch, length, -1)


def _transposed_product(a, b):
    return lax.dot_general(a, b, (((0,), (0,)), ((), ())))


def project(dense, z):
    """Applies a Dense layer, without its activation, to (D, N)."""
    return _affine(jnp.asarray(dense.kernel), jnp.asarray(dense.bias), z)


def _affine(kernel, bias, z):
    return _transposed_product(kernel, z) + bias[:, None]


def activate(dense, z):
    """Applies the activation of a Dense layer."""
    if getattr(dense.activation, "__name__", "") == "gelu":
        return gelu(z)
    return dense.activation(z)


def normalise(norm, z):
    """Applies a LayerNormalization layer to the columns of (D, N)."""
    scale, shift = jnp.asarray(norm.gamma), jnp.asarray(norm.beta)
    return layer_norm(z, scale, shift, norm.epsilon)


@jax.custom_vjp
def gelu(z):
    """Returns z Phi(z), with Phi the normal distribution function."""
    return z * _normal_cdf(z)


def _normal_cdf(z):
    return 0.5 + 0.5 * lax.erf(z * math.sqrt(0.5))


def _gelu_forward(z):
    return gelu(z), z


def _gelu_backward(z, gradient):
    # Or else the compiler keeps what the forward pass found.
    z = lax.optimization_barrier(z)
    density = jnp.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))
    return (gradient * (_normal_cdf(z) + z * density),)


gelu.defvjp(_gelu_forward, _gelu_backward)


def layer_norm(z, scale, shift, epsilon):
    """Normalises the columns of z, shape (D, N), to mean 0 and variance 1."""
    return _layer_norm(z, scale, shift, epsilon)


def _column_mean(z):
    return jnp.mean(z, axis=0, keepdims=True)


def _layer_norm(z, scale, shift, epsilon):
    return _layer_norm_forward(z, scale, shift, epsilon)[0]


def _layer_norm_forward(z, scale, shift, epsilon):
    centred = z - _column_mean(z)
    variance = _column_mean(centred * centred)
    inverse = lax.rsqrt(variance + epsilon)
    normal = centred * inverse
    return normal * scale[:, None] + shift[:, None], (normal, inverse, scale)


def _layer_norm_backward(epsilon, kept, gradient):
    normal, inverse, scale = kept
    inner = gradient * scale[:, None]
    along = normal * _column_mean(inner * normal)
    return (
        inverse * (inner - _column_mean(inner) - along),
        jnp.sum(gradient * normal, axis=1),
        jnp.sum(gradient, axis=1),
    )


_layer_norm = jax.custom_vjp(_layer_norm, nondiff_argnums=(3,))
_layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)


def _queries_keys_values(attention, z, shape):
    """Projects (D, N) for a `CausalSelfAttention`: (3, H, K, G T, b)."""
    parts = attention.query, attention.key, attention.value
    kernel, bias = (
        jnp.concatenate([jnp.asarray(getattr(p, name)) for p in parts], axis=-1)
        for name in ("kernel", "bias")
    )
    heads = attention.num_heads, attention.head_dim
    z = _affine(kernel, bias, z)
    return z.reshape(3, *heads, -1, group_size(shape[0]))


def attend(qkv, length, scale):
    """Causal attention of every head.

    Args:
        qkv: queries, keys and values, shape (3, H, K, G T, b).
        length: positions in a sentence, T.
        scale: factor on query-key products.

    Returns:
        Weighted sums of values, shape (H, K, G T, b).
    """
    return _attend_all(qkv, length, scale)


def _attend_all(qkv, length, scale):
    return _attend_forward(qkv, length, scale)[0]


def _attend_forward(qkv, length, scale):
    tiles = _Tiles(qkv.shape, length)

    def one(i, state):
        sums, log_totals = state
        queries, keys, values = (tiles.take(qkv[j], i) for j in range(3))
        scores = _scores_by_rows(queries, keys, scale)  # (T, S, b)
        highest = jnp.max(scores, axis=1)
        weights = jnp.exp(scores - highest[:, None])
        # A value of 1 everywhere adds the weights up.
        ones = jnp.ones_like(values[:1])
        values = jnp.concatenate([values, ones], axis=0)
        sums_and_total = _sum(
            weights[None, :, s] * values[:, None, s] for s in range(length)
        )
        total = sums_and_total[-1]
        log_total = highest + jnp.log(total)
        return (
            tiles.put(sums, sums_and_total[:-1] * (1 / total), i),
            tiles.put(log_totals, log_total[None], i),
        )

    start = jnp.zeros_like(qkv[0]), jnp.zeros_like(qkv[0, :, :1])
    out, log_totals = lax.fori_loop(0, tiles.count, one, start)
    return out, (qkv, out, log_totals)


def _attend_backward(length, scale, kept, gradient):
    qkv, out, log_totals = kept
    tiles = _Tiles(qkv.shape, length)
    # What normalisation takes off each weight's gradient.
    shared = jnp.sum(gradient * out, axis=1, keepdims=True)

    def one(i, gradients):
        queries, keys, values = (tiles.take(qkv[j], i) for j in range(3))
        upstream = tiles.take(gradient, i)
        log_total, common = tiles.take(log_totals, i), tiles.take(shared, i)
        scores = _scores(queries, keys, scale, 0)
        weights = jnp.exp(scores - log_total[0][:, None])  # (T, S, b)
        d_weights = _products(upstream, values)
        d_scores = weights * (d_weights - common[0][:, None]) * scale
        d_queries = _sum(
            d_scores[None, :, s] * keys[:, None, s] for s in range(length)
        )
        d_keys = _sum(
            d_scores[None, t] * queries[:, t, None] for t in range(length)
        )
        d_values = _sum(
            weights[None, t] * upstream[:, t, None] for t in range(length)
        )
        for j, tile in enumerate((d_queries, d_keys, d_values)):
            start = (j, *tiles.start(i))
            gradients = lax.dynamic_update_slice(
                gradients, tile[None, None], start
            )
        return gradients

    start = jnp.zeros_like(qkv)
    return (lax.fori_loop(0, tiles.count, one, start),)


_attend_all = jax.custom_vjp(_attend_all, nondiff_argnums=(1, 2))
_attend_all.defvjp(_attend_forward, _attend_backward)


class _Tiles:
    """Walks (H, K, G T, b) by heads and groups, in tiles of (K, T, b)."""

    def __init__(self, shape, length):
        *_, num_heads, _, rows, self._columns = shape
        self._length = length
        self._num_groups = rows // length
        self.count = num_heads * self._num_groups

    def start(self, i):
        head, group = i // self._num_groups, i % self._num_groups
        return head, 0, group * self._length, 0

    def take(self, x, i):
        size = (1, x.shape[1], self._length, self._columns)
        return lax.dynamic_slice(x, self.start(i), size)[0]

    def put(self, x, tile, i):
        return lax.dynamic_update_slice(x, tile[None], self.start(i))


def _products(a, b):
    """Sums a[k, t] b[k, s] over k: (K, T, b), (K, S, b) -> (T, S, b)."""
    return _sum(a[k, :, None] * b[k, None] for k in range(len(a)))


def _scores(queries, keys, scale, first_row):
    """Scores of some rows, -inf where a key is in the future, (T', S, b)."""
    scores = _products(queries, keys) * scale
    rows = first_row + lax.broadcasted_iota("int32", (scores.shape[0], 1, 1), 0)
    columns = lax.broadcasted_iota("int32", (1, scores.shape[1], 1), 1)
    return jnp.where(columns > rows, -jnp.inf, scores)


def _scores_by_rows(queries, keys, scale):
    """Computes scores in a loop, so that they are stored in memory.

    XLA would otherwise compute them again for each use; a loop is the only
    border that it does not merge across.
    """
    _, length, columns = queries.shape
    num_blocks = next(n for n in range(2, length + 1) if length % n == 0)
    size = length // num_blocks

    def block(j, scores):
        some = lax.dynamic_slice_in_dim(queries, j * size, size, axis=1)
        found = _scores(some, keys, scale, j * size)
        return lax.dynamic_update_slice_in_dim(scores, found, j * size, axis=0)

    scores = jnp.zeros((length, length, columns), queries.dtype)
    return lax.fori_loop(0, num_blocks, block, scores)


def _sum(terms):
    """Adds terms up pairwise."""
    terms = list(terms)
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        left = terms[len(terms) - len(terms) % 2 :]
        terms = [a + b for a, b in pairs] + left
    return terms[0]
