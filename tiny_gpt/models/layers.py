"""The layers of the GPT.

Each computes in one of two forms that give the same: as written here, or, by
JAX on a CPU and without dropout, as in `fast_cpu.py`.
"""

import keras
from keras import ops

from tiny_gpt.runtime import backend

# What else would mix features, or positions, of a feature-major array.
ELEMENTWISE = ("gelu", "linear", "relu", "silu", "tanh")


def _feature_major(layer, x, is_dropping=False):
    """Returns `feature_major`, if that form is the faster one, or None."""
    if is_dropping or not backend.is_jax_on_cpu() or x.ndim != 3:
        return None
    # It walks through groups of sentences, which would cross devices.
    if backend.is_dividing():
        return None
    from tiny_gpt.models import fast_cpu

    batch, length, _ = x.shape
    is_large = (
        batch >= fast_cpu.SMALLEST_GROUP and length >= fast_cpu.SHORTEST_WINDOW
    )
    dtype = layer.variable_dtype
    is_plain = layer.compute_dtype == dtype and dtype in ("float32", "float64")
    return fast_cpu if is_large and is_plain else None


def _is_elementwise(dense):
    name = getattr(dense.activation, "__name__", None)
    return dense.use_bias and name in ELEMENTWISE


@keras.saving.register_keras_serializable(package="tiny_gpt")
class Dense(keras.layers.Dense):
    """Keras's Dense layer in the faster of two forms."""

    def call(self, x, training=None):
        features = _feature_major(self, x)
        if features is None or not _is_elementwise(self):
            return super().call(x, training=training)
        x = features.apply_to_features(features.project, self, x)
        return self.activation(x)


@keras.saving.register_keras_serializable(package="tiny_gpt")
class LayerNormalization(keras.layers.LayerNormalization):
    """Keras's layer normalisation in the faster of two forms."""

    def call(self, x):
        features = _feature_major(self, x)
        if features is None:
            return super().call(x)
        return features.apply_to_features(features.normalise, self, x)


