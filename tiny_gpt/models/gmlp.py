"""Spatial gating in place of attention, as in gMLP."""

from dataclasses import dataclass

import keras
from keras import ops

from tiny_gpt.models.attention import write_at
from tiny_gpt.models.network import NetworkConfig
from tiny_gpt.runtime.checks import check_whole


@keras.saving.register_keras_serializable(package="tiny_gpt")
class SpatialGating(keras.layers.Layer):
    """A causal gMLP block as the mixer of a block (`blocks.Mixer`).

    Liu et al. 2021, sec. 2 and 2.1. A Dense layer with GELU gives 2 E
    channels (eq. 1), which are split into u and v (eq. 4). Each channel of
    norm(v) is then summed over positions with fixed weights (eq. 2):

        output_t = Dense(u_t (sum over s <= t of W[t, s] norm(v)_s + b_t))

    W, (T, T), and b, (T,), are learned, and the same for all channels. What a
    position takes from another thus depends on the two positions alone. The
    half of W above the diagonal is masked: it has no effect and no gradient.

    W starts near zero and b at 1, so that each position at first sees only
    itself (sec. 2.1). The paper gives no size for "near zero"; W starts
    within 0.001 / T, so that the sum stays near 0 for any T.

    Args:
        hidden_dim: width of the output, D.
        gate_dim: channels of u and of v, E.
        sequence_length: the most positions, T. A shorter input takes the
            first rows and columns of W.
        epsilon: added to the variance of v.
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        x: float tensor of shape (B, T', D) with T' <= T.
        training: without effect.

    Returns:
        Float tensor of shape (B, T', D).

    Raises:
        ValueError: if the input is longer than `sequence_length`.
    """

    def __init__(
        self, hidden_dim, gate_dim, sequence_length, epsilon=1e-6, **kwargs
    ):
        super().__init__(**kwargs)
        self._config = {
            "hidden_dim": hidden_dim,
            "gate_dim": gate_dim,
            "sequence_length": sequence_length,
            "epsilon": epsilon,
        }
        self.gate_dim = gate_dim
        self.sequence_length = sequence_length
        dtype = self.dtype_policy
        self.inner = keras.layers.Dense(
            2 * gate_dim, activation="gelu", dtype=dtype, name="inner"
        )
        self.norm = keras.layers.LayerNormalization(
            epsilon=epsilon, dtype=dtype, name="norm"
        )
        self.outer = keras.layers.Dense(hidden_dim, dtype=dtype, name="outer")

    def build(self, input_shape):
        limit = 1e-3 / self.sequence_length
        self.spatial_kernel = self.add_weight(
            shape=(self.sequence_length, self.sequence_length),
            initializer=keras.initializers.RandomUniform(-limit, limit),
            name="spatial_kernel",
        )
        self.spatial_bias = self.add_weight(
            shape=(self.sequence_length,),
            initializer="ones",
            name="spatial_bias",
        )
        gate_shape = (*input_shape[:-1], self.gate_dim)
        self.inner.build(input_shape)
        self.norm.build(gate_shape)
        self.outer.build(gate_shape)

    def call(self, x, training=False):
        return self.read(x, 0)[0]

    def read(self, x, num_more):
        """As a call, and returns what later positions need.

        Args:
            x: float tensor of shape (B, P, D).
            num_more: positions that will be read after them, N.

        Returns:
            The output, (B, P, D), and the state: norm(v), (B, P + N, E),
            zeros at N positions.
        """
        self._check_length(x.shape[1], num_more)
        u, v = self._split(x)
        length = ops.shape(v)[1]
        kernel, bias = self._weights()
        gates = ops.einsum("ts,bse->bte", kernel[:length, :length], v)
        gates = gates + bias[:length, None]
        v = ops.pad(v, ((0, 0), (0, num_more), (0, 0)))
        return self.outer(u * gates), (v,)

    def read_one(self, x, position, state):
        """Reads one more position, (B, 1, D) (`blocks.Mixer.read_one`)."""
        u, v = self._split(x)
        v = write_at(state[0], v, position)
        kernel, bias = (
            ops.take(weights, position, axis=0) for weights in self._weights()
        )
        gates = ops.einsum("s,bse->be", kernel[: ops.shape(v)[1]], v) + bias
        return self.outer(u * gates[:, None]), (v,)

    def _check_length(self, length, num_more):
        if length is not None and length + num_more > self.sequence_length:
            raise ValueError(
                "The input cannot be longer than sequence_length = "
                f"{self.sequence_length} positions. Received: "
                f"{length} positions, and {num_more} to follow"
            )

    def _split(self, x):
        """Returns u and the normalised v, both (B, T, E)."""
        u, v = ops.split(self.inner(x), 2, axis=-1)
        return u, self.norm(v)

    def _weights(self):
        """Returns W with its upper half masked, and b."""
        positions = ops.arange(self.sequence_length)
        is_future = positions[None, :] > positions[:, None]
        kernel = ops.cast(self.spatial_kernel, self.compute_dtype)
        bias = ops.cast(self.spatial_bias, self.compute_dtype)
        return ops.where(is_future, ops.zeros_like(kernel), kernel), bias

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **self._config}


@dataclass(frozen=True)
class GMLPConfig(NetworkConfig):
    """Spatial gating in place of attention (Liu et al. 2021).

    `SpatialGating` says what is computed. Only the mixer is exchanged: the
    feed-forward layer of each block stays, which a published gMLP does not
    have. The weights of a position know where it is, so that a gMLP needs no
    embedding of positions (sec. 2); `positions` decides, as elsewhere.

    Attributes:
        gate_dim: channels of the gate, E; half of what the paper calls d_ffn.

    Raises:
        ValueError: as `NetworkConfig`, or if `gate_dim` is below 1.
    """

    gate_dim: int = 64

    def __post_init__(self):
        super().__post_init__()
        check_whole("gate_dim", self.gate_dim, 1)

    def mixer(self) -> keras.Layer:
        """Returns a gated layer, (B, T, D) to (B, T, D)."""
        return SpatialGating(
            self.hidden_dim,
            self.gate_dim,
            self.sequence_length,
            epsilon=self.layer_norm_epsilon,
            name="spatial_gating",
        )

    def count_mixer_operations(self) -> int:
        """Returns 3 D E + T E.

        The two Dense layers, and the sum over positions, of all T as in
        attention.
        """
        dense = 3 * self.hidden_dim * self.gate_dim
        return dense + self.sequence_length * self.gate_dim

    def count_state(self) -> int:
        """Returns T E for each block: v of all positions."""
        return self.num_layers * self.sequence_length * self.gate_dim
