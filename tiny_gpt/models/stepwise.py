"""Readings of a model by a decoder: whole passes, or one position at a time."""

import keras
from keras import ops
from keras.layers import Dense, LayerNormalization

from tiny_gpt.models.chain import applied_layers, apply, apply_and_keep
from tiny_gpt.models.layers import TokenAndPositionEmbedding, TransformerBlock


class WholePasses:
    """A model that reads all tokens for each answer; any `ModelConfig` will do.

    Args:
        model: the model.
    """

    def __init__(self, model: keras.Model):
        self._model = model

    def logits_at(self, tokens, first_position, num_positions):
        """Reads tokens, and returns the logits of some positions.

        Args:
            tokens: token ids, shape (B, T).
            first_position: the first of those positions.
            num_positions: how many, P.

        Returns:
            Shape (B, P, C).
        """
        logits = self._model(tokens, training=False)
        return _rows(logits, first_position, num_positions)


class CachedBlocks:
    """A GPT that keeps the keys and values of the positions it has read.

    Args:
        model: model of `GPTConfig` or `LoopedGPTConfig`.

    Attributes:
        embedding: its first layer.
        blocks: its blocks, as they are applied; each application has keys and
            values of its own.
    """

    def __init__(self, model: keras.Model):
        self.embedding, *layers = applied_layers(model)
        self.blocks = [x for x in layers if isinstance(x, TransformerBlock)]
        self._after_blocks = layers[len(self.blocks) :]

    def logits(self, x):
        """Returns the logits, given the last block's output."""
        for layer in self._after_blocks:
            x = apply(layer, x)
        return x

    def logits_at(self, tokens, first_position, num_positions):
        """As `WholePasses.logits_at`, without computing unused positions."""
        x = apply(self.embedding, tokens)
        for block in self.blocks[:-1]:
            x = apply(block, x)
        return self.logits(
            _last_block(self.blocks[-1], x, first_position, num_positions)[0]
        )

    def read(self, prompts, num_more):
        """Reads prompts, with room for more tokens in the cache.

        Args:
            prompts: token ids, shape (B, P).
            num_more: tokens that will be read after them, N.

        Returns:
            Logits of the last position, (B, 1, C), and the cache: keys and
            values of each application of a block, (B, P + N, H, K).
        """
        x, cache = apply(self.embedding, prompts), []
        room = ((0, 0), (0, num_more), (0, 0), (0, 0))
        for b, block in enumerate(self.blocks, start=1):
            if b == len(self.blocks):
                x, k, v = _last_block(block, x, prompts.shape[1] - 1, 1)
            else:
                x, k, v = apply_and_keep(block, x)
            cache += [ops.pad(k, room), ops.pad(v, room)]
        return self.logits(x), cache

    def read_one(self, ids, position, cache):
        """Reads one more token of each prompt.

        Args:
            ids: token ids, shape (B,).
            position: their position.
            cache: keys and values of the positions before, as from `read`.

        Returns:
            Logits of this position, (B, 1, C), and the cache with it.
        """
        x, cache = self.embedding(ids[:, None], position), list(cache)
        for b, block in enumerate(self.blocks):
            k, v = block.keys_and_values(x)
            cache[2 * b] = _write(cache[2 * b], k, position)
            cache[2 * b + 1] = _write(cache[2 * b + 1], v, position)
            x = block.attend(x, cache[2 * b], cache[2 * b + 1], position)
        return self.logits(x), cache


def reading_of(model: keras.Model) -> WholePasses | CachedBlocks:
    """Returns how a model is read: with a cache, if it can have one."""
    return CachedBlocks(model) if has_cache(model) else WholePasses(model)


def has_cache(model: keras.Model) -> bool:
    """Tells whether a model is built as a GPT: embedding, blocks, head."""
    kinds = [type(layer) for layer in applied_layers(model)]
    num_blocks = kinds.count(TransformerBlock)
    after = kinds[1 + num_blocks :]
    blocks = [TransformerBlock] * num_blocks
    return (
        num_blocks > 0
        and kinds == [TokenAndPositionEmbedding, *blocks, *after]
        and after in ([Dense], [LayerNormalization, Dense])
    )


def _last_block(block, x, first_position, num_positions):
    """Returns some rows of a block's output, and its keys and values."""
    k, v = block.keys_and_values(x)
    rows = _rows(x, first_position, num_positions)
    return block.attend(rows, k, v, first_position), k, v


def _write(cache, new, position):
    """Returns a cache, (B, T, H, K), with one position of it replaced."""
    # The update of a slice is an operation of XLA, which TensorFlow for TPUs
    # does not have on its host.
    is_there = ops.arange(ops.shape(cache)[1]) == position
    return ops.where(is_there[None, :, None, None], new, cache)


def _rows(x, first_position, num_positions):
    size = (ops.shape(x)[0], num_positions, x.shape[-1])
    return ops.slice(x, (0, first_position, 0), size)
