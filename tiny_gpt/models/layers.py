"""The first layer of every network: tokens and their positions."""

import keras
import numpy as np
from keras import ops

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
