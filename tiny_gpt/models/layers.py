"""Layers of the GPT: embedding and transformer block."""

import keras
import numpy as np
from keras import ops

from tiny_gpt.models.attention import CausalSelfAttention

# Layers of our own once stood in files where Keras's do now.
keras.saving.get_custom_objects().update(
    {
        "tiny_gpt>Dense": keras.layers.Dense,
        "tiny_gpt>LayerNormalization": keras.layers.LayerNormalization,
    }
)


def sinusoids(length: int, width: int) -> np.ndarray:
    """Returns the fixed table of positions of Vaswani et al. 2017, sec. 3.5.

    Column 2 i is sin(t / 10000^(2 i / D)) at position t, column 2 i + 1 the
    cosine of the same. An odd D leaves out the last cosine.

    Args:
        length: positions, T.
        width: width of the embedding, D.

    Returns:
        Shape (T, D), float64.
    """
    rates = 10000.0 ** -(np.arange(0, width, 2) / width)
    angles = np.arange(length)[:, None] * rates
    table = np.empty((length, width))
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, : width // 2])
    return table


@keras.saving.register_keras_serializable(package="tiny_gpt")
class TokenAndPositionEmbedding(keras.layers.Layer):
    """Token embedding plus an embedding of the position.

    It follows Corpus2GPT, models/embeddings.py, with one difference: by
    default the gradients of repeated tokens are summed (see
    `GPTConfig.embedding_gradient`).

    Args:
        vocabulary_size: token ids, V.
        sequence_length: positions, T.
        hidden_dim: width of the embedding, D.
        positions: "learned", "sinusoidal" or "none", see `GPTConfig`.
        embedding_gradient: "dense" or "indexed_slices".
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        token_ids: integer tensor of shape (B, T') with T' <= T.
        first_position: position of the first token.

    Returns:
        Float tensor of shape (B, T', D).

    Raises:
        ValueError: if the input is longer than `sequence_length`, or the
            backend has no "indexed_slices".
    """

    def __init__(
        self,
        vocabulary_size,
        sequence_length,
        hidden_dim,
        positions="learned",
        embedding_gradient="dense",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if (
            embedding_gradient == "indexed_slices"
            and keras.backend.backend() != "tensorflow"
        ):
            raise ValueError(
                "embedding_gradient='indexed_slices' exists on TensorFlow "
                f"only. Received: backend={keras.backend.backend()!r}"
            )
        self.vocabulary_size = vocabulary_size
        self.sequence_length = sequence_length
        self.hidden_dim = hidden_dim
        self.positions = positions
        self.embedding_gradient = embedding_gradient

    def build(self, input_shape):
        self.token_table = self.add_weight(
            shape=(self.vocabulary_size, self.hidden_dim),
            initializer="uniform",
            name="token_table",
        )
        if self.positions == "learned":
            self.position_table = self.add_weight(
                shape=(self.sequence_length, self.hidden_dim),
                initializer="uniform",
                name="position_table",
            )

    def call(self, token_ids, first_position=0):
        return self.embed(token_ids, self._look_up, first_position)

    def embed(self, token_ids, look_up, first_position=0):
        """Embeds token ids with a given look-up function.

        Args:
            token_ids: integer tensor of shape (B, T').
            look_up: from the table, shape (V, D), and the ids to a float
                tensor of shape (B, T', D).
            first_position: position of the first token.
        """
        length = token_ids.shape[1]
        if length is not None and length > self.sequence_length:
            raise ValueError(
                "The input cannot be longer than sequence_length = "
                f"{self.sequence_length} tokens. Received: "
                f"shape={tuple(token_ids.shape)}"
            )
        x = look_up(ops.convert_to_tensor(self.token_table), token_ids)
        if self.positions == "none":
            return x
        index = first_position + ops.arange(ops.shape(token_ids)[1])
        if self.positions == "sinusoidal":
            table = sinusoids(self.sequence_length, self.hidden_dim)
            table = ops.convert_to_tensor(table.astype("float32"))
            # Without the factor, positions hide the words: of seeds 1000 to
            # 1002 of `quick` one had not learned B->C after 15 epochs.
            x = x * self.hidden_dim**0.5
            return x + ops.cast(ops.take(table, index, axis=0), x.dtype)
        # A product, as in `_look_up`: with several devices, each position is
        # there once per device, to be summed before clipping and Adam.
        table = ops.convert_to_tensor(self.position_table) * 1.0
        return x + ops.take(table, index, axis=0)

    def _look_up(self, table, token_ids):
        if self.embedding_gradient == "dense":
            # On TensorFlow the gradient of a gather from a variable keeps
            # repeated ids apart; from a product it is one dense array.
            table = table * 1.0
        return ops.take(table, token_ids, axis=0)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.hidden_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "sequence_length": self.sequence_length,
            "hidden_dim": self.hidden_dim,
            "positions": self.positions,
            "embedding_gradient": self.embedding_gradient,
        }


