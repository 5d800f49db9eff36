"""Linear attention with a feature map in place of the softmax."""

from dataclasses import dataclass

import keras
from keras import ops

from tiny_gpt.models.network import NetworkConfig
from tiny_gpt.runtime.checks import check_whole

# As in the authors' code (idiap/fast-transformers): the quotient is 0, not NaN,
# where all weights of a position vanish.
EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="tiny_gpt")
class KernelAttention(keras.layers.Layer):
    """Causal linear attention of several heads.

    Katharopoulos et al. 2020, "Transformers are RNNs". Position t weighs
    position s <= t with phi(q_t) . phi(k_s), divided by the sum of its
    weights and `EPSILON` (eq. 9); phi(x) = elu(x) + 1 (eq. 7). Queries, keys
    and values are Dense layers of the input. The heads are concatenated, and
    a Dense layer follows.

    The weights are products of two vectors, so two sums over the positions
    read are all that later ones need: of phi(k_s) v_s^T and of phi(k_s)
    (eqs. 10 to 12, 18 and 19). Windows are short here, so a call computes the
    T x T matrix of weights instead. Both ways give the same output.
    Under mixed precision, weights and sums are kept in the precision of the
    Dense layers' weights.

    `linear_attention.py` has another layer, without phi and the division.

    Args:
        num_heads: attention heads, H.
        head_dim: width of one head, K.
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        x: float tensor of shape (B, T, D).
        training: without effect.

    Returns:
        Float tensor of shape (B, T, D).

    Raises:
        ValueError: if D is not num_heads * head_dim.
    """

    def __init__(self, num_heads, head_dim, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        width = num_heads * head_dim
        dtype = self.dtype_policy
        self.query = keras.layers.Dense(width, name="query", dtype=dtype)
        self.key = keras.layers.Dense(width, name="key", dtype=dtype)
        self.value = keras.layers.Dense(width, name="value", dtype=dtype)
        self.out = keras.layers.Dense(width, name="out", dtype=dtype)

    def build(self, input_shape):
        width = self.num_heads * self.head_dim
        if input_shape[-1] != width:
            raise ValueError(
                "The last axis of the input must be num_heads * head_dim = "
                f"{width}. Received: input_shape={tuple(input_shape)}"
            )
        for projection in (self.query, self.key, self.value, self.out):
            projection.build(input_shape)

    def call(self, x, training=False):
        return self._attend(*self._features(x))

    def read(self, x, num_more):
        """As a call, and returns the sums over positions.

        Args:
            x: float tensor of shape (B, P, D).
            num_more: without effect.

        Returns:
            The output, (B, P, D), and the state: the sum of phi(k) v^T,
            (B, H, K, K), and that of phi(k), (B, H, K).
        """
        q, k, v = self._features(x)
        return self._attend(q, k, v), _sums(k, v)

    def read_one(self, x, position, state):
        """Reads one more position, (B, 1, D) (`blocks.Mixer.read_one`)."""
        q, k, v = self._features(x)
        new = _sums(k, v)
        products, features = state[0] + new[0], state[1] + new[1]
        heads = ops.einsum("bthk,bhkl->bthl", q, products)
        total = ops.einsum("bthk,bhk->bth", q, features)[..., None]
        return self._project(heads / (total + EPSILON)), (products, features)

    def _attend(self, q, k, v):
        """Returns the output of all positions, given phi(q), phi(k) and v."""
        weights = ops.einsum("bthk,bshk->bhts", q, k)
        positions = ops.arange(ops.shape(q)[1])
        is_future = positions[None, :] > positions[:, None]  # (T, S)
        weights = ops.where(is_future, 0.0, weights)
        total = ops.sum(weights, axis=-1, keepdims=True)
        weights = weights / (total + EPSILON)
        return self._project(ops.einsum("bhts,bshk->bthk", weights, v))

    def _features(self, x):
        """Returns phi(q), phi(k) and v of x, each (B, T, H, K)."""
        q, k, v = (
            self._split_heads(ops.cast(projection(x), self.variable_dtype))
            for projection in (self.query, self.key, self.value)
        )
        return feature_map(q), feature_map(k), v

    def _split_heads(self, x):
        shape = (-1, ops.shape(x)[1], self.num_heads, self.head_dim)
        return ops.reshape(x, shape)

    def _project(self, heads):
        shape = (-1, ops.shape(heads)[1], self.num_heads * self.head_dim)
        return self.out(ops.reshape(heads, shape))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
        }


def feature_map(x):
    """Returns elu(x) + 1 of each number, which is positive.

    It is x + 1 above 0 and exp(x) below. Keras's elu(x) + 1 rounds to 0 from
    x = -17 on in float32.
    """
    below = ops.where(
        x > 0, 0.0, x
    )  # else exp(x) may overflow, and its gradient be NaN
    return ops.where(x > 0, x + 1.0, ops.exp(below))


def _sums(k, v):
    """Returns sums over positions: (B, H, K, K) and (B, H, K)."""
    return ops.einsum("bthk,bthl->bhkl", k, v), ops.sum(k, axis=1)


@dataclass(frozen=True)
class LinearAttentionConfig(NetworkConfig):
    """Linear attention in place of softmax attention (`KernelAttention`).

    Attributes:
        num_heads: attention heads, H.
        head_dim: width of one head, K.

    Raises:
        ValueError: also if `hidden_dim` is not num_heads * head_dim.
    """

    num_heads: int = 4
    head_dim: int = 16

    def __post_init__(self):
        super().__post_init__()
        for name in ("num_heads", "head_dim"):
            check_whole(name, getattr(self, name), 1)
        if self.hidden_dim != self.num_heads * self.head_dim:
            raise ValueError(
                "`hidden_dim` must be num_heads * head_dim. Received: "
                f"hidden_dim={self.hidden_dim}, num_heads={self.num_heads}, "
                f"head_dim={self.head_dim}"
            )

    def mixer(self) -> keras.Layer:
        """Returns an attention of H heads, each K wide."""
        return KernelAttention(self.num_heads, self.head_dim, name="attention")

    def count_mixer_operations(self) -> int:
        """Returns 4 D^2 + 2 T D.

        Queries, keys, values and the output take D^2 each. The T x T matrix
        of weights takes T D, and so does the sum of values.
        """
        projections = 4 * self.hidden_dim**2
        return projections + 2 * self.sequence_length * self.hidden_dim

    def count_state(self) -> int:
        """Returns D (K + 1) for each block: the sums of `KernelAttention`."""
        return self.num_layers * self.hidden_dim * (self.head_dim + 1)
