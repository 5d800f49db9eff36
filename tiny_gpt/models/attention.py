"""Causal self-attention, which spans can make bidirectional."""

import keras
from keras import ops

from tiny_gpt.models.spans import check_spans


@keras.saving.register_keras_serializable(package="tiny_gpt")
class CausalSelfAttention(keras.layers.Layer):
    """Multi-head self-attention in which position t sees positions <= t.

    Vaswani et al. 2017, sec. 3.2, with a causal mask. Heads are concatenated,
    so the input width D must equal num_heads * head_dim. Within a span of
    `bidirectional` every position also sees all others.

    Args:
        num_heads: attention heads, H.
        head_dim: width of one head, K.
        logit_scale: "head_dim" for 1/sqrt(K) (Vaswani et al. 2017, eq. 1),
            "hidden_dim" for 1/sqrt(H K) (Corpus2GPT, models/attention.py).
        dropout: rate.
        dropout_placement: "weights" or "logits" (see `GPTConfig`).
        bidirectional: spans of positions (see `GPTConfig`).
        **kwargs: passed on to `keras.layers.Layer`.

    Call arguments:
        x: float tensor of shape (B, T, D).
        training: whether dropout acts.

    Returns:
        Float tensor of shape (B, T, D).

    Raises:
        ValueError: if D is not num_heads * head_dim, or spans overlap.
    """

    def __init__(
        self,
        num_heads,
        head_dim,
        logit_scale="head_dim",
        dropout=0.0,
        dropout_placement="weights",
        bidirectional=(),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.logit_scale = logit_scale
        self.dropout = dropout
        self.dropout_placement = dropout_placement
        self.bidirectional = tuple(map(tuple, bidirectional))  # lists, if saved
        check_spans(self.bidirectional)
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

    def read(self, x, num_more):
        """As a call, and returns keys and values (`blocks.Mixer.read`)."""
        k, v = self.keys_and_values(x)
        return self.attend(x, k, v), self.with_room(k, v, num_more)

    def read_one(self, x, position, state):
        """Reads one more position, (B, 1, D) (`blocks.Mixer.read_one`).

        It sees positions that are not read yet as zeros if they lie in its
        span, which the decoder refuses (`spans.check_answer`).
        """
        k, v = (
            write_at(kept, new, position)
            for kept, new in zip(state, self.keys_and_values(x), strict=True)
        )
        return self.attend(x, k, v, position), (k, v)

    def with_room(self, k, v, num_more):
        """Returns keys and values, (B, P + N, H, K), zeros at N positions."""
        room = ((0, 0), (0, num_more), (0, 0), (0, 0))
        return ops.pad(k, room), ops.pad(v, room)

    def keys_and_values(self, x):
        """Returns keys and values of x, each of shape (B, T, H, K)."""
        return self._split_heads(self.key(x)), self._split_heads(self.value(x))

    def attend(self, x, k, v, first_position=0, training=False):
        """Lets each position of x look at all keys that it may see.

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
        is_hidden = self._is_hidden(query_positions, key_positions)
        # No row is masked whole: every position sees itself.
        logits = ops.where(is_hidden, float("-inf"), logits)
        if self.dropout_placement == "logits":
            logits = self.drop(logits, training=training)
        weights = ops.softmax(logits, axis=-1)
        if self.dropout_placement == "weights":
            weights = self.drop(weights, training=training)
        return weights

    def _is_hidden(self, query_positions, key_positions):
        """Tells which keys a query may not see, booleans (T, S)."""
        queries, keys = query_positions[:, None], key_positions[None, :]
        is_hidden = keys > queries
        for start, end in self.bidirectional:
            is_seen = _is_within(queries, start, end)
            is_seen = ops.logical_and(is_seen, _is_within(keys, start, end))
            is_hidden = ops.logical_and(is_hidden, ops.logical_not(is_seen))
        return is_hidden

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
            "bidirectional": self.bidirectional,
        }


def _is_within(positions, start, end):
    return ops.logical_and(positions >= start, positions < end)


def write_at(kept, new, position):
    """Returns `kept`, shape (B, T, ...), with one position of it replaced."""
    # The update of a slice is an operation of XLA, which TensorFlow for TPUs
    # does not have on its host.
    is_there = ops.arange(ops.shape(kept)[1]) == position
    is_there = ops.reshape(is_there, (1, -1, *[1] * (len(kept.shape) - 2)))
    return ops.where(is_there, new, kept)
