"""A state-space layer in place of attention, as in Mamba-2."""

import math
from dataclasses import dataclass

import keras
from keras import ops

from tiny_gpt.models.network import NetworkConfig
from tiny_gpt.runtime.checks import check_whole


@keras.saving.register_keras_serializable(package="tiny_gpt")
class StateSpaceMixer(keras.layers.Layer):
    """A selective state-space layer with one decay per head (`blocks.Mixer`).

    Mamba-2 (Dao and Gu 2024, sec. 7.1, fig. 6). One Dense layer gives the
    input u, (B, T, I), the vectors b and c, (B, T, N), which all heads share
    (eq. 20), a step per head, (B, T, H), and a gate, (B, T, I). A causal
    depthwise convolution over u, b and c, and SiLU, follow. With K = I / H
    each head keeps a state S, (K, N) (eq. 2, with the steps of Gu and Dao
    2023, alg. 2, where dt b is the discrete b, as in their code):

        dt_t = softplus(step_t + dt_bias)
        S_t  = exp(-dt_t exp(A_log)) S_{t-1} + dt_t u_t b_t^T
        y_t  = S_t c_t + skip u_t

    The output is RMSNorm(y SiLU(gate)) after a second Dense layer. Neither
    Dense layer has a bias, as in the authors' code (mamba_ssm, mamba2.py).

    All positions are computed at once, in the quadratic form (sec. 2.4 and
    eq. 16): y_t is the sum over s <= t of (c_t . b_s) dt_s u_s, times the
    decay from s to t. Decays and states are float32 under mixed precision.

    `initialise_weights` draws A_log and dt_bias. As built, each head has
    exp(A_log) = 1 and a step of 0.01.

    Args:
        hidden_dim: width of the output, D.
        num_heads: heads, H.
        state_size: width of b and c, N.
        conv_width: positions that the convolution sees, its own the last.
        expansion: inner width I over D.
        epsilon: added to the mean square, in the norm.
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        x: float tensor of shape (B, T, D).
        training: without effect.

    Returns:
        Float tensor of shape (B, T, D).

    Raises:
        ValueError: if I is not a multiple of `num_heads`.
    """

    def __init__(
        self,
        hidden_dim,
        num_heads,
        state_size,
        conv_width=4,
        expansion=2,
        epsilon=1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._config = {
            "hidden_dim": hidden_dim,
            "num_heads": num_heads,
            "state_size": state_size,
            "conv_width": conv_width,
            "expansion": expansion,
            "epsilon": epsilon,
        }
        self.num_heads = num_heads
        self.conv_width = conv_width
        inner_dim = _inner_dim(hidden_dim, expansion, num_heads)
        num_channels = inner_dim + 2 * state_size
        # Where the projection, and what is convolved, are split.
        self._parts = inner_dim, inner_dim + num_channels
        self._channels = inner_dim, inner_dim + state_size
        self._num_channels = num_channels
        dtype = self.dtype_policy
        self._exact = keras.backend.result_type(self.compute_dtype, "float32")
        self.in_projection = keras.layers.Dense(
            inner_dim + num_channels + num_heads,
            use_bias=False,
            dtype=dtype,
            name="in_projection",
        )
        self.norm = keras.layers.RMSNormalization(
            epsilon=epsilon, dtype=dtype, name="norm"
        )
        self.out_projection = keras.layers.Dense(
            hidden_dim, use_bias=False, dtype=dtype, name="out_projection"
        )

    def build(self, input_shape):
        limit = self.conv_width**-0.5
        self.depthwise_kernel = self.add_weight(
            shape=(self.conv_width, self._num_channels),
            initializer=keras.initializers.RandomUniform(-limit, limit),
            name="depthwise_kernel",
        )
        self.depthwise_bias = self.add_weight(
            shape=(self._num_channels,),
            initializer="zeros",
            name="depthwise_bias",
        )
        heads = (self.num_heads,)
        step = keras.initializers.Constant(math.log(math.expm1(0.01)))
        # Not cast to bfloat16 under mixed precision.
        self.A_log = self.add_weight(
            heads, "zeros", autocast=False, name="A_log"
        )
        self.dt_bias = self.add_weight(
            heads, step, autocast=False, name="dt_bias"
        )
        self.skip = self.add_weight(heads, "ones", name="skip")
        inner_shape = (*input_shape[:-1], self._parts[0])
        self.in_projection.build(input_shape)
        self.norm.build(inner_shape)
        self.out_projection.build(inner_shape)

    def call(self, x, training=False):
        return self.read(x, 0)[0]

    def read(self, x, num_more):
        """As a call, and returns what later positions need.

        Args:
            x: float tensor of shape (B, P, D).
            num_more: without effect; the state does not grow.

        Returns:
            The output, (B, P, D), and the state: the last conv_width - 1
            inputs of the convolution, (B, conv_width - 1, I + 2 N), zeros
            before the first position, and S, (B, H, K, N).
        """
        gate, channels, dt, logs = self._project(x)
        room = ((0, 0), (self.conv_width - 1, 0), (0, 0))
        channels = ops.pad(channels, room)
        u, b, c = self._convolve(channels)
        steps = self._wide(u) * dt[..., None]  # dt_s u_s, (B, P, H, K)
        decays = self._decays(logs)

        similarities = self._wide(ops.einsum("btn,bsn->bts", c, b))
        weights = self._narrow(similarities[:, None] * decays)
        y = ops.einsum("bhts,bshk->bthk", weights, self._narrow(steps))
        steps = steps * ops.transpose(decays[:, :, -1:], (0, 3, 1, 2))
        state = ops.einsum("bshk,bsn->bhkn", steps, self._wide(b))
        last = channels[:, ops.shape(x)[1] :]
        return self._output(y, u, gate), (last, state)

    def read_one(self, x, position, state):
        """Reads one more position, (B, 1, D) (`blocks.Mixer.read_one`)."""
        gate, channels, dt, logs = self._project(x)
        last, state = state
        channels = ops.concatenate([last, channels], axis=1)
        u, b, c = self._convolve(channels)
        steps = self._wide(u) * dt[..., None]  # (B, 1, H, K)
        decay = ops.exp(logs)[:, 0, :, None, None]

        new = ops.einsum("bshk,bsn->bhkn", steps, self._wide(b))
        state = decay * state + new
        y = self._narrow(ops.einsum("bhkn,btn->bthk", state, self._wide(c)))
        return self._output(y, u, gate), (channels[:, 1:], state)

    def _project(self, x):
        """Returns gate, input of the convolution, dt and logs of decays."""
        x = self.in_projection(x)
        gate, channels, steps = ops.split(x, self._parts, axis=-1)
        dt = ops.softplus(self._wide(steps) + self.dt_bias)
        return gate, channels, dt, -dt * ops.exp(self.A_log)

    def _convolve(self, channels):
        """Convolves, given conv_width - 1 positions before the first.

        Args:
            channels: shape (B, conv_width - 1 + T, I + 2 N).

        Returns:
            u, (B, T, H, K), then b and c, both (B, T, N).
        """
        kernel = self._narrow(self.depthwise_kernel)
        total = self._narrow(self.depthwise_bias)
        length = ops.shape(channels)[1] - (self.conv_width - 1)
        for i in range(self.conv_width):
            total = total + kernel[i] * channels[:, i : i + length]
        u, b, c = ops.split(ops.silu(total), self._channels, axis=-1)
        shape = (-1, length, self.num_heads, u.shape[-1] // self.num_heads)
        return ops.reshape(u, shape), b, c

    def _decays(self, logs):
        """Returns the decay from s to t, 0 where s > t, (B, H, T, S)."""
        logs = ops.transpose(logs, (0, 2, 1))
        positions = ops.arange(ops.shape(logs)[-1])
        is_past = positions[None, :] <= positions[:, None]  # (T, S)
        # Cumulative sums, as fast as `ops.cumsum`, which XLA lowers with
        # numbers of 64 bits.
        total = ops.where(is_past, logs[..., None, :], 0.0)
        total = ops.sum(total, axis=-1)
        logs = total[..., :, None] - total[..., None, :]
        # Masked before exp: a future decay could overflow.
        return ops.exp(ops.where(is_past, logs, float("-inf")))

    def _output(self, y, u, gate):
        """Returns the output, given y without the skip, (B, T, H, K)."""
        y = y + self._narrow(self.skip)[:, None] * u
        y = ops.reshape(y, (-1, ops.shape(y)[1], self._parts[0]))
        return self.out_projection(self.norm(y * ops.silu(gate)))

    def _narrow(self, x):
        return ops.cast(x, self.compute_dtype)

    def _wide(self, x):
        return ops.cast(x, self._exact)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **self._config}


@dataclass(frozen=True)
class StateSpaceConfig(NetworkConfig):
    """State-space layers in place of attention (Dao and Gu 2024).

    `StateSpaceMixer` says what is computed. Unlike in Mamba-2, a feed-forward
    layer follows each, as in all networks here.

    Attributes:
        num_heads: heads, H.
        state_size: numbers that each channel keeps, N.
        conv_width: positions that the convolution sees.
        expansion: inner width I over D.

    Raises:
        ValueError: as `NetworkConfig`, or if the inner width is not a
            multiple of `num_heads`.
    """

    num_heads: int = 4
    state_size: int = 16
    conv_width: int = 4
    expansion: int = 2

    def __post_init__(self):
        super().__post_init__()
        for name in ("num_heads", "state_size", "conv_width", "expansion"):
            check_whole(name, getattr(self, name), 1)
        _inner_dim(self.hidden_dim, self.expansion, self.num_heads)

    def mixer(self) -> keras.Layer:
        """Returns a state-space layer, (B, T, D) to (B, T, D)."""
        return StateSpaceMixer(
            self.hidden_dim,
            self.num_heads,
            self.state_size,
            self.conv_width,
            self.expansion,
            epsilon=self.layer_norm_epsilon,
            name="state_space",
        )

    def count_mixer_operations(self) -> int:
        """Returns D (3 I + 2 N + H) + W (I + 2 N) + T (I + N).

        The two Dense layers; the convolution, W = conv_width wide; products
        c . b and the sum over positions, of all T as in attention.
        """
        inner_dim = self.expansion * self.hidden_dim
        dense = 3 * inner_dim + 2 * self.state_size + self.num_heads
        convolution = self.conv_width * (inner_dim + 2 * self.state_size)
        sums = self.sequence_length * (inner_dim + self.state_size)
        return self.hidden_dim * dense + convolution + sums

    def count_state(self) -> int:
        """Returns I N + (W - 1) (I + 2 N) for each block, see `read`."""
        inner_dim = self.expansion * self.hidden_dim
        num_channels = inner_dim + 2 * self.state_size
        kept = (self.conv_width - 1) * num_channels
        return self.num_layers * (inner_dim * self.state_size + kept)


def _inner_dim(hidden_dim: int, expansion: int, num_heads: int) -> int:
    """Returns the inner width, if the heads can share it."""
    inner_dim = expansion * hidden_dim
    if inner_dim % num_heads:
        raise ValueError(
            "The inner width, expansion * hidden_dim, must be a multiple of "
            f"`num_heads`. Received: expansion={expansion}, "
            f"hidden_dim={hidden_dim}, num_heads={num_heads}"
        )
    return inner_dim
