"""Greedy decoding: one compiled call for a batch of prompts."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tiny_gpt.models.spans import check_answer
from tiny_gpt.models.stepwise import CachedBlocks, reading_of, spans_of
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.programs import Snapshot, compile_for_model

DECODINGS = ("published", "aligned", "cached")
PADDING_ID = 0


class GreedyDecoder:
    """Continues prompts with the most probable token, again and again.

    There are three modes; the metrics' names repeat them:

    - "published": the prompt is cut to its last T tokens, or padded to T on
      the left with id 0. The window slides by one for each new token, so
      every token is a full pass (Corpus2GPT, inference/inference.py).
      Positions shift with it, and short prompts are unlike any in training.
    - "aligned": the prompt starts at position 0, unpadded; prompt and answer
      must fit into T positions. Every token is a full pass.
    - "cached": the same tokens as "aligned", but what earlier positions left
      (keys and values; a recurrent state) is kept, so that each new token
      costs one position. A model without such a cache makes full passes
      (`stepwise.reading_of`).

    In a bidirectional span (`GPTConfig`) all tokens must be given. "published"
    would move them out of their spans, and is for causal models only.

    A class beyond the vocabulary (`GPTConfig.num_unused_classes`) is
    returned as generated; no right answer contains it. It is fed back as
    id 0.

    Args:
        model: model of a `ModelConfig`.
        decoding: "published", "aligned" or "cached".
        num_tokens: tokens to generate, N.
        vocabulary_size: token ids that the model can read.
        sequence_length: tokens that it can read at once, T.

    Attributes:
        compiled: function of a source of weights and of prompts that fit,
            token ids of shape (B, P), to generated ids, (B, N).

    Raises:
        ValueError: if `decoding` is unknown, or "published" for a model with
            spans; or `num_tokens` is below 1.
    """

    def __init__(
        self,
        model: keras.Model,
        decoding: str,
        num_tokens: int,
        vocabulary_size: int,
        sequence_length: int,
    ):
        check_choice("decoding", decoding, DECODINGS)
        if num_tokens < 1:
            raise ValueError(
                "`num_tokens` must be at least 1. "
                f"Received: num_tokens={num_tokens}"
            )
        spans = spans_of(model)
        if spans and decoding == "published":
            raise ValueError(
                "'published' decoding slides the window, so that no position "
                "keeps its span; choose 'aligned' or 'cached'. "
                f"Received: decoding={decoding!r}, bidirectional={spans}"
            )
        self.model = model
        self.decoding = decoding
        self.num_tokens = num_tokens
        self._vocabulary_size = vocabulary_size
        self._sequence_length = sequence_length
        self._reading = reading_of(model)
        generate: Callable = {
            "published": self._generate_published,
            "aligned": self._generate_aligned,
            "cached": self._generate_cached,
        }[decoding]

        def generate_checked(prompts):  # when it is traced, for each length
            check_answer(spans, prompts.shape[1], num_tokens)
            return generate(prompts)

        self.compiled: Any = compile_for_model(model, generate_checked)

    def __call__(
        self, prompts: np.ndarray, model: keras.Model | Snapshot | None = None
    ) -> np.ndarray:
        """Generates the continuation of each prompt.

        Args:
            prompts: token ids, shape (B, P).
            model: other weights for the same model (JAX); by default its own.

        Returns:
            Generated ids, shape (B, N).

        Raises:
            ValueError: if prompt and answer do not fit the window, unless
                the mode is "published"; or if a span holds words of the answer
                (`check_answer`).
        """
        prompts = np.asarray(prompts, "int32")
        window = self._sequence_length
        if self.decoding == "published":
            prompts = fit_to_window(prompts, window)
        else:
            check_fits(prompts.shape[1], self.num_tokens, window)
        ids = self.compiled(model or self.model, prompts)
        return ops.convert_to_numpy(ids)

    def _readable(self, ids):
        return ops.where(ids < self._vocabulary_size, ids, PADDING_ID)

    def _generate_published(self, window):
        last = window.shape[1] - 1

        def step(i, state):
            window, answer = state
            ids = self._next_ids(window, last)
            answer = _write(answer, ids, i)
            readable = self._readable(ids)[:, None]
            return ops.concatenate([window[:, 1:], readable], axis=1), answer

        answer = _empty_answer(window, self.num_tokens)
        return ops.fori_loop(0, self.num_tokens, step, (window, answer))[1]

    def _generate_aligned(self, prompts):
        num_prompt = prompts.shape[1]
        # The last token generated is never read.
        tokens = ops.pad(prompts, ((0, 0), (0, self.num_tokens - 1)))

        def step(i, state):
            tokens, answer = state
            ids = self._next_ids(tokens, num_prompt - 1 + i)
            answer = _write(answer, ids, i)
            tokens = _write(tokens, self._readable(ids), num_prompt + i)
            return tokens, answer

        answer = _empty_answer(prompts, self.num_tokens)
        return ops.fori_loop(0, self.num_tokens, step, (tokens, answer))[1]

    def _next_ids(self, tokens, position):
        """Reads all tokens; returns the likeliest ids after one position."""
        return _most_probable(self._reading.logits_at(tokens, position, 1))

    def _generate_cached(self, prompts):
        reading, num_prompt = self._reading, prompts.shape[1]
        if not isinstance(reading, CachedBlocks):
            return self._generate_aligned(prompts)
        # The last token generated is never read.
        logits, cache = reading.read(prompts, self.num_tokens - 1)
        ids = _most_probable(logits)
        answer = _write(_empty_answer(prompts, self.num_tokens), ids, 0)

        def step(i, state):
            ids, answer, cache = state
            ids, position = self._readable(ids), num_prompt - 1 + i
            logits, cache = reading.read_one(ids, position, cache)
            ids = _most_probable(logits)
            return ids, _write(answer, ids, i), cache

        state = (ids, answer, cache)
        return ops.fori_loop(1, self.num_tokens, step, state)[1]


def _most_probable(logits):
    """Returns the ids of the one position of (B, 1, V), shape (B,)."""
    return ops.cast(ops.argmax(logits[:, 0], axis=-1), "int32")


def fit_to_window(prompts: np.ndarray, sequence_length: int) -> np.ndarray:
    """Cuts prompts to their last tokens, or pads them on the left with 0.

    Args:
        prompts: token ids, shape (B, P).
        sequence_length: tokens in the window, T.

    Returns:
        Token ids, shape (B, T).
    """
    kept = prompts[:, -sequence_length:]
    padding = sequence_length - kept.shape[1]
    return np.pad(kept, ((0, 0), (padding, 0)), constant_values=PADDING_ID)


def check_fits(num_prompt: int, num_tokens: int, sequence_length: int) -> None:
    """Checks that prompt and answer fit a window that does not slide.

    The last generated token needs no position: the model never reads it.

    Raises:
        ValueError: if they do not fit.
    """
    needed = num_prompt + num_tokens - 1
    if needed > sequence_length:
        raise ValueError(
            "A prompt decoded 'aligned' or 'cached' must fit the window: "
            f"prompt + answer - 1 <= {sequence_length} tokens. Received: "
            f"{num_prompt} + {num_tokens} - 1 = {needed}"
        )


def _empty_answer(prompts, num_tokens):
    return ops.zeros((ops.shape(prompts)[0], num_tokens), dtype="int32")


def _write(tokens, ids, column):
    """Returns tokens (B, T) with `ids` (B,) in one column, if it exists."""
    columns = ops.arange(ops.shape(tokens)[1])
    return ops.where(columns[None, :] == column, ids[:, None], tokens)
