"""Outputs of a model in batches, and scores of outputs that are there."""

from typing import Any

import keras
import numpy as np

from tiny_gpt.callbacks.measuring import num_replicas


def predict(model: Any, inputs: Any, batch_size: int | None = None) -> Any:
    """Returns a model's outputs, from batches of one shape.

    The last batch is filled up with its last row, so that the model is
    compiled once.

    Args:
        model: has `predict_on_batch`, as `keras.Model` has.
        inputs: array, or dictionary or list of arrays, of N rows each.
        batch_size: rows per batch; None for all in one.

    Returns:
        NumPy arrays, N rows each, in the structure of the output.
    """
    count = len(keras.tree.flatten(inputs)[0])
    size = min(batch_size or count, count)
    if num_replicas(model) > 1:  # each would answer every row of a batch
        return model.predict(inputs, batch_size=size, verbose=0)
    parts = []
    for first in range(0, count, size):
        rows = np.minimum(np.arange(first, first + size), count - 1)
        batch = inputs
        if size < count:
            batch = keras.tree.map_structure(
                lambda x, rows=rows: np.asarray(x)[rows], inputs
            )
        outputs = model.predict_on_batch(batch)
        parts.append(keras.tree.map_structure(np.asarray, outputs))
    if len(parts) == 1:
        return parts[0]
    return keras.tree.map_structure(
        lambda *arrays: np.concatenate(arrays)[:count], *parts
    )


def accuracy(outputs: np.ndarray, target: np.ndarray) -> float:
    """Returns the share of right classes.

    Args:
        outputs: one number for each class, shape (..., classes).
        target: right classes, whole numbers of shape (...) or (..., 1).

    Raises:
        ValueError: if there are not two classes or more, or the shapes do not
            fit, e.g. if the target is one-hot.
    """
    outputs, target = np.asarray(outputs), np.asarray(target)
    if target.shape == (*outputs.shape[:-1], 1):
        target = target[..., 0]
    if outputs.shape[-1] < 2 or target.shape != outputs.shape[:-1]:
        raise ValueError(
            "Accuracy needs outputs of shape (..., classes), two classes or "
            "more, and targets of shape (...). Received: outputs of shape "
            f"{outputs.shape}, targets of shape {target.shape}"
        )
    return float(np.mean(np.argmax(outputs, axis=-1) == target))


def score_of(score: Any, outputs: Any, targets: Any) -> float:
    """Returns one score of outputs that are there.

    Args:
        score: a function of (outputs, right answers), a Keras metric, or its
            name; "accuracy" is `tasks.accuracy`.
        outputs: of a model.
        targets: right answers.
    """
    if isinstance(score, str):
        score = accuracy if score == "accuracy" else keras.metrics.get(score)
    if not isinstance(score, keras.metrics.Metric):
        return float(score(outputs, targets))
    score.reset_state()
    score.update_state(targets, outputs)
    return float(keras.ops.convert_to_numpy(score.result()))
