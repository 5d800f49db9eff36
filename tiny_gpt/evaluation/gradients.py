"""Gradients of each mapping's loss, and how well they agree."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from tiny_gpt.callbacks.columns import ALL, Column, column
from tiny_gpt.runtime.programs import compile_gradient

Part = tuple[np.ndarray, np.ndarray, np.ndarray]  # inputs, targets, mask


class CompiledGradient:
    """Gradients of the loss of parts of a text, compiled for one model.

    Args:
        model: model that returns logits.
        batch_size: windows per compiled call.

    Attributes:
        compiled: function of a source of weights, inputs, targets and
            weights, each (B, T), to the gradient of the weighted sum.
    """

    def __init__(self, model: keras.Model, batch_size: int):
        self._batch_size = batch_size
        self.compiled = compile_gradient(
            model,
            lambda inputs, targets, weights: ops.sum(
                weights
                * ops.sparse_categorical_crossentropy(
                    targets, model(inputs, training=False), from_logits=True
                )
            ),
        )

    def __call__(self, source: Any, part: Part) -> np.ndarray:
        """Returns the gradient of the mean loss of a part.

        Args:
            source: model, or `Snapshot`, whose weights are used.
            part: inputs and targets, token ids of shape (N, T), and a mask
                of the targets that count.

        Returns:
            The gradient by all trainable weights, one row, float64.
        """
        inputs, targets, mask = part
        size = self._batch_size
        total: Any = 0.0
        for first in range(0, len(inputs), size):
            batch = slice(first, first + size)
            missing = size - len(inputs[batch])
            filled = (
                np.pad(x[batch], ((0, missing), (0, 0)))
                for x in (inputs, targets, mask.astype("float32"))
            )
            arrays = self.compiled(source, *filled)
            total = total + np.concatenate(
                [ops.convert_to_numpy(a).ravel() for a in arrays]
            ).astype("float64")
        return total / mask.sum()


class GradientsByTask(keras.callbacks.Callback):
    """Measures the gradient of each task's loss at the end of epochs.

    Writes: "{task}_gradient_norm", the Euclidean norm of the gradient of the
    mean loss over all of the task's training text, nats per unit of weight;
    and "{task}_{other}_gradient_cosine" of each pair of tasks.

    Args:
        gradient: compiled for the shape of the model.
        parts: training text by task.
        labels: by task, its mapping in `log_columns`; by default its name.
        tier: the tier in `log_columns`.

    Attributes:
        log_keys: keys written into `logs`.
        log_columns: by key, (mapping, tier, prompt, metric).

    Raises:
        ValueError: if a part selects nothing.
    """

    def __init__(
        self,
        gradient: CompiledGradient,
        parts: Mapping[str, Part],
        labels: Mapping[str, str] | None = None,
        tier: str = ALL,
    ):
        super().__init__()
        self._gradient, self._parts = gradient, dict(parts)
        for name, (_, _, mask) in self._parts.items():
            if not mask.any():
                raise ValueError(
                    "A task needs a target whose loss is measured. "
                    f"Received: none for {name!r}"
                )
        given = labels or {}
        self.log_columns = self.columns_for(
            {name: given.get(name, name) for name in parts}, tier
        )
        self.log_keys = tuple(self.log_columns)

    @staticmethod
    def columns_for(
        labels: Mapping[str, str], tier: str = ALL
    ) -> dict[str, Column]:
        """Returns `log_columns`, given the mapping of each task."""
        columns = {
            f"{task}_gradient_norm": column("gradient_norm", label, tier)
            for task, label in labels.items()
        }
        for one, other in itertools.combinations(labels, 2):
            pair = f"{labels[one]} {labels[other]}"
            key = f"{one}_{other}_gradient_cosine"
            columns[key] = column("gradient_cosine", pair, tier)
        return columns

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        model = self.model  # on JAX each access copies the training state
        rows = {
            name: self._gradient(model, part)
            for name, part in self._parts.items()
        }
        norms = {name: math.sqrt(row @ row) for name, row in rows.items()}
        for name, norm in norms.items():
            logs[f"{name}_gradient_norm"] = norm
        for one, other in itertools.combinations(rows, 2):
            product = norms[one] * norms[other]
            cosine = rows[one] @ rows[other] / product if product else 0.0
            logs[f"{one}_{other}_gradient_cosine"] = float(cosine)
