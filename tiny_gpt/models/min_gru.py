"""The minimal gated recurrent unit (minGRU) in place of attention."""

from dataclasses import dataclass

import keras
from keras import ops

from tiny_gpt.models.network import NetworkConfig


@keras.saving.register_keras_serializable(package="tiny_gpt")
class MinGRU(keras.layers.Layer):
    """A GRU whose gate and candidate do not see the state before.

    Feng et al. 2024, "Were RNNs All We Needed?", sec. 3.1, with a Dense
    layer at the end:

        z_t = sigmoid(gate(x_t))
        h_t = (1 - z_t) h_{t-1} + z_t candidate(x_t),  h_0 = 0
        y_t = out(h_t)

    The recurrence is linear in h, so all positions are computed at once.

    This is the paper's plain variant, not the one in log-space, whose
    candidates must be positive. It is safe in float32. A state is a weighted
    mean of 0 and the candidates so far, so it cannot grow. Products of
    factors 1 - z_t lie in [0, 1], and nothing is divided by them: one that
    becomes 0 only means that a state is forgotten. Under mixed precision,
    gates and states are kept in the precision of the weights.

    Args:
        hidden_dim: width of the state and of the output, D.
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        x: float tensor of shape (B, T, D).
        training: without effect.

    Returns:
        Float tensor of shape (B, T, D).
    """

    def __init__(self, hidden_dim, **kwargs):
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        dtype = self.dtype_policy
        self.gate = keras.layers.Dense(hidden_dim, name="gate", dtype=dtype)
        self.candidate = keras.layers.Dense(
            hidden_dim, name="candidate", dtype=dtype
        )
        self.out = keras.layers.Dense(hidden_dim, name="out", dtype=dtype)

    def build(self, input_shape):
        self.gate.build(input_shape)
        self.candidate.build(input_shape)
        self.out.build((*input_shape[:-1], self.hidden_dim))

    def call(self, x, training=False):
        return self.out(self.states(x))

    def states(self, x):
        """Returns the state after each position of x, (B, T, D)."""
        return linear_recurrence(*self._factors_and_terms(x))

    def read(self, x, num_more):
        """As a call, and returns the state after the last position, (B, D)."""
        h = self.states(x)
        return self.out(h), (h[:, -1],)

    def read_one(self, x, position, state):
        """Reads one more position, (B, 1, D) (`blocks.Mixer.read_one`)."""
        (h,) = state
        factors, terms = self._factors_and_terms(x)
        h = factors[:, 0] * h + terms[:, 0]
        return self.out(h[:, None]), (h,)

    def _factors_and_terms(self, x):
        """Returns 1 - z_t and z_t candidate(x_t), each (B, T, D)."""
        z = ops.sigmoid(ops.cast(self.gate(x), self.variable_dtype))
        candidate = ops.cast(self.candidate(x), self.variable_dtype)
        return 1.0 - z, z * candidate

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.hidden_dim)

    def get_config(self):
        return {**super().get_config(), "hidden_dim": self.hidden_dim}


def linear_recurrence(factors, terms):
    """Returns h_t = factors_t h_{t-1} + terms_t of all positions; h_0 is 0.

    Two steps of the recurrence are one step of the same kind. Pairs of
    positions are merged until one position is left, in ceil(log2 T) rounds
    with about 3 T multiplications in all (Blelloch 1990, "Prefix sums and
    their applications", sec. 1.4).

    Args:
        factors: float tensor of shape (B, T, D); T must be known.
        terms: the same shape.

    Returns:
        Float tensor of shape (B, T, D).
    """
    # `ops.associative_scan` does the same with strided slices. With Keras
    # 3.15 on TensorFlow, XLA cannot compile it from four positions on.
    length, width = terms.shape[1:]
    if length == 1:
        return terms
    num_pairs = (length + 1) // 2
    room = ((0, 0), (0, 2 * num_pairs - length), (0, 0))
    pairs = (-1, num_pairs, 2, width)
    factors = ops.reshape(ops.pad(factors, room), pairs)
    terms = ops.reshape(ops.pad(terms, room), pairs)
    first, second = factors[:, :, 0], factors[:, :, 1]
    seconds = linear_recurrence(
        first * second, second * terms[:, :, 0] + terms[:, :, 1]
    )
    before = ops.pad(seconds[:, :-1], ((0, 0), (1, 0), (0, 0)))
    firsts = first * before + terms[:, :, 0]
    h = ops.stack([firsts, seconds], axis=2)
    return ops.reshape(h, (-1, 2 * num_pairs, width))[:, :length]


@dataclass(frozen=True)
class MinGRUConfig(NetworkConfig):
    """Minimal gated recurrent units in place of attention (`MinGRU`)."""

    def mixer(self) -> keras.Layer:
        """Returns a layer of D units."""
        return MinGRU(self.hidden_dim, name="min_gru")

    def count_mixer_operations(self) -> int:
        """Returns 3 D^2: the gate, the candidate and the output."""
        return 3 * self.hidden_dim**2

    def count_state(self) -> int:
        """Returns D for each block."""
        return self.num_layers * self.hidden_dim
