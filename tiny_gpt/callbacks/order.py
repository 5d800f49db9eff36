"""The order of callbacks, and a check of it."""

from collections.abc import Iterable
from typing import Any

import keras

# They read all of the logs; further ones read their `monitor`.
READERS = (
    "CSVLogger",
    "RemoteMonitor",
    "RunRecorder",
    "TensorBoard",
    "WandbCallback",
    "WandbMetricsLogger",
)


def check_order(callbacks: Iterable[keras.callbacks.Callback]) -> None:
    """Checks that every callback that reads logs comes after its writers.

    Keras calls callbacks in the order of the list. A key that a later callback
    writes is therefore missing, or belongs to the epoch before.

    ```python
    callbacks = [TaskAccuracy(tasks), events, CSVLogger("log.csv")]
    check_order(callbacks)
    model.fit(x, y, callbacks=callbacks)
    ```

    This order always works: first the callbacks that measure (`TaskAccuracy`,
    `LossByTask`, `WeightNorms`), then those that judge (`MemorisationMeter`,
    `LossDropLogger`), those that act (`CheckpointAtEvents`, `ModelCheckpoint`,
    `EarlyStopping`), and those that write (`CSVLogger`, `TensorBoard`,
    `WandbMetricsLogger`, `RunRecorder`).

    Args:
        callbacks: the list that `fit` will be given.

    Raises:
        ValueError: if one reads what a later one writes, two write the same
            key, or `CheckpointAtEvents` comes before its events.
    """
    callbacks = list(callbacks)
    writers: dict[str, Any] = {}
    for callback in callbacks:
        for key in getattr(callback, "log_keys", ()):
            if key in writers:
                raise ValueError(
                    "A key of the logs can be written by one callback. "
                    f"Received: {key!r} of {_name(writers[key])} and of "
                    f"{_name(callback)}"
                )
            writers[key] = callback
    for place, callback in enumerate(callbacks):
        for later in callbacks[place + 1 :]:
            keys = sorted(_reads(callback, getattr(later, "log_keys", ())))
            if keys or getattr(callback, "events", None) is later:
                raise ValueError(
                    f"{_name(callback)} must be listed after {_name(later)}"
                    + (f", which writes {keys[0]!r}" if keys else "")
                    + f". Received: {[_name(c) for c in callbacks]}"
                )


def _reads(callback: Any, keys: Iterable[str]) -> set[str]:
    """Returns which of some keys a callback reads."""
    if type(callback).__name__ in READERS:
        return set(keys)
    watched = set(getattr(callback, "watched", ()))
    monitor = getattr(callback, "monitor", None)
    if isinstance(monitor, str):
        watched.add(monitor)
    return watched & set(keys)


def _name(callback: Any) -> str:
    return type(callback).__name__
