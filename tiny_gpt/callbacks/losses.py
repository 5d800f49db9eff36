"""Cross-entropy of parts of a text during training."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from tiny_gpt.callbacks.columns import Column, column
from tiny_gpt.callbacks.measuring import Measuring
from tiny_gpt.callbacks.order import check_keys
from tiny_gpt.callbacks.outputs import predict
from tiny_gpt.callbacks.schedule import Clock, Schedule, epochs_only


class LossByTask(Measuring):
    """Measures the loss of parts of a text at the end of epochs.

    ```python
    parts = {"digits": y < 10, "letters": y >= 10}
    model.fit(x, y, callbacks=[LossByTask(x, y, parts), CSVLogger("log.csv")])
    ```

    The model reads fixed inputs. The loss of a part is the mean cross-entropy
    of the targets that its mask selects, in nats, computed in float32 at
    least. Losses are plain floats, NaN in an epoch without a measurement.
    Callbacks that read them must be listed after this one.

    Writes: "{part}_loss".

    Args:
        inputs: what the model reads, shape (B, ...), or a dictionary or list
            of such arrays.
        targets: right classes, integers of the shape of the model's output
            without its last axis, or with an axis of 1 in its place. An output
            of one column is the second of two classes.
        parts: masks by name, booleans of the shape of `targets`.
        every: epochs between measurements, or a `Schedule` of epochs; the
            last epoch of `fit` always has one.
        from_logits: whether the model returns logits, not probabilities; None
            for what its compiled loss says, else logits.
        batch_size: inputs per compiled call; None for all in one. Outputs of
            one call are in memory at a time.
        columns: by part, (mapping, tier, prompt, metric) in `log_columns`; by
            default the mapping is the part and the metric "loss".
        floors: by part, nats that are subtracted from its loss, e.g. the
            lowest loss possible on these targets; by default 0.

    Attributes:
        log_keys: keys written into `logs`.
        log_columns: by key, (mapping, tier, prompt, metric).

    Raises:
        ValueError: if a mask has another shape or selects nothing, targets are
            no whole numbers, a part is called "val" (Keras's own), or `every`
            is below 1 or in steps; when training begins, if the output does
            not fit the targets or `from_logits`, or Keras writes the same key.
    """

    def __init__(
        self,
        inputs: Any,
        targets: np.ndarray,
        parts: Mapping[str, np.ndarray],
        every: int | Schedule = 1,
        from_logits: bool | None = None,
        batch_size: int | None = None,
        columns: Mapping[str, Column] | None = None,
        floors: Mapping[str, float] | None = None,
    ):
        super().__init__()
        self._clock = Clock(epochs_only(every))
        self._inputs, self._targets = inputs, np.asarray(targets)
        self._from_logits, self._batch_size = from_logits, batch_size
        self._are_logits = from_logits is not False
        self._is_guess = False
        self._floors = dict(floors or {})
        self._parts = {name: np.asarray(mask) for name, mask in parts.items()}
        self._check()
        given = columns or {}
        self.log_columns = self.columns_for(
            {name: given.get(name, column("loss", name)) for name in parts}
        )
        self.log_keys = tuple(self.log_columns)

    def _check(self) -> None:
        size, targets = self._batch_size, self._targets
        if size is not None and size < 1:
            raise ValueError(
                f"`batch_size` must be at least 1. Received: batch_size={size}"
            )
        rows = {len(x) for x in keras.tree.flatten(self._inputs)}
        if rows != {len(targets)} or targets.dtype.kind not in "iu":
            raise ValueError(
                "Targets are whole numbers, with one row for each row of the "
                f"inputs. Received: {sorted(rows)} rows of inputs, targets of "
                f"shape {targets.shape} and type {targets.dtype}"
            )
        for name, mask in self._parts.items():
            if mask.shape != targets.shape or not mask.any():
                raise ValueError(
                    "A part selects targets by a mask of their shape, "
                    f"{targets.shape}. Received: part {name!r} of shape "
                    f"{mask.shape}, {int(mask.sum())} selected"
                )
            if mask.dtype != bool or name == "val":
                raise ValueError(
                    "Masks are booleans, and a part is not called 'val', "
                    f"which is Keras's own. Received: part {name!r} of type "
                    f"{mask.dtype}"
                )

    @staticmethod
    def columns_for(columns: Mapping[str, Column]) -> dict[str, Column]:
        """Returns `log_columns`, given the place of each part."""
        return {f"{part}_loss": place for part, place in columns.items()}

    def on_train_begin(self, logs=None):
        model = self.model
        check_keys(self.log_keys, model)
        said = logits_of(getattr(model, "loss", None))
        if self._from_logits not in (None, said) and said is not None:
            raise ValueError(
                "`from_logits` must be what the compiled loss says. "
                f"Received: from_logits={self._from_logits}, loss {model.loss}"
            )
        self._is_guess = self._from_logits is None and said is None
        if self._from_logits is None:
            self._are_logits = said is not False
        if getattr(model, "built", False):
            with self.measuring():
                next(self._outputs(model))

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        if not self._clock.is_epoch_due(epoch, self.params):
            logs.update(dict.fromkeys(self.log_keys, math.nan))
            return
        means: dict[str, list[tuple[float, int]]] = {p: [] for p in self._parts}
        with self.measuring() as model:
            for rows, outputs in self._outputs(model):
                losses = self._losses(outputs, self._targets[rows])
                for name, mask in self._parts.items():
                    selected = losses[mask[rows].reshape(losses.shape)]
                    if selected.size:
                        mean = float(selected.mean())
                        means[name].append((mean, selected.size))
        for name, found in means.items():
            loss = _mean_of(found)
            logs[f"{name}_loss"] = loss - self._floors.get(name, 0.0)

    def _outputs(self, model: Any) -> Iterator[tuple[slice, np.ndarray]]:
        """Yields rows and what the model answers for them, in batches."""
        count = len(self._targets)
        size = min(self._batch_size or count, count)
        for first in range(0, count, size):
            rows = slice(first, min(first + size, count))
            batch = keras.tree.map_structure(
                lambda x, rows=rows: x[rows], self._inputs
            )
            filled = _filled(batch, rows.stop - first, size)
            outputs = predict(model, filled)
            self._check_outputs(outputs)
            # bfloat16 has too few digits for sums of exponentials.
            precise = outputs[: rows.stop - first]
            if precise.dtype.itemsize < 4:
                precise = precise.astype("float32")
            self._check_scale(precise)
            yield rows, precise

    def _check_outputs(self, outputs: Any) -> None:
        shape = self._targets.shape[1:]
        if isinstance(outputs, np.ndarray):
            places = outputs.shape[1:-1]
            if shape in (places, (*places, 1)):
                return
        raise ValueError(
            "The model answers with one output, with one axis more than the "
            f"targets, {self._targets.shape}. Received: "
            f"{keras.tree.map_structure(np.shape, outputs)}"
        )

    def _check_scale(self, outputs: np.ndarray) -> None:
        """Refuses probabilities in place of logits, and the reverse."""
        sums = outputs.sum(axis=-1) if outputs.shape[-1] > 1 else outputs
        lowest, highest = float(outputs.min()), float(outputs.max())
        if self._are_logits:
            # Nobody said so; logits of all rows that sum to 1 are no chance.
            is_wrong = self._is_guess and bool((np.abs(sums - 1) < 0.02).all())
        else:
            is_wrong = lowest < 0 or highest > 1.02 or bool((sums > 1.02).any())
        if is_wrong:
            kinds = ("probabilities", "logits")
            raise ValueError(
                f"The model must return {kinds[self._are_logits]}; "
                "`from_logits` says which, or the compiled loss. Received: "
                f"outputs from {lowest:.3g} to {highest:.3g}, classes of a "
                f"row sum to {sums.min():.3g} to {sums.max():.3g}"
            )

    def _losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Returns the cross-entropy of each target, nats."""
        targets = targets.reshape(outputs.shape[:-1])
        if outputs.shape[-1] == 1:
            other = 0 * outputs if self._are_logits else 1 - outputs
            outputs = np.concatenate([other, outputs], axis=-1)
        right = np.take_along_axis(outputs, targets[..., None], axis=-1)
        if self._are_logits:
            highest = outputs.max(axis=-1, keepdims=True)
            total = np.exp(outputs - highest).sum(axis=-1)
            return np.log(total) - (right - highest)[..., 0]
        tiny = np.finfo(outputs.dtype).tiny
        return -np.log(np.maximum(right[..., 0], tiny))


def _mean_of(means: list[tuple[float, int]]) -> float:
    """Returns the mean of all, given means of parts and their sizes."""
    if len(means) == 1:
        return means[0][0]
    return sum(m * n for m, n in means) / sum(n for _, n in means)


def _filled(batch: Any, count: int, size: int) -> Any:
    """Fills a batch up with its last row, so that all have one shape."""
    if count == size:
        return batch
    rows = np.minimum(np.arange(size), count - 1)
    return keras.tree.map_structure(lambda x: np.asarray(x)[rows], batch)


def logits_of(loss: Any) -> bool | None:
    """Tells whether a compiled loss reads logits; None if it does not say."""
    if isinstance(loss, str):
        return False if "crossentropy" in loss.replace("_", "") else None
    try:
        return loss.get_config().get("from_logits")
    except (AttributeError, NotImplementedError, TypeError):
        return None
