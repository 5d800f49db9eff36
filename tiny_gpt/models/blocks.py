"""Residual blocks: something that mixes positions, then a feed-forward layer.

A *mixer* is the layer that lets a position see others: attention, a recurrent
layer, and so on. Networks differ in their mixers; the rest of a block is the
same for all.
"""

from typing import Any, Protocol

import keras
from keras import ops

from tiny_gpt.models.attention import CausalSelfAttention


class Mixer(Protocol):
    """What a block asks of its mixer, a `keras.Layer`.

    With `read` and `read_one` a decoder reads one position at a time. Without
    them the network still works: each new token is then a whole pass.
    """

    name: str

    def __call__(self, x: Any, training: bool = False) -> Any:
        """Mixes positions: (B, T, D) to (B, T, D), t from positions <= t.

        In a span of `bidirectional`, if it has any, t from the whole span.
        """
        ...

    def read(self, x: Any, num_more: int) -> tuple[Any, tuple[Any, ...]]:
        """As a call, and returns what later positions need.

        Args:
            x: float tensor of shape (B, P, D).
            num_more: positions that will be read after them.

        Returns:
            The output, (B, P, D), and the state, tensors with B in front.
        """
        ...

    def read_one(
        self, x: Any, position: Any, state: tuple[Any, ...]
    ) -> tuple[Any, tuple[Any, ...]]:
        """Reads one more position.

        Args:
            x: float tensor of shape (B, 1, D).
            position: its position, a scalar.
            state: of the positions before, as from `read`.

        Returns:
            The output, (B, 1, D), and the state with this position.
        """
        ...


@keras.saving.register_keras_serializable(package="tiny_gpt")
class MixerBlock(keras.layers.Layer):
    """A mixer of positions, then a feed-forward layer, each with a residual.

    The arguments are fields of `NetworkConfig`, which explains them.

    Args:
        mixer: a layer, see `Mixer`.
        hidden_dim: width of the block, D.
        intermediate_dim: width of the feed-forward layer.
        dropout: rate, on the output of each sub-layer.
        normalization: "pre" or "post".
        layer_norm_epsilon: added to the variance.
        activation: after the first Dense layer.
        output_activation: after the second, or None.
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        x: float tensor of shape (B, T, D).
        training: whether dropout acts.

    Returns:
        Float tensor of shape (B, T, D).
    """

    def __init__(
        self,
        mixer,
        hidden_dim,
        intermediate_dim,
        dropout=0.0,
        normalization="pre",
        layer_norm_epsilon=1e-6,
        activation="gelu",
        output_activation=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.normalization = normalization
        self._config = {
            "hidden_dim": hidden_dim,
            "intermediate_dim": intermediate_dim,
            "dropout": dropout,
            "normalization": normalization,
            "layer_norm_epsilon": layer_norm_epsilon,
            "activation": activation,
            "output_activation": output_activation,
        }
        dtype = self.dtype_policy
        self.mixer = mixer
        self.mixer_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=dtype, name=f"{mixer.name}_norm"
        )
        self.inner = keras.layers.Dense(
            intermediate_dim, activation=activation, dtype=dtype, name="inner"
        )
        self.outer = keras.layers.Dense(
            hidden_dim, activation=output_activation, dtype=dtype, name="outer"
        )
        self.feed_forward_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=dtype, name="feed_forward_norm"
        )
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, input_shape):
        if not self.mixer.built:  # a loaded one is
            self.mixer.build(input_shape)
        self.mixer_norm.build(input_shape)
        self.inner.build(input_shape)
        self.outer.build((*input_shape[:-1], self.inner.units))
        self.feed_forward_norm.build(input_shape)

    def call(self, x, training=False):
        mixed = self.mixer(self.mixer_input(x), training=training)
        return self.add(x, mixed, training=training)

    def mixer_input(self, x):
        """Returns the input of the mixer, given x, (B, T, D)."""
        return self.mixer_norm(x) if self.normalization == "pre" else x

    def add(self, x, mixed, training=False):
        """Adds the mixer's output, then the feed-forward layer's."""
        x = self.add_mixed(x, mixed, training=training)
        return self.add_feed_forward(x, training=training)

    def add_mixed(self, x, mixed, training=False):
        """Adds the mixer's output to x, shape (B, T, D)."""
        x = x + self.drop(mixed, training=training)
        return x if self.normalization == "pre" else self.mixer_norm(x)

    def add_feed_forward(self, x, training=False):
        """Applies the second half of the block, shape (B, T, D)."""
        is_pre = self.normalization == "pre"
        hidden = self.inner(self.feed_forward_norm(x) if is_pre else x)
        x = x + self.drop(self.outer(hidden), training=training)
        return x if is_pre else self.feed_forward_norm(x)

    def rows(self, x, first_position, num_positions):
        """Returns some rows of the output, (B, P, D)."""
        return take_rows(self(x), first_position, num_positions)

    def read(self, x, num_more):
        """Applies the block, and keeps the state of its mixer.

        Args:
            x: float tensor of shape (B, P, D).
            num_more: positions that will be read after them.

        Returns:
            The output, (B, P, D), and the state (`Mixer.read`).
        """
        mixed, state = self.mixer.read(self.mixer_input(x), num_more)
        return self.add(x, mixed), state

    def read_to_last(self, x, num_more):
        """As `read`, with the last row of the output, (B, 1, D)."""
        x, state = self.read(x, num_more)
        return x[:, -1:], state

    def read_one(self, x, position, state):
        """Reads one more position.

        Args:
            x: float tensor of shape (B, 1, D).
            position: its position, a scalar.
            state: as from `read`.

        Returns:
            The output, (B, 1, D), and the state with this position.
        """
        mixed, state = self.mixer.read_one(self.mixer_input(x), position, state)
        return self.add(x, mixed), state

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        mixer = keras.saving.serialize_keras_object(self.mixer)
        return {**super().get_config(), **self._config, "mixer": mixer}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if isinstance(config.get("mixer"), dict):
            config["mixer"] = keras.saving.deserialize_keras_object(
                config["mixer"]
            )
        return cls(**config)


