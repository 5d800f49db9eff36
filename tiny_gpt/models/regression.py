"""Networks that read numbers and answer with one: regression in context.

A window is `x_1 y_1 x_2 y_2 ... x_n`. A position holds a vector x, or a
number y, as a row of d + 1 numbers: (x, 0) or (0, y), much as in Raventos et
al. 2023 (arXiv 2306.15063). The blocks are those of any other network.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from tiny_gpt.models.chain import Chain, applied_layers
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.layers import TokenAndPositionEmbedding
from tiny_gpt.models.network import NetworkConfig
from tiny_gpt.runtime.checks import check_whole


@keras.saving.register_keras_serializable(package="tiny_gpt")
class RowEmbedding(keras.layers.Layer):
    """The embedding of tokens and positions, for rows of numbers.

    A row is embedded as the sum of all vectors in the table of tokens, each
    times a number of the row: a Dense layer without a bias. A one-hot row is
    embedded as a token.

    Args:
        row_width: numbers of a row, C.
        sequence_length: positions, T.
        hidden_dim: width of the embedding, D.
        positions: see `GPTConfig`.
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        rows: float tensor of shape (B, T', C) with T' <= T.

    Returns:
        Float tensor of shape (B, T', D).
    """

    def __init__(
        self, row_width, sequence_length, hidden_dim, positions, **kwargs
    ):
        super().__init__(**kwargs)
        self._config = {
            "row_width": row_width,
            "sequence_length": sequence_length,
            "hidden_dim": hidden_dim,
            "positions": positions,
        }
        self.tokens = TokenAndPositionEmbedding(
            row_width,
            sequence_length,
            hidden_dim,
            positions=positions,
            dtype=self.dtype_policy,
            name="tokens",
        )

    def build(self, input_shape):
        self.tokens.build(input_shape[:-1])

    def call(self, rows):
        return self.tokens.embed(rows, lambda table, x: ops.matmul(x, table))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.tokens.hidden_dim)

    def get_config(self):
        return {**super().get_config(), **self._config}


@keras.saving.register_keras_serializable(package="tiny_gpt")
class ScalarHead(keras.layers.Layer):
    """One number for every other position, the first one included.

    Call arguments:
        x: float tensor of shape (B, T, D).

    Returns:
        Float tensor of shape (B, (T + 1) // 2).
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(
            1, dtype=self.dtype_policy, name="dense"
        )

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x):
        return self.dense(x[:, ::2])[..., 0]

    def compute_output_shape(self, input_shape):
        batch, length, _ = input_shape
        return batch, None if length is None else (length + 1) // 2


@dataclass(frozen=True)
class RegressionConfig:
    """A network that predicts each y from the pairs before it.

    Attributes:
        network: whose blocks and positions are used; its vocabulary is not.
            `sequence_length` is 2 n - 1, for n pairs.
        dim: numbers of a vector x, d.

    Raises:
        ValueError: if d is below 1, the window does not end with an x, or
            positions of the network see later ones.
    """

    network: GPTConfig | NetworkConfig
    dim: int = 4

    def __post_init__(self):
        check_whole("dim", self.dim, 1)
        length = self.network.sequence_length
        if length % 2 == 0:
            raise ValueError(
                "A window begins and ends with an x, so its length is odd. "
                f"Received: sequence_length={length}"
            )
        spans: Any = getattr(self.network, "bidirectional", ())
        if spans:
            raise ValueError(
                "A position may not see later ones, where its answer is. "
                f"Received: bidirectional={spans}"
            )

    def build(self) -> keras.Model:
        """Builds the network, not compiled.

        Returns:
            Model from rows of `interleave`, shape (B, 2 n' - 1, d + 1) with
            n' <= n, to a prediction of each y, shape (B, n').
        """
        embedding, *blocks, _ = applied_layers(self.network.build())
        rows = keras.Input((None, self.dim + 1), name="rows")
        x = RowEmbedding(
            self.dim + 1,
            self.network.sequence_length,
            embedding.hidden_dim,
            self.network.positions,
            name="embedding",
        )(rows)
        for block in blocks:
            x = block(x)
        # As logits: in full precision under a mixed one.
        dtype = keras.config.dtype_policy().variable_dtype
        y = ScalarHead(dtype=dtype, name="head")(x)
        return Chain(rows, y, name="regression")


def interleave(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the rows of windows, (N, 2 n - 1, d + 1), float32.

    Args:
        x: shape (N, n, d).
        y: shape (N, n); the last is only to be predicted.
    """
    number, num_pairs, dim = x.shape
    rows = np.zeros((number, 2 * num_pairs - 1, dim + 1), "float32")
    rows[:, ::2, :dim] = x
    rows[:, 1::2, dim] = y[:, :-1]
    return rows
