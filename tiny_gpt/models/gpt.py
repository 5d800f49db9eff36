"""The GPT, built by its configuration."""

from dataclasses import dataclass

import keras

from tiny_gpt.models.blocks import TransformerBlock
from tiny_gpt.models.layers import TokenAndPositionEmbedding
from tiny_gpt.models.network import chain_of, check_network
from tiny_gpt.models.spans import Spans, check_spans
from tiny_gpt.runtime.checks import check_choice, check_whole


@dataclass(frozen=True)
class GPTConfig:
    """Configuration of a GPT; each quirk of the published one is a field.

    The defaults are the network of Sinha 2024, sec. 3.1 (4,533,631
    parameters). `num_layers=3, num_heads=30, head_dim=30,
    vocabulary_size=54` gives that of sec. 3.2 (34,196,455).

    Attributes:
        vocabulary_size: token ids that can be read, V.
        sequence_length: tokens that can be read at once, T.
        num_layers: transformer blocks.
        num_heads: attention heads, H.
        head_dim: width of one head, K.
        intermediate_ratio: width of the feed-forward layer over hidden_dim.
        dropout: rate, 0 in the paper; acts in the attention and on the
            output of each sub-layer.
        dropout_placement: in the attention, "weights" drops weights, as
            usual. "logits" drops logits after masking, as in Corpus2GPT; with
            a rate above 0 the logit of a masked position (-inf) can then
            become 0, and the mask fails.
        normalization: "post" normalises after each residual sum, as
            published; "pre" before each sub-layer and once at the end.
        layer_norm_epsilon: added to the variance.
        logit_scale: factor on query-key products, "hidden_dim" for the
            published 1/sqrt(H K), "head_dim" for the usual 1/sqrt(K).
        activation: after the first feed-forward Dense layer.
        output_activation: after the second; None is usual, "gelu" published.
        positions: "learned", as published, "sinusoidal" or "none". The second
            is the fixed table of Vaswani et al. 2017, sec. 3.5, without
            weights, which is added to the tokens' embeddings times sqrt(D)
            (their sec. 3.4). Its rows have the norm sqrt(D / 2); that of an
            initial embedding, drawn in [-0.05, 0.05], is 24 times smaller,
            and times sqrt(D) at D = 64 three times.
        num_unused_classes: output classes beyond the vocabulary; 1 in the
            paper. Such a class is never a target. If it wins, it counts as a
            wrong word and is fed back as id 0, "unknown" (`greedy.py`); in
            Corpus2GPT it cannot be embedded.
        embedding_gradient: "dense" sums the gradients of repeated tokens
            before clipping and Adam, on every backend. "indexed_slices" keeps
            them apart, as `keras.layers.Embedding` does on TensorFlow (the
            published runs; TensorFlow only).
        bidirectional: spans of positions, (start, end) from `start` to before
            `end`, in which every position sees every other. Elsewhere a
            position sees those up to it. ((0, 25),) is a prefix language
            model (Raffel et al. 2020, sec. 3.2.1). Empty, as published, for a
            causal one.

    Raises:
        ValueError: if a size is below 1, a rate outside [0, 1), a choice
            unknown, or spans overlap or do not fit.
    """

    vocabulary_size: int = 30
    sequence_length: int = 45
    num_layers: int = 2
    num_heads: int = 20
    head_dim: int = 20
    intermediate_ratio: int = 5
    dropout: float = 0.0
    dropout_placement: str = "logits"
    normalization: str = "post"
    layer_norm_epsilon: float = 1e-6
    logit_scale: str = "hidden_dim"
    activation: str = "gelu"
    output_activation: str | None = "gelu"
    positions: str = "learned"
    num_unused_classes: int = 1
    embedding_gradient: str = "dense"
    bidirectional: Spans = ()

    def __post_init__(self):
        for name in ("num_heads", "head_dim", "intermediate_ratio"):
            check_whole(name, getattr(self, name), 1)
        check_network(self)
        for name, choices in (
            ("dropout_placement", ("logits", "weights")),
            ("logit_scale", ("hidden_dim", "head_dim")),
            ("embedding_gradient", ("dense", "indexed_slices")),
        ):
            check_choice(name, getattr(self, name), choices)
        check_spans(self.bidirectional, self.sequence_length)

    @property
    def hidden_dim(self) -> int:
        """Width of the residual stream, D = H K."""
        return self.num_heads * self.head_dim

    def count_state(self) -> int:
        """Returns how many numbers a decoder keeps per sentence.

        Keys and values of T tokens, in all blocks.
        """
        return 2 * self.sequence_length * self.hidden_dim * self.num_layers

    def count_operations(self, num_windows: int) -> int:
        """Returns the operations of the products of one update.

        A multiplication and an addition are two. The gradient takes twice
        what the forward pass takes. Softmax, norms and Adam are left out.

        Args:
            num_windows: windows of T tokens in a batch.
        """
        width = self.hidden_dim
        projections = 4 * width * width
        feed_forward = 2 * width * self.intermediate_ratio * width
        attention = 2 * self.sequence_length * width
        per_token = self.num_layers * (projections + feed_forward + attention)
        per_token += width * (self.vocabulary_size + self.num_unused_classes)
        return 3 * 2 * per_token * num_windows * self.sequence_length

    def build(self) -> keras.Model:
        """Builds the network.

        Its layers are named "embedding", "block_0", ..., "final_norm"
        (pre-norm only) and "head", so that probes can find them.

        Returns:
            Model from token ids, integers of shape (B, T') with T' <= T, to
            logits, shape (B, T', V + num_unused_classes).

        Raises:
            ValueError: if the backend lacks what the configuration asks for.
        """
        embedding = TokenAndPositionEmbedding(
            self.vocabulary_size,
            self.sequence_length,
            self.hidden_dim,
            positions=self.positions,
            embedding_gradient=self.embedding_gradient,
            name="embedding",
        )
        return chain_of(self, embedding, self._applied_blocks(), "gpt")

    def _applied_blocks(self) -> list[TransformerBlock]:
        """Returns the blocks in the order in which they are applied."""
        return [self._block(i) for i in range(self.num_layers)]

    def _block(self, i: int) -> TransformerBlock:
        return TransformerBlock(
            self.num_heads,
            self.head_dim,
            self.intermediate_ratio * self.hidden_dim,
            logit_scale=self.logit_scale,
            dropout=self.dropout,
            dropout_placement=self.dropout_placement,
            normalization=self.normalization,
            layer_norm_epsilon=self.layer_norm_epsilon,
            activation=self.activation,
            output_activation=self.output_activation,
            bidirectional=self.bidirectional,
            name=f"block_{i}",
        )
