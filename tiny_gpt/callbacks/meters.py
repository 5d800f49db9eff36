"""Meters: memorisation and weight norms."""

import math
from typing import Any

import keras
import numpy as np

from tiny_gpt.callbacks.columns import Column, check_watched, column
from tiny_gpt.callbacks.schedule import (
    Clock,
    Schedule,
    epochs_only,
    from_config,
)


@keras.saving.register_keras_serializable("tiny_gpt")
class MemorisationMeter(keras.callbacks.Callback):
    """Measures the training loss against the lowest that needs no memory.

    ```python
    meter = MemorisationMeter(floor=0.533)
    model.fit(x, y, epochs=100, callbacks=[meter, CSVLogger("log.csv")])
    meter.first_below  # 46: from then on the model knows its text by heart
    ```

    The floor is the entropy of the data for a reader who knows everything
    that generalises. A lower loss is possible only on text that was seen
    before. `tiny_gpt.analysis.loss_floor` computes it for synthetic text.

    Reads `monitor`. Writes "{monitor}_above_floor", in nats.

    Args:
        floor: the lowest loss without memorising, nats.
        monitor: key of `logs` that holds the training loss.

    Attributes:
        log_keys: the key written into `logs`.
        log_columns: its place, (mapping, tier, prompt, metric).
        first_below: first epoch of this `fit` whose loss is below the floor,
            counted from 1; None as long as there is none.

    Raises:
        ValueError: if `floor` is not finite; in training, if `monitor` is not
            in `logs`. Keras's "val_" keys may be missing in some epochs
            (`validation_freq`), which have NaN then.
    """

    def __init__(self, floor: float, monitor: str = "loss"):
        super().__init__()
        if not math.isfinite(floor):
            raise ValueError(f"`floor` must be finite. Received: floor={floor}")
        self.floor, self.monitor = float(floor), monitor
        self.log_columns = self.columns_for(monitor)
        self.log_keys = tuple(self.log_columns)
        self.watched = (monitor,)
        self.first_below: int | None = None
        self._seen: set[str] = set()

    @staticmethod
    def columns_for(monitor: str = "loss") -> dict[str, Column]:
        """Returns `log_columns`, given the key that the callback reads."""
        key = f"{monitor}_above_floor"
        return {key: column(key)}

    def on_train_begin(self, logs=None):
        self.first_below = None
        self._seen = set()

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        check_watched([self.monitor], logs, self._seen)
        above = float(logs.get(self.monitor, math.nan)) - self.floor
        logs[self.log_keys[0]] = above
        if above < 0 and self.first_below is None:
            self.first_below = epoch + 1

    from_config = classmethod(from_config)

    def get_config(self) -> dict[str, Any]:
        return {"floor": self.floor, "monitor": self.monitor}


@keras.saving.register_keras_serializable("tiny_gpt")
class WeightNorms(keras.callbacks.Callback):
    """Measures the Euclidean norm of the trainable weights.

    ```python
    model.fit(x, y, callbacks=[WeightNorms(by_layer=True), CSVLogger("l.csv")])
    ```

    Writes: "weight_norm", of all weights together; with `by_layer`, also
    "weight_norm_{layer}", of each layer of the model that has weights. The
    layers are those of the first epoch; one that is frozen or made later has
    NaN or no key.

    Args:
        by_layer: whether each layer is measured, too.
        every: epochs between measurements, or a `Schedule` of epochs; the
            last epoch of `fit` always has one.

    Attributes:
        log_keys: keys written into `logs`, known once training has begun.
        log_columns: their places, (mapping, tier, prompt, metric).

    Raises:
        ValueError: if `every` is below 1 or in steps.
    """

    def __init__(self, by_layer: bool = False, every: int | Schedule = 1):
        super().__init__()
        self.by_layer = by_layer
        self._clock = Clock(epochs_only(every))
        self.log_keys: tuple[str, ...] = ("weight_norm",)
        self._are_keys_open = by_layer
        self.prefixes = ("weight_norm_",) if by_layer else ()

    def on_train_begin(self, logs=None):
        # Layers may have been frozen since an earlier `fit`.
        self.log_keys, self._are_keys_open = ("weight_norm",), self.by_layer

    @property
    def log_columns(self) -> dict[str, Column]:
        return {key: column(key) for key in self.log_keys}

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        is_due = self._clock.is_epoch_due(epoch, self.params)
        if is_due or self._are_keys_open:
            norms = self._norms()
            self.log_keys, self._are_keys_open = tuple(norms), False
        logs.update(dict.fromkeys(self.log_keys, math.nan))
        if is_due:
            logs.update({k: v for k, v in norms.items() if k in self.log_keys})

    def _norms(self) -> dict[str, float]:
        model = self.model  # on JAX each access copies the training state
        norms = {"weight_norm": _norm(model.trainable_weights)}
        if self.by_layer:
            for layer in model.layers:
                if layer.trainable_weights:
                    name = f"weight_norm_{layer.name}"
                    norms[name] = _norm(layer.trainable_weights)
        return norms

    from_config = classmethod(from_config)

    def get_config(self) -> dict[str, Any]:
        return {"by_layer": self.by_layer, "every": self._clock.schedule}


def _norm(weights: Any) -> float:
    total = 0.0
    for weight in weights:
        value = np.asarray(keras.ops.convert_to_numpy(weight.value), "float64")
        total += float((value * value).sum())
    return math.sqrt(total)
