"""Linear self-attention (LSA), and a GPT made of such layers only."""

import keras
from keras import ops

from tiny_gpt.models.chain import Chain
from tiny_gpt.models.layers import TokenAndPositionEmbedding
from tiny_gpt.runtime.checks import check_choice, check_whole

WEIGHTINGS = ("linear", "softmax")
NORMALIZATIONS = ("none", "num_keys")


@keras.saving.register_keras_serializable(package="tiny_gpt")
class LinearSelfAttention(keras.layers.Layer):
    """Self-attention with the residual, without the softmax.

    z_j <- z_j + P V sum_i z_i f(z_i, z_j) with f(z_i, z_j) = z_i^T K^T Q z_j,
    over every i, or over i <= j (von Oswald et al. 2023, eq. 3; Sinha 2024,
    lemma 1). Sinha 2024 prints z_j in place of z_i, and "z_j PV" in place of
    "z_j + PV"; both are read as above. Heads are added up. There is no bias,
    and no factor on f, which K may hold.

    Args:
        num_heads: heads, H, each with its own K, Q, V and P.
        head_dim: width of one head; None for D / H.
        is_causal: whether position j sees positions <= j only.
        weighting: "linear" for f itself; "softmax" for the softmax of f over
            the keys, with all else the same.
        normalization: "none" for the sum as printed, "num_keys" to divide it
            by the number of keys that j sees.
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        z: float tensor of shape (B, T, D).
        perturbation: added to f; must broadcast to (B, H, T, T), queries
            before keys; None for nothing.

    Returns:
        Float tensor of shape (B, T, D).

    Raises:
        ValueError: if a choice is unknown, a size is below 1, or D is not a
            multiple of H and `head_dim` is None. A softmax cannot be divided
            by "num_keys", since its weights already sum to 1.
    """

    def __init__(
        self,
        num_heads=1,
        head_dim=None,
        is_causal=True,
        weighting="linear",
        normalization="none",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice("weighting", weighting, WEIGHTINGS)
        check_choice("normalization", normalization, NORMALIZATIONS)
        for name, value in (("num_heads", num_heads), ("head_dim", head_dim)):
            is_default = name == "head_dim" and value is None
            if not is_default and (not isinstance(value, int) or value < 1):
                raise ValueError(
                    f"`{name}` must be at least 1, a whole number. "
                    f"Received: {name}={value!r}"
                )
        if weighting == "softmax" and normalization != "none":
            raise ValueError(
                "The weights of a softmax sum to 1 already, so that "
                "`normalization` must be 'none'. "
                f"Received: normalization={normalization!r}"
            )
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.is_causal = is_causal
        self.weighting = weighting
        self.normalization = normalization

    def build(self, input_shape):
        hidden_dim = input_shape[-1]
        if self.head_dim is None and hidden_dim % self.num_heads:
            raise ValueError(
                "Without `head_dim`, the last axis of the input must be a "
                f"multiple of num_heads = {self.num_heads}. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self._width = self.head_dim or hidden_dim // self.num_heads
        inner = self.num_heads * self._width
        for name in ("query", "key", "value"):
            setattr(self, name, self._projection(inner, name, input_shape))
        shape = (*input_shape[:-1], inner)
        self.out = self._projection(hidden_dim, "out", shape)

    def _projection(self, width, name, input_shape):
        layer = keras.layers.Dense(
            width, use_bias=False, name=name, dtype=self.dtype_policy
        )
        layer.build(input_shape)
        return layer

    def call(self, z, perturbation=None):
        f = self.similarities(z)
        if perturbation is not None:
            f = f + ops.cast(ops.convert_to_tensor(perturbation), f.dtype)
        length = ops.shape(z)[1]
        weights = self._weigh(f, length)
        v = self._split_heads(self.value(z))
        heads = ops.einsum("bhts,bshk->bthk", weights, v)
        shape = (-1, length, self.num_heads * self._width)
        return z + self.out(ops.reshape(heads, shape))

    def similarities(self, z):
        """Returns f(z_i, z_j) of every pair as (B, H, T, S): j before i."""
        q = self._split_heads(self.query(z))
        k = self._split_heads(self.key(z))
        return ops.einsum("bthk,bshk->bhts", q, k)

    def _weigh(self, f, length):
        positions = ops.arange(length)
        is_visible = positions[None, :] <= positions[:, None]  # (T, S)
        if not self.is_causal:
            is_visible = ops.ones_like(is_visible)
        if self.weighting == "softmax":
            f = ops.where(is_visible, f, float("-inf"))
            return ops.softmax(f, axis=-1)
        f = ops.where(is_visible, f, 0.0)
        if self.normalization == "num_keys":
            num_keys = ops.sum(ops.cast(is_visible, f.dtype), axis=-1)
            f = f / num_keys[:, None]
        return f

    def _split_heads(self, x):
        shape = (-1, ops.shape(x)[1], self.num_heads, self._width)
        return ops.reshape(x, shape)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "is_causal": self.is_causal,
            "weighting": self.weighting,
            "normalization": self.normalization,
        }


def build_linear_gpt(
    vocabulary_size: int,
    sequence_length: int,
    hidden_dim: int = 64,
    num_layers: int = 1,
    num_heads: int = 1,
    is_causal: bool = True,
    weighting: str = "linear",
    normalization: str = "none",
) -> keras.Model:
    """Builds a GPT in which every block is one linear self-attention.

    It has an embedding of tokens and positions, the layers, and a linear
    head; no feed-forward layer and no norm. `initialise_weights` draws its
    weights in NumPy.

    Args:
        vocabulary_size: token ids, V.
        sequence_length: tokens that can be read at once, T.
        hidden_dim: width of the residual stream, D.
        num_layers: layers, named "attention_0", "attention_1", ...
        num_heads: as in `LinearSelfAttention`.
        is_causal: whether a position sees none after it.
        weighting: "linear" or "softmax".
        normalization: "none" or "num_keys".

    Returns:
        Model from token ids, integers of shape (B, T') with T' <= T, to
        logits, shape (B, T', V).

    Raises:
        ValueError: if a size is below 1, or as `LinearSelfAttention`.
    """
    for name, value in (
        ("vocabulary_size", vocabulary_size),
        ("sequence_length", sequence_length),
        ("hidden_dim", hidden_dim),
        ("num_layers", num_layers),
    ):
        check_whole(name, value, 1)
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    z = TokenAndPositionEmbedding(
        vocabulary_size, sequence_length, hidden_dim, name="embedding"
    )(token_ids)
    for i in range(num_layers):
        z = LinearSelfAttention(
            num_heads,
            is_causal=is_causal,
            weighting=weighting,
            normalization=normalization,
            name=f"attention_{i}",
        )(z)
    dtype = keras.config.dtype_policy().variable_dtype
    logits = keras.layers.Dense(vocabulary_size, dtype=dtype, name="head")(z)
    return Chain(token_ids, logits, name="linear_gpt")