@keras.saving.register_keras_serializable(package="tiny_gpt")
class TransformerBlock(MixerBlock):
    """A block whose mixer is causal self-attention.

    The arguments are fields of `GPTConfig`, which explains them.

    Args:
        num_heads: attention heads, H.
        head_dim: width of one head, K; the block is H K = D wide.
        intermediate_dim: width of the feed-forward layer.
        logit_scale: "head_dim" or "hidden_dim".
        dropout: rate.
        dropout_placement: "weights" or "logits".
        normalization: "pre" or "post".
        layer_norm_epsilon: added to the variance.
        activation: after the first Dense layer.
        output_activation: after the second, or None.
        bidirectional: spans of positions.
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        x: float tensor of shape (B, T, D).
        training: whether dropout acts.

    Returns:
        Float tensor of shape (B, T, D).
    """

    def __init__(
        self,
        num_heads,
        head_dim,
        intermediate_dim,
        logit_scale="head_dim",
        dropout=0.0,
        dropout_placement="weights",
        normalization="pre",
        layer_norm_epsilon=1e-6,
        activation="gelu",
        output_activation=None,
        bidirectional=(),
        **kwargs,
    ):
        attention = CausalSelfAttention(
            num_heads,
            head_dim,
            logit_scale=logit_scale,
            dropout=dropout,
            dropout_placement=dropout_placement,
            bidirectional=bidirectional,
            dtype=kwargs.get("dtype"),
            name="attention",
        )
        super().__init__(
            attention,
            num_heads * head_dim,
            intermediate_dim,
            dropout=dropout,
            normalization=normalization,
            layer_norm_epsilon=layer_norm_epsilon,
            activation=activation,
            output_activation=output_activation,
            **kwargs,
        )
        self._attention_config = {
            "num_heads": num_heads,
            "head_dim": head_dim,
            "logit_scale": logit_scale,
            "dropout_placement": dropout_placement,
            "bidirectional": attention.bidirectional,
        }

    # Saved weights are named by these two (the first in the alphabet wins).
    @property
    def attention(self):
        """The mixer."""
        return self.mixer

    @property
    def attention_norm(self):
        """Its norm."""
        return self.mixer_norm

    def keys_and_values(self, x):
        """Returns keys and values of x, each (B, T, H, K)."""
        return self.attention.keys_and_values(self.mixer_input(x))

    def attend(self, x, k, v, first_position=0):
        """Applies the block to x, given the keys and values it may see.

        Args:
            x: float tensor of shape (B, T, D).
            k: keys of positions 0, 1, ..., shape (B, S, H, K).
            v: their values, the same shape.
            first_position: position of the first row of x among the keys.

        Returns:
            Float tensor of shape (B, T, D).
        """
        attended = self.attention.attend(
            self.mixer_input(x), k, v, first_position
        )
        return self.add(x, attended)

    def rows(self, x, first_position, num_positions):
        """As `MixerBlock.rows`, without computing the others."""
        k, v = self.keys_and_values(x)
        rows = take_rows(x, first_position, num_positions)
        return self.attend(rows, k, v, first_position)

    def read_to_last(self, x, num_more):
        """As `MixerBlock.read_to_last`, without computing the others."""
        k, v = self.keys_and_values(x)
        last = self.attend(x[:, -1:], k, v, x.shape[1] - 1)
        return last, self.attention.with_room(k, v, num_more)

    def get_config(self):
        config = {**super().get_config(), **self._attention_config}
        del config["mixer"], config["hidden_dim"]
        return config


def take_rows(x, first_position, num_positions):
    """Returns some rows of x, (B, T, D): (B, P, D)."""
    size = (ops.shape(x)[0], num_positions, x.shape[-1])
    return ops.slice(x, (0, first_position, 0), size)