@keras.saving.register_keras_serializable(package="tiny_gpt")
class TokenAndPositionEmbedding(keras.layers.Layer):
    """Token embedding plus a learned embedding of the position.

    Corpus2GPT, models/embeddings.py, but for the gradient of repeated
    tokens, which is summed by default (see `GPTConfig.embedding_gradient`).

    Args:
        vocabulary_size: token ids, V.
        sequence_length: positions, T.
        hidden_dim: width of the embedding, D.
        positions: "learned" or "none".
        embedding_gradient: "dense" or "indexed_slices".
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        token_ids: integer tensor of shape (B, T') with T' <= T.
        first_position: position of the first token.

    Returns:
        Float tensor of shape (B, T', D).

    Raises:
        ValueError: if the input is longer than `sequence_length`, or
            "indexed_slices" is asked for on a backend without them.
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
        length = token_ids.shape[1]
        if length is not None and length > self.sequence_length:
            raise ValueError(
                "The input cannot be longer than sequence_length = "
                f"{self.sequence_length} tokens. Received: "
                f"shape={tuple(token_ids.shape)}"
            )
        table = ops.convert_to_tensor(self.token_table)
        x = self._look_up(table, token_ids)  # (B, T', D)
        if self.positions == "none":
            return x
        index = first_position + ops.arange(ops.shape(token_ids)[1])
        # A product, as in `_look_up`: with several devices, each position is
        # there once per device, to be summed before clipping and Adam.
        table = ops.convert_to_tensor(self.position_table) * 1.0
        return x + ops.take(table, index, axis=0)

    def _look_up(self, table, token_ids):
        features = None
        if len(token_ids.shape) == 2 and token_ids.shape[0] is not None:
            features = _feature_major(self, token_ids[..., None])
        if features is not None:
            return features.embed(table, token_ids)
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
class CausalSelfAttention(keras.layers.Layer):
    """Multi-head self-attention in which position t sees positions <= t.

    Vaswani et al. 2017, sec. 3.2, with a causal mask. Heads are concatenated,
    so the input width D must equal num_heads * head_dim.

    Args:
        num_heads: attention heads, H.
        head_dim: width of one head, K.
        logit_scale: "head_dim" for 1/sqrt(K) (Vaswani et al. 2017, eq. 1),
            "hidden_dim" for 1/sqrt(H K) (Corpus2GPT, models/attention.py).
        dropout: rate.
        dropout_placement: "weights" or "logits" (see `GPTConfig`).
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        x: float tensor of shape (B, T, D).
        training: whether dropout acts.

    Returns:
        Float tensor of shape (B, T, D).

    Raises:
        ValueError: if D is not num_heads * head_dim.
    """

    def __init__(
        self,
        num_heads,
        head_dim,
        logit_scale="head_dim",
        dropout=0.0,
        dropout_placement="weights",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.logit_scale = logit_scale
        self.dropout = dropout
        self.dropout_placement = dropout_placement
        width = num_heads * head_dim
        dtype = self.dtype_policy
        self.query = keras.layers.Dense(width, name="query", dtype=dtype)
        self.key = keras.layers.Dense(width, name="key", dtype=dtype)
        self.value = keras.layers.Dense(width, name="value", dtype=dtype)
        self.out = keras.layers.Dense(width, name="out", dtype=dtype)
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, input_shape):
        width = self.num_heads * self.head_dim
        if input_shape[-1] != width:
            raise ValueError(
                "The last axis of the input must be num_heads * head_dim = "
                f"{width}. Received: input_shape={tuple(input_shape)}"
            )
        for projection in (self.query, self.key, self.value, self.out):
            projection.build(input_shape)

    @property
    def scale(self):
        """Factor on query-key products."""
        width = self.head_dim
        if self.logit_scale == "hidden_dim":
            width = self.num_heads * self.head_dim
        return width**-0.5

    def call(self, x, training=False):
        k, v = self.keys_and_values(x)
        return self.attend(x, k, v, training=training)

    def keys_and_values(self, x):
        """Returns keys and values of x, each of shape (B, T, H, K)."""
        return self._split_heads(self.key(x)), self._split_heads(self.value(x))

    def attend(self, x, k, v, first_position=0, training=False):
        """Lets x, which starts at `first_position`, look at keys up to itself.

        Args:
            x: float tensor of shape (B, T, D).
            k: keys of positions 0, 1, ..., shape (B, S, H, K).
            v: their values, the same shape.
            first_position: position of the first row of x among the keys.
            training: whether dropout acts.

        Returns:
            Float tensor of shape (B, T, D).
        """
        weights = self.attention_weights(x, k, first_position, training)
        return self.project(self.mix(weights, v))

    def attention_weights(self, x, k, first_position=0, training=False):
        """Returns how much each position looks at each key, (B, H, T, S)."""
        q = self._split_heads(self.query(x))  # (B, T, H, K)

        logits = ops.einsum("bthk,bshk->bhts", q, k) * self.scale
        query_positions = first_position + ops.arange(ops.shape(q)[1])
        key_positions = ops.arange(ops.shape(k)[1])
        is_future = key_positions[None, :] > query_positions[:, None]  # (T, S)
        # No row is masked whole: every position sees itself.
        logits = ops.where(is_future, float("-inf"), logits)
        if self.dropout_placement == "logits":
            logits = self.drop(logits, training=training)
        weights = ops.softmax(logits, axis=-1)
        if self.dropout_placement == "weights":
            weights = self.drop(weights, training=training)
        return weights

    def mix(self, weights, v):
        """Returns each head's weighted sum of values, (B, T, H, K)."""
        return ops.einsum("bhts,bshk->bthk", weights, v)

    def project(self, heads):
        """Returns the sum of all heads' outputs and the bias, (B, T, D)."""
        shape = (-1, ops.shape(heads)[1], self.num_heads * self.head_dim)
        return self.out(ops.reshape(heads, shape))

    def _split_heads(self, x):
        shape = (-1, ops.shape(x)[1], self.num_heads, self.head_dim)
        return ops.reshape(x, shape)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "logit_scale": self.logit_scale,
            "dropout": self.dropout,
            "dropout_placement": self.dropout_placement,
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
        features = self._features(x, training)
        if features is not None:
            return features.apply_block(self, x)
        k, v = self.keys_and_values(x)
        return self.attend(x, k, v, training=training)

    def _features(self, x, training=False):
        is_dropping = bool(training) and self._config["dropout"] > 0
        is_fast = _is_elementwise(self.inner) and _is_elementwise(self.outer)
        return _feature_major(self, x, is_dropping) if is_fast else None

    def call_and_keep(self, x):
        """Applies the block, and returns what later positions look at.

        Returns:
            The block's output; keys and values, each (B, T, H, K).
        """
        features = self._features(x)
        if features is not None:
            return features.apply_block_and_keep(self, x)
        k, v = self.keys_and_values(x)
        return self.attend(x, k, v), k, v

    def keys_and_values(self, x):
        """Returns what later positions look at, each (B, T, H, K)."""
        return self.attention.keys_and_values(self.attention_input(x))

    def attention_input(self, x):
        """Returns what the attention reads of x, (B, T, D)."""
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
