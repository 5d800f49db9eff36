"""Recurrent mixers: Keras's own GRU and LSTM in place of attention."""

from dataclasses import dataclass

import keras

from tiny_gpt.models.network import NetworkConfig


@keras.saving.register_keras_serializable(package="tiny_gpt")
class Recurrence(keras.layers.Layer):
    """A recurrent layer of Keras as the mixer of a block (`blocks.Mixer`).

    Args:
        kind: "GRU" or "LSTM", a layer of `keras.layers`.
        hidden_dim: its units, D.
        use_cudnn: whether NVIDIA's kernel computes it on a GPU. Its sums have
            another order, so a result differs from a CPU's in the last bits.
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        x: float tensor of shape (B, T, D).
        training: without effect.

    Returns:
        Float tensor of shape (B, T, D).
    """

    def __init__(self, kind, hidden_dim, use_cudnn=False, **kwargs):
        super().__init__(**kwargs)
        self._config = {
            "kind": kind,
            "hidden_dim": hidden_dim,
            "use_cudnn": use_cudnn,
        }
        self.layer = getattr(keras.layers, kind)(
            hidden_dim,
            return_sequences=True,
            return_state=True,
            use_cudnn="auto" if use_cudnn else False,
            dtype=self.dtype_policy,
            name=kind.lower(),
        )

    def build(self, input_shape):
        self.layer.build(input_shape)

    def call(self, x, training=False):
        return self.layer(x)[0]

    def read(self, x, num_more):
        """As a call, and returns the state after the last position."""
        x, *state = self.layer(x)
        return x, tuple(state)

    def read_one(self, x, position, state):
        """Reads one more position, (B, 1, D)."""
        x, state = self.layer.cell(x[:, 0], state)
        return x[:, None], tuple(state)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **self._config}


@dataclass(frozen=True)
class GRUConfig(NetworkConfig):
    """Gated recurrent units in place of attention (Cho et al. 2014).

    Keras's variant, with the reset gate after the product
    (`reset_after=True`), which is also cuDNN's.

    Attributes:
        use_cudnn: see `Recurrence`.
    """

    use_cudnn: bool = False

    def mixer(self) -> keras.Layer:
        """Returns a recurrent layer of D units."""
        return Recurrence("GRU", self.hidden_dim, self.use_cudnn, name="gru")

    def count_mixer_operations(self) -> int:
        """Returns 6 D^2: three gates, from the input and from the state."""
        return 6 * self.hidden_dim**2

    def count_state(self) -> int:
        """Returns D for each block."""
        return self.num_layers * self.hidden_dim


@dataclass(frozen=True)
class LSTMConfig(NetworkConfig):
    """Long short-term memory (Hochreiter and Schmidhuber 1997).

    Keras's variant; the bias of the forget gate starts at 1.

    Attributes:
        use_cudnn: see `Recurrence`.
    """

    use_cudnn: bool = False

    def mixer(self) -> keras.Layer:
        """Returns a recurrent layer of D units."""
        return Recurrence("LSTM", self.hidden_dim, self.use_cudnn, name="lstm")

    def count_mixer_operations(self) -> int:
        """Returns 8 D^2: four gates, from the input and from the state."""
        return 8 * self.hidden_dim**2

    def count_state(self) -> int:
        """Returns 2 D for each block: the output and the cell."""
        return 2 * self.num_layers * self.hidden_dim
