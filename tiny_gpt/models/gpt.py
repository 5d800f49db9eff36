"""The GPT: its configuration, the model, and its initial weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from tiny_gpt.models.layers import (
    Dense,
    LayerNormalization,
    TokenAndPositionEmbedding,
    TransformerBlock,
)
from tiny_gpt.runtime.checks import check_choice


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


@dataclass(frozen=True)
class GPTConfig:
    """A GPT, with each quirk of the published one as a field.

    The defaults are the network of Sinha 2024, sec. 3.1 (4,533,631
    parameters); `num_layers=3, num_heads=30, head_dim=30,
    vocabulary_size=54` is that of sec. 3.2 (34,196,455).

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
            usual; "logits" drops logits after masking, as in Corpus2GPT, so
            that with a rate above 0 a masked position (logit -inf) can come
            through as a logit of 0.
        normalization: "post" normalises after each residual sum, as
            published; "pre" before each sub-layer and once at the end.
        layer_norm_epsilon: added to the variance.
        logit_scale: factor on query-key products, "hidden_dim" for the
            published 1/sqrt(H K), "head_dim" for the usual 1/sqrt(K).
        activation: after the first feed-forward Dense layer.
        output_activation: after the second; None is usual, "gelu" published.
        positions: "learned" or "none".
        num_unused_classes: output classes beyond the vocabulary; 1 in the
            paper. Such a class is never a target. If it wins all the same,
            it counts as a wrong word and is fed back as id 0, "unknown"
            (`greedy.py`); in Corpus2GPT it cannot be embedded.
        embedding_gradient: "dense" sums the gradients of repeated tokens
            before clipping and Adam, on every backend; "indexed_slices" is
            what `keras.layers.Embedding` does on TensorFlow, where they stay
            apart (the published runs; TensorFlow only).

    Raises:
        ValueError: if a size is below 1, a rate outside [0, 1), or a choice
            unknown.
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

    def __post_init__(self):
        sizes = ("vocabulary_size", "sequence_length", "num_layers")
        for name in (*sizes, "num_heads", "head_dim", "intermediate_ratio"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` must be at least 1, a whole number. "
                    f"Received: {name}={value!r}"
                )
        number = self.num_unused_classes
        if not isinstance(number, int) or number < 0:
            raise ValueError(
                "`num_unused_classes` cannot be negative; it is a whole "
                f"number. Received: num_unused_classes={number!r}"
            )
        rate, epsilon = self.dropout, self.layer_norm_epsilon
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
            _check_activation(name, getattr(self, name))
        for name, choices in (
            ("dropout_placement", ("logits", "weights")),
            ("normalization", ("post", "pre")),
            ("logit_scale", ("hidden_dim", "head_dim")),
            ("positions", ("learned", "none")),
            ("embedding_gradient", ("dense", "indexed_slices")),
        ):
            check_choice(name, getattr(self, name), choices)

    @property
    def hidden_dim(self) -> int:
        """Width of the residual stream, D = H K."""
        return self.num_heads * self.head_dim


def build_gpt(config: GPTConfig) -> keras.Model:
    """Builds the model that a configuration describes.

    Its layers are named "embedding", "block_0", ..., "final_norm" (pre-norm
    only) and "head", so that `greedy.py` and probes can find them.

    Args:
        config: sizes and quirks.

    Returns:
        Model from token ids, integers of shape (B, T') with T' <= T, to
        logits, shape (B, T', V + num_unused_classes).

    Raises:
        ValueError: if the backend lacks what the configuration asks for.
    """
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    x = TokenAndPositionEmbedding(
        config.vocabulary_size,
        config.sequence_length,
        config.hidden_dim,
        positions=config.positions,
        embedding_gradient=config.embedding_gradient,
        name="embedding",
    )(token_ids)
    for i in range(config.num_layers):
        x = TransformerBlock(
            config.num_heads,
            config.head_dim,
            config.intermediate_ratio * config.hidden_dim,
            logit_scale=config.logit_scale,
            dropout=config.dropout,
            dropout_placement=config.dropout_placement,
            normalization=config.normalization,
            layer_norm_epsilon=config.layer_norm_epsilon,
            activation=config.activation,
            output_activation=config.output_activation,
            name=f"block_{i}",
        )(x)
    if config.normalization == "pre":
        x = LayerNormalization(
            epsilon=config.layer_norm_epsilon, name="final_norm"
        )(x)
    # Logits stay in full precision under a mixed one, for the softmax.
    logits = Dense(
        config.vocabulary_size + config.num_unused_classes,
        dtype=keras.config.dtype_policy().variable_dtype,
        name="head",
    )(x)
    return keras.Model(token_ids, logits, name="gpt")


def initialise_weights(model: keras.Model, rng: np.random.Generator) -> None:
    """Draws initial weights in NumPy: one seed, one network, any backend.

    The distributions are Keras's defaults, as published: Glorot uniform
    for kernels, orthogonal for those of recurrent layers, uniform in [-0.05,
    0.05] for embeddings; biases and norms keep the constants that they are
    built with. Keras itself draws other numbers on each backend from the same
    seed.

    Args:
        model: any model, changed in place.
        rng: source of randomness.

    Raises:
        ValueError: if a trainable variable has another name, so that its
            weights would be those of the backend; nothing is changed.
    """
    unknown = [v.path for v in model.trainable_variables if v.name not in DRAWN]
    if unknown:
        raise ValueError(
            "Initial weights are drawn for variables named "
            f"{', '.join(DRAWN)}; others would be the backend's, and one seed "
            f"not one network. Received: {', '.join(unknown)}"
        )
    for variable in model.variables:
        draw = DRAWN.get(variable.name)
        if draw is not None:
            variable.assign(draw(variable.shape, rng))
        elif "seed_generator_state" in variable.path:
            state = rng.integers(0, 2**31, variable.shape)
            variable.assign(state.astype("uint32"))


def _glorot_uniform(
    shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Draws as `keras.initializers.GlorotUniform`: convolutions, too."""
    places = math.prod(shape[:-2])
    limit = np.sqrt(6.0 / (places * sum(shape[-2:])))
    return rng.uniform(-limit, limit, shape)


def _orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws as `keras.initializers.Orthogonal` (Saxe et al. 2014)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    normal = rng.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diag(r))
    return (q.T if rows < columns else q).reshape(shape)


def _uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-0.05, 0.05, shape)


# How each trainable variable is drawn, by name; None leaves a constant.
DRAWN: dict[str, Callable[..., np.ndarray] | None] = {
    "kernel": _glorot_uniform,
    "recurrent_kernel": _orthogonal,
    "token_table": _uniform,
    "position_table": _uniform,
    "embeddings": _uniform,
    "bias": None,
    "gamma": None,
    "beta": None,
}
