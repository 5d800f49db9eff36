"""The reader: a model run layer by layer, with parts replaced."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from tiny_gpt.models.blocks import MixerBlock, TransformerBlock
from tiny_gpt.models.chain import applied_layers
from tiny_gpt.models.stepwise import CachedBlocks, has_cache
from tiny_gpt.probes.patches import (
    HeadPatch,
    Patch,
    Replacements,
    check_number,
    index_of,
)
from tiny_gpt.runtime.programs import Snapshot, compile_for_model


@dataclass(frozen=True)
class Reading:
    """The computations of a model for some token ids.

    Attributes:
        points: names of the points, P of them.
        residuals: residual stream at each point, shape (P, B, T, D).
        attention: attention weights of each block, shape (L, B, H, T, T),
            queries before keys; each row sums to 1.
        head_values: each head's weighted sum of values, before the output
            projection, shape (L, B, H, T, K).
        head_kernels: output projection of each head, shape (L, H, K, D).
        attention_biases: bias of the output projection, shape (L, D).
        logits: shape (B, T, V).
    """

    points: tuple[str, ...]
    residuals: np.ndarray
    attention: np.ndarray
    head_values: np.ndarray
    head_kernels: np.ndarray
    attention_biases: np.ndarray
    logits: np.ndarray

    @property
    def log_probabilities(self) -> np.ndarray:
        """Log-probability of each class as the next token, nats, (B, T, V)."""
        return log_softmax(self.logits)

    def residual(self, point: str) -> np.ndarray:
        """Returns the residual stream at a point, shape (B, T, D).

        Raises:
            ValueError: if there is no such point.
        """
        return self.residuals[index_of(point, self.points)]

    def head_outputs(self, block: int) -> np.ndarray:
        """Returns the output of each head of a block, shape (B, H, T, D).

        The sum over heads plus `attention_biases[block]` is the output of the
        attention, before it is added to the stream (Elhage et al. 2021).

        Args:
            block: number of the block, from 0.

        Raises:
            ValueError: if there is no such block.
        """
        check_number("block", block, len(self.head_values))
        return np.matmul(self.head_values[block], self.head_kernels[block])


class Reader:
    """Reads the inner states of a model, also with parts of it replaced.

    Dropout does not act, whatever its rate. One program is compiled for each
    shape of the tokens; the replacements are arguments of the program.

    Args:
        model: model of `GPTConfig` or `LoopedGPTConfig`.

    Attributes:
        points: names of the points, in the order of computation.

    Raises:
        ValueError: if the model is not one of these.
    """

    def __init__(self, model: keras.Model):
        layers = applied_layers(model)
        is_gpt = has_cache(model) and all(
            isinstance(layer, TransformerBlock)
            for layer in layers
            if isinstance(layer, MixerBlock)
        )
        if not is_gpt:
            raise ValueError(
                "Probes read a model of `GPTConfig`: an embedding, blocks and "
                "a head. Received: a model with layers "
                f"{[layer.name for layer in getattr(model, 'layers', ())]}"
            )
        self.model = model
        self._network = CachedBlocks(model)
        self._heads = self._network.blocks[0].attention
        self._dtype = model.layers[-1].compute_dtype
        self.points = (
            "embedding",
            *(
                f"{name}.{sublayer}"
                for name in _names([x.name for x in self._network.blocks])
                for sublayer in ("attention", "feed_forward")
            ),
        )
        self._forward = compile_for_model(model, self._compute)
        self._logits = compile_for_model(model, self._network.logits)

    def read(
        self,
        tokens: np.ndarray,
        patches: Sequence[Patch | HeadPatch] = (),
        source: keras.Model | Snapshot | None = None,
    ) -> Reading:
        """Reads tokens, with parts of the computation replaced.

        Args:
            tokens: token ids, shape (B, T).
            patches: replacements; if two replace the same place, the later
                wins.
            source: other weights for the same model (JAX); by default its
                own.

        Returns:
            The computed values; where a patch replaced something, the patch.

        Raises:
            ValueError: if the tokens cannot be read, a patch names a place
                that does not exist or has values of another shape, or the
                backend cannot use another source.
        """
        tokens = self._check_tokens(tokens)
        batch, length = tokens.shape
        heads = self._heads.num_heads, length, self._heads.head_dim
        shape = (len(self._network.blocks), batch, *heads)
        replaced = Replacements(patches, self.points, shape, self._dtype)
        found = self._forward(self._weights(source), tokens, *replaced.arrays)
        arrays = {name: ops.convert_to_numpy(x) for name, x in found.items()}
        return Reading(points=self.points, **arrays)

    def lens(
        self,
        residuals: np.ndarray,
        source: keras.Model | Snapshot | None = None,
    ) -> np.ndarray:
        """Predicts from a residual stream as if it were the last one.

        This is the logit lens (nostalgebraist 2020): the final norm, if the
        network is pre-norm, then the head. At the last point this is the
        model's own prediction.

        A post-norm network has no norm before its head. After a block the
        stream is already normalised, with the scale and shift of that block
        and not of the last. At "embedding" it is not normalised, and its mere
        size makes the lens flat or sharp.

        The lens also reads the output of a head (`Reading.head_outputs`). The
        final norm then scales it as if it were the whole stream.

        Args:
            residuals: shape (..., D). Each new number of rows is compiled
                once.
            source: as in `read`.

        Returns:
            Log-probability of each class, nats, shape (..., V).

        Raises:
            ValueError: if the last axis is not D, or the backend cannot use
                another source.
        """
        residuals = np.asarray(residuals, self._dtype)
        width = self._network.embedding.hidden_dim
        if residuals.shape[-1:] != (width,):
            raise ValueError(
                f"The last axis of a residual stream is hidden_dim = {width}. "
                f"Received: shape={residuals.shape}"
            )
        rows = residuals.reshape(1, -1, width)
        logits = ops.convert_to_numpy(self._logits(self._weights(source), rows))
        return log_softmax(logits.reshape(*residuals.shape[:-1], -1))

    def _compute(self, tokens, is_new, values, is_new_head, head_values):
        """Runs the model, with `Replacements.arrays` in place of its own."""
        found: dict[str, list] = defaultdict(list)

        def pass_point(x):
            i = len(found["residuals"])
            new = ops.cast(values[i], x.dtype)
            x = ops.where(is_new[i][..., None], new, x)
            found["residuals"].append(x)
            return x

        x = pass_point(self._network.embedding(tokens))
        for i, block in enumerate(self._network.blocks):
            layer, y = block.attention, block.mixer_input(x)
            k, v = layer.keys_and_values(y)
            weights = layer.attention_weights(y, k)
            own = ops.transpose(layer.mix(weights, v), (0, 2, 1, 3))
            new = ops.cast(head_values[i], own.dtype)
            heads = ops.where(is_new_head[i][..., None], new, own)
            found["attention"].append(weights)
            found["head_values"].append(heads)  # (B, H, T, K)
            attended = layer.project(ops.transpose(heads, (0, 2, 1, 3)))
            x = pass_point(block.add_mixed(x, attended))
            x = pass_point(block.add_feed_forward(x))

            shape = (layer.num_heads, layer.head_dim, -1)
            kernel = ops.reshape(layer.out.kernel, shape)
            found["head_kernels"].append(kernel)
            # TensorFlow stacks tensors, but no variables.
            found["attention_biases"].append(ops.reshape(layer.out.bias, (-1,)))

        # In the precision of the logits, since NumPy has no bfloat16.
        arrays = {
            name: ops.cast(ops.stack(parts), self._dtype)
            for name, parts in found.items()
        }
        return {**arrays, "logits": self._network.logits(x)}

    def _weights(self, source):
        if source is None or source is self.model:
            return self.model
        if keras.backend.backend() != "jax":
            raise ValueError(
                "Weights other than the model's own need JAX. "
                f"Received: KERAS_BACKEND={keras.backend.backend()!r}"
            )
        return source

    def _check_tokens(self, tokens):
        tokens = np.asarray(tokens)
        is_integer = np.issubdtype(tokens.dtype, np.integer)
        if tokens.ndim != 2 or tokens.size == 0 or not is_integer:
            raise ValueError(
                "Token ids are integers of shape (B, T). Received: "
                f"shape={tokens.shape}, dtype={tokens.dtype}"
            )
        # The embedding checks the length, but no ids.
        size = self._network.embedding.vocabulary_size
        if tokens.min() < 0 or tokens.max() >= size:
            raise ValueError(
                f"Token ids must lie in [0, {size}). Received: ids from "
                f"{tokens.min()} to {tokens.max()}"
            )
        return tokens.astype("int32")


def _names(blocks: list[str]) -> list[str]:
    """Returns the names of blocks, with the loop if they are applied again."""
    if len(set(blocks)) == len(blocks):
        return blocks
    loops = [blocks[:i].count(block) for i, block in enumerate(blocks)]
    return [
        f"{block}.loop_{loop}"
        for block, loop in zip(blocks, loops, strict=True)
    ]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns log-probabilities, nats, over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