@keras.saving.register_keras_serializable(package="tiny_gpt")
class TransformerBlock(keras.layers.Layer):
    """Causal self-attention, then a feed-forward layer, each with a residual.

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
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.normalization = normalization
        self._config = {
            "num_heads": num_heads,
            "head_dim": head_dim,
            "intermediate_dim": intermediate_dim,
            "logit_scale": logit_scale,
            "dropout": dropout,
            "dropout_placement": dropout_placement,
            "normalization": normalization,
            "layer_norm_epsilon": layer_norm_epsilon,
            "activation": activation,
            "output_activation": output_activation,
        }
        dtype = self.dtype_policy
        self.attention = CausalSelfAttention(
            num_heads,
            head_dim,
            logit_scale=logit_scale,
            dropout=dropout,
            dropout_placement=dropout_placement,
            dtype=dtype,
            name="attention",
        )
        self.attention_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=dtype, name="attention_norm"
        )
        self.inner = keras.layers.Dense(
            intermediate_dim, activation=activation, dtype=dtype, name="inner"
        )
        self.outer = keras.layers.Dense(
            num_heads * head_dim,
            activation=output_activation,
            dtype=dtype,
            name="outer",
        )
        self.feed_forward_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=dtype, name="feed_forward_norm"
        )
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, input_shape):
        self.attention.build(input_shape)
        self.attention_norm.build(input_shape)
        self.inner.build(input_shape)
        self.outer.build((*input_shape[:-1], self.inner.units))
        self.feed_forward_norm.build(input_shape)

    def call(self, x, training=False):
        k, v = self.keys_and_values(x)
        return self.attend(x, k, v, training=training)

    def keys_and_values(self, x):
        """Returns keys and values of x, each (B, T, H, K)."""
        return self.attention.keys_and_values(self.attention_input(x))

    def attention_input(self, x):
        """Returns the input of the attention, given x, (B, T, D)."""
        return self.attention_norm(x) if self.normalization == "pre" else x

    def attend(self, x, k, v, first_position=0, training=False):
        """Applies the block to x, given the keys and values it may see.

        Args:
            x: float tensor of shape (B, T, D).
            k: keys of positions 0, 1, ..., shape (B, S, H, K).
            v: their values, the same shape.
            first_position: position of the first row of x among the keys.
            training: whether dropout acts.

        Returns:
            Float tensor of shape (B, T, D).
        """
        attended = self.attention.attend(
            self.attention_input(x), k, v, first_position, training=training
        )
        x = self.add_attended(x, attended, training=training)
        return self.add_feed_forward(x, training=training)

    def add_attended(self, x, attended, training=False):
        """Adds the attention's output to x, shape (B, T, D)."""
        x = x + self.drop(attended, training=training)
        return x if self.normalization == "pre" else self.attention_norm(x)

    def add_feed_forward(self, x, training=False):
        """Applies the second half of the block, shape (B, T, D)."""
        is_pre = self.normalization == "pre"
        hidden = self.inner(self.feed_forward_norm(x) if is_pre else x)
        x = x + self.drop(self.outer(hidden), training=training)
        return x if is_pre else self.feed_forward_norm(x)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **self._config}
