"""Greedy decoding: one compiled call for a batch of prompts."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from tiny_gpt.runtime.backend import Snapshot, compile_for_model

DECODINGS = ("published", "aligned", "cached")
PADDING_ID = 0


class Network:
    """A model of `build_gpt`, layer by layer.

    Args:
        model: the model.

    Attributes:
        embedding: its first layer.
        blocks: its blocks.
    """

    def __init__(self, model: keras.Model):
        self.embedding = model.get_layer("embedding")
        names = [layer.name for layer in model.layers]
        first, last = names.index("block_0"), names.index("head")
        middle = model.layers[first:last]
        self.blocks = [b for b in middle if b.name != "final_norm"]
        self._after_blocks = model.layers[first + len(self.blocks) :]

    def logits(self, x):
        """Returns logits of the last block's output."""
        for layer in self._after_blocks:
            x = layer(x)
        return x

    def logits_at(self, tokens, first_position, num_positions):
        """Reads tokens, and returns the logits of some positions.

        Nothing reads the other positions of the last block's output.

        Args:
            tokens: token ids, shape (B, T).
            first_position: the first of those positions.
            num_positions: how many, P.

        Returns:
            Shape (B, P, V).
        """
        x = self.embedding(tokens)
        for block in self.blocks[:-1]:
            x = block(x)
        return self.logits(
            _last_block(self.blocks[-1], x, first_position, num_positions)[0]
        )


def _last_block(block, x, first_position, num_positions):
    """Returns some rows of a block's output, and its keys and values."""
    k, v = block.keys_and_values(x)
    size = (ops.shape(x)[0], num_positions, x.shape[-1])
    rows = ops.slice(x, (0, first_position, 0), size)
    return block.attend(rows, k, v, first_position), k, v


class GreedyDecoder:
    """Continues prompts with the most probable token, again and again.

    Three modes, which the metrics' names repeat:

    - "published": the prompt is cut to its last T tokens, or padded to T on
      the left with id 0, and the window slides by one for each new token, so
      every token is a full pass (Corpus2GPT, inference/inference.py).
      Positions shift with it, and short prompts look as none in training.
    - "aligned": the prompt starts at position 0, unpadded; prompt and answer
      must fit into T positions. Full passes.
    - "cached": the same tokens as "aligned", but keys and values of earlier
      positions are kept, so that each new token costs one position.

    A class beyond the vocabulary (`GPTConfig.num_unused_classes`) is
    returned as generated, which no right answer contains, and fed back as
    id 0.

    Args:
        model: model of `build_gpt`.
        decoding: "published", "aligned" or "cached".
        num_tokens: tokens to generate, N.

    Raises:
        ValueError: if `decoding` is unknown or `num_tokens` below 1.
    """

    def __init__(self, model: keras.Model, decoding: str, num_tokens: int):
        if decoding not in DECODINGS:
            raise ValueError(
                f"`decoding` must be one of {DECODINGS}. "
                f"Received: decoding={decoding!r}"
            )
        if num_tokens < 1:
            raise ValueError(
                "`num_tokens` must be at least 1. "
                f"Received: num_tokens={num_tokens}"
            )
        self.model = model
        self.decoding = decoding
        self.num_tokens = num_tokens
        self._network = Network(model)
        generate: Callable = {
            "published": self._generate_published,
            "aligned": self._generate_aligned,
            "cached": self._generate_cached,
        }[decoding]
        self._generate = compile_for_model(model, generate)

    def __call__(
        self, prompts: np.ndarray, model: keras.Model | Snapshot | None = None
    ) -> np.ndarray:
        """Generates the continuation of each prompt.

        Args:
            prompts: token ids, shape (B, P).
            model: other weights for the same model (JAX); its own by default.

        Returns:
            Generated ids, shape (B, N).

        Raises:
            ValueError: if prompt and answer must fit the window and do not.
        """
        prompts = np.asarray(prompts, "int32")
        window = self._network.embedding.sequence_length
        if self.decoding == "published":
            prompts = fit_to_window(prompts, window)
        else:
            check_fits(prompts.shape[1], self.num_tokens, window)
        ids = self._generate(model or self.model, prompts)
        return ops.convert_to_numpy(ids)

    def _readable(self, ids):
        is_token = ids < self._network.embedding.vocabulary_size
        return ops.where(is_token, ids, PADDING_ID)

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
        """Reads all tokens, and returns the ids most probable after one."""
        return _most_probable(self._network.logits_at(tokens, position, 1))

    def _generate_cached(self, prompts):
        num_prompt = prompts.shape[1]

        # Read the prompt and keep what later positions look at.
        network = self._network
        x = network.embedding(prompts)
        cache = []
        room = ((0, 0), (0, self.num_tokens - 1), (0, 0), (0, 0))
        for block in network.blocks:
            if block is network.blocks[-1]:
                x, k, v = _last_block(block, x, num_prompt - 1, 1)
            else:
                x, k, v = block.call_and_keep(x)
            cache += [ops.pad(k, room), ops.pad(v, room)]  # (B, S, H, K)
        ids = _most_probable(network.logits(x))
        answer = _write(_empty_answer(prompts, self.num_tokens), ids, 0)

        def step(i, state):
            ids, answer, *cache = state
            position = num_prompt - 1 + i
            x = network.embedding(self._readable(ids)[:, None], position)
            for b, block in enumerate(network.blocks):
                k, v = block.keys_and_values(x)
                at = (0, position, 0, 0)
                cache[2 * b] = ops.slice_update(cache[2 * b], at, k)
                cache[2 * b + 1] = ops.slice_update(cache[2 * b + 1], at, v)
                x = block.attend(x, cache[2 * b], cache[2 * b + 1], position)
            ids = _most_probable(network.logits(x))
            return (ids, _write(answer, ids, i), *cache)

        state = (ids, answer, *cache)
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

    The last token generated needs no position: it is never read.

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
