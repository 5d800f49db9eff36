"""Readings of a model by a decoder: whole passes, or one position at a time."""

import keras
from keras.layers import Dense, LayerNormalization

from tiny_gpt.models.blocks import MixerBlock, take_rows
from tiny_gpt.models.chain import applied_layers, apply, apply_and_keep
from tiny_gpt.models.layers import TokenAndPositionEmbedding
from tiny_gpt.models.spans import Spans


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
        return take_rows(logits, first_position, num_positions)


class CachedBlocks:
    """A network of blocks that keeps what it needs of the positions read.

    Args:
        model: model of `GPTConfig`, or of another `NetworkConfig` whose mixer
            can be read position by position.

    Attributes:
        embedding: its first layer.
        blocks: its blocks, as they are applied; each application has a state
            of its own.
    """

    def __init__(self, model: keras.Model):
        self.embedding, *layers = applied_layers(model)
        self.blocks = [x for x in layers if isinstance(x, MixerBlock)]
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
        last = self.blocks[-1]
        return self.logits(last.rows(x, first_position, num_positions))

    def read(self, prompts, num_more):
        """Reads prompts, with room for more tokens in the cache.

        Args:
            prompts: token ids, shape (B, P).
            num_more: tokens that will be read after them, N.

        Returns:
            Logits of the last position, (B, 1, C), and the cache: the state
            of each application of a block, e.g. keys and values of shape
            (B, P + N, H, K).
        """
        x, cache = apply(self.embedding, prompts), []
        for block in self.blocks[:-1]:
            x, state = apply_and_keep(block, x, num_more)
            cache.append(state)
        x, state = self.blocks[-1].read_to_last(x, num_more)
        return self.logits(x), [*cache, state]

    def read_one(self, ids, position, cache):
        """Reads one more token of each prompt.

        Args:
            ids: token ids, shape (B,).
            position: their position.
            cache: of the positions before, as from `read`.

        Returns:
            Logits of this position, (B, 1, C), and the cache with it.
        """
        x, states = self.embedding(ids[:, None], position), []
        for block, state in zip(self.blocks, cache, strict=True):
            x, state = block.read_one(x, position, state)
            states.append(state)
        return self.logits(x), states


def reading_of(model: keras.Model) -> WholePasses | CachedBlocks:
    """Returns how a model is read: with a cache, if it can have one."""
    return CachedBlocks(model) if has_cache(model) else WholePasses(model)


def has_cache(model: keras.Model) -> bool:
    """Tells whether a model is an embedding, blocks with a state, and a head.

    The mixer of each block must have `read` and `read_one` (`blocks.Mixer`).
    """
    layers = applied_layers(model)
    blocks = [x for x in layers if isinstance(x, MixerBlock)]
    kinds = [type(layer) for layer in layers]
    after = kinds[1 + len(blocks) :]
    return (
        len(blocks) > 0
        and kinds[0] is TokenAndPositionEmbedding
        and layers[1 : 1 + len(blocks)] == blocks
        and after in ([Dense], [LayerNormalization, Dense])
        and all(hasattr(block.mixer, "read_one") for block in blocks)
    )


def spans_of(model: keras.Model) -> Spans:
    """Returns the spans in which positions of a model see each other.

    Empty for a causal model.
    """
    blocks = [x for x in applied_layers(model) if isinstance(x, MixerBlock)]
    spans = (getattr(block.mixer, "bidirectional", ()) for block in blocks)
    return tuple(sorted({span for some in spans for span in some}))
