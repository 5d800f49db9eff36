"""Networks of blocks that differ in one thing: how positions see others.

A network of one's own is a frozen dataclass with a `mixer()`:

    @dataclass(frozen=True)
    class MeanConfig(NetworkConfig):
        '''Each position sees the mean of those up to it.'''

        def mixer(self):
            return Mean(name="mean")
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras

from tiny_gpt.models.blocks import MixerBlock
from tiny_gpt.models.chain import Chain
from tiny_gpt.models.layers import TokenAndPositionEmbedding
from tiny_gpt.runtime.checks import check_choice, check_whole

POSITIONS = ("learned", "sinusoidal", "none")
NORMALIZATIONS = ("post", "pre")


@dataclass(frozen=True)
class NetworkConfig:
    """Configuration of a network of blocks; each network is a subclass.

    Embedding, norms, feed-forward layers and head are those of a `GPTConfig`
    with the same fields. A subclass brings the mixer, and fields of its own.

    Attributes:
        vocabulary_size: token ids that can be read, V.
        sequence_length: tokens that can be read at once, T.
        num_layers: blocks.
        hidden_dim: width of the residual stream, D.
        intermediate_dim: width of the feed-forward layer.
        dropout: rate, on the output of each sub-layer.
        normalization: "pre" or "post".
        layer_norm_epsilon: added to the variance.
        activation: after the first feed-forward Dense layer.
        output_activation: after the second, or None.
        positions: "learned", "sinusoidal" or "none", see `GPTConfig`.
        num_unused_classes: output classes beyond the vocabulary.

    Raises:
        ValueError: if a size is below 1, a rate outside [0, 1), or a choice
            unknown.
    """

    vocabulary_size: int = 30
    sequence_length: int = 30
    num_layers: int = 2
    hidden_dim: int = 64
    intermediate_dim: int = 256
    dropout: float = 0.0
    normalization: str = "pre"
    layer_norm_epsilon: float = 1e-6
    activation: str = "gelu"
    output_activation: str | None = None
    positions: str = "learned"
    num_unused_classes: int = 0

    def __post_init__(self):
        for name in ("hidden_dim", "intermediate_dim"):
            check_whole(name, getattr(self, name), 1)
        check_network(self)

    def mixer(self) -> keras.Layer:
        """Returns a new layer that mixes positions, see `blocks.Mixer`."""
        raise NotImplementedError(f"{type(self).__name__} has no mixer()")

    def count_mixer_operations(self) -> int:
        """Returns the multiplications of the mixer, per token.

        Those of products and of sums over positions; activations, norms and
        gates are left out.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no count_mixer_operations()"
        )

    def count_state(self) -> int:
        """Returns how many numbers a decoder keeps per sentence, in all blocks.

        At the end of a window of T tokens.
        """
        raise NotImplementedError(f"{type(self).__name__} has no count_state()")

    def count_operations(self, num_windows: int) -> int:
        """Returns the operations of the products of one update.

        A multiplication and an addition are two. The gradient takes twice
        what the forward pass takes.

        Args:
            num_windows: windows of T tokens in a batch.
        """
        feed_forward = 2 * self.hidden_dim * self.intermediate_dim
        per_token = self.num_layers * (
            self.count_mixer_operations() + feed_forward
        )
        num_classes = self.vocabulary_size + self.num_unused_classes
        per_token += self.hidden_dim * num_classes
        return 3 * 2 * per_token * num_windows * self.sequence_length

    def build(self) -> keras.Model:
        """Builds the network.

        Its layers are named as those of a GPT: "embedding", "block_0", ...,
        "final_norm" (pre-norm only) and "head".

        Returns:
            Model from token ids, integers of shape (B, T') with T' <= T, to
            logits, shape (B, T', V + num_unused_classes).
        """
        embedding = TokenAndPositionEmbedding(
            self.vocabulary_size,
            self.sequence_length,
            self.hidden_dim,
            positions=self.positions,
            name="embedding",
        )
        blocks = [
            MixerBlock(
                self.mixer(),
                self.hidden_dim,
                self.intermediate_dim,
                dropout=self.dropout,
                normalization=self.normalization,
                layer_norm_epsilon=self.layer_norm_epsilon,
                activation=self.activation,
                output_activation=self.output_activation,
                name=f"block_{i}",
            )
            for i in range(self.num_layers)
        ]
        return chain_of(self, embedding, blocks, type(self).__name__.lower())


def check_network(config) -> None:
    """Checks the fields that all networks have.

    Raises:
        ValueError: if a size is below 1, a rate outside [0, 1), or a choice
            unknown.
    """
    for name in ("vocabulary_size", "sequence_length", "num_layers"):
        check_whole(name, getattr(config, name), 1)
    number = config.num_unused_classes
    if not isinstance(number, int) or number < 0:
        raise ValueError(
            "`num_unused_classes` cannot be negative; it is a whole "
            f"number. Received: num_unused_classes={number!r}"
        )
    rate, epsilon = config.dropout, config.layer_norm_epsilon
    if not isinstance(rate, (int, float)) or not 0.0 <= rate < 1.0:
        raise ValueError(
            f"`dropout` must lie in [0, 1). Received: dropout={rate!r}"
        )
    is_number = isinstance(epsilon, (int, float))
    if not is_number or not 0.0 < epsilon < math.inf:
        raise ValueError(
            "`layer_norm_epsilon` must be above 0, and finite. "
            f"Received: layer_norm_epsilon={epsilon!r}"
        )
    for name in ("activation", "output_activation"):
        _check_activation(name, getattr(config, name))
    check_choice("normalization", config.normalization, NORMALIZATIONS)
    check_choice("positions", config.positions, POSITIONS)


def _check_activation(name: str, value: str | None) -> None:
    try:
        is_known = value is None or callable(keras.activations.get(value))
    except ValueError:
        is_known = False
    if not is_known:
        raise ValueError(
            f"`{name}` must be the name of an activation in Keras, or None. "
            f"Received: {name}={value!r}"
        )


def chain_of(
    config, embedding: keras.Layer, blocks: Sequence[keras.Layer], name: str
) -> keras.Model:
    """Returns the model of an embedding, blocks and the head.

    Args:
        config: a `GPTConfig` or a `NetworkConfig`.
        embedding: from token ids to (B, T, D).
        blocks: in the order in which they are applied.
        name: of the model.
    """
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    x = embedding(token_ids)
    for block in blocks:
        x = block(x)
    if config.normalization == "pre":
        x = keras.layers.LayerNormalization(
            epsilon=config.layer_norm_epsilon, name="final_norm"
        )(x)
    # Logits stay in full precision under a mixed one, for the softmax.
    logits = keras.layers.Dense(
        config.vocabulary_size + config.num_unused_classes,
        dtype=keras.config.dtype_policy().variable_dtype,
        name="head",
    )(x)
    return Chain(token_ids, logits, name=name)
