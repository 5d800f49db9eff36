"""The order of callbacks, and a check of it and of their keys."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

import keras

# They read all of the logs; further ones read their `monitor`.
READERS = (
    "CSVLogger",
    "MlflowTracker",
    "RemoteMonitor",
    "RunRecorder",
    "TensorBoard",
    "TensorBoardTracker",
    "WandbCallback",
    "WandbMetricsLogger",
    "WandbTracker",
)

# Scores that most models have, of a callback that knows its own only later.
LIKELY = ("loss", "accuracy")


def check_keys(keys: Iterable[str], model: Any) -> None:
    """Checks that Keras itself writes none of some keys into the logs.

    Args:
        keys: keys of a callback.
        model: a compiled model.

    Raises:
        ValueError: if it does: the loss, a metric, the loss of an output.
    """
    own = _keys_of(model)
    if taken := sorted(set(keys) & (own | {f"val_{key}" for key in own})):
        raise ValueError(
            "A key of the logs can be written by one callback; these are "
            f"Keras's own. Received: {taken}"
        )


def _keys_of(model: Any) -> set[str]:
    """Returns keys that a compiled model has in its logs of training."""
    keys = {"loss"}
    outputs = getattr(model, "output_names", None) or ()
    keys |= {f"{name}_loss" for name in outputs if len(outputs) > 1}
    for metric in getattr(model, "metrics", ()):
        found = [metric.name]
        if metric.name == "compile_metrics" and metric.built:
            found = [*metric.result()]
        keys |= set(found)
    return keys


def check_order(
    callbacks: Iterable[keras.callbacks.Callback], model: Any = None
) -> None:
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
    `RunRecorder`, the trackers).

    Args:
        callbacks: the list that `fit` will be given.
        model: the compiled model, if keys that nobody writes are to be found
            as well; without it, only those that differ by a letter from one
            that is written.

    Raises:
        ValueError: if one reads what a later one writes or what nobody
            writes, two write the same key, or `CheckpointAtEvents` comes
            before its events.
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
            keys = _read_of(callback, later)
            needed = [
                getattr(callback, a, None) for a in ("events", "checkpoints")
            ]
            if keys or any(each is later for each in needed):
                raise ValueError(
                    f"{_name(callback)} must be listed after {_name(later)}"
                    + (f", which writes {keys[0]!r}" if keys else "")
                    + f". Received: {[_name(c) for c in callbacks]}"
                )
        for key in _named(callback):
            _check_written(key, callback, callbacks, model)


def _read_of(callback: Any, writer: Any) -> list[str]:
    """Returns what a callback reads of the keys that another one writes."""
    keys = set(getattr(writer, "log_keys", ()))
    prefixes = tuple(getattr(writer, "prefixes", ()))
    if _is_reader(callback):
        return sorted(keys) or [f"{prefix}..." for prefix in prefixes]
    named = _named(callback)
    return sorted(
        key
        for key in named
        if key in keys or (prefixes and key.startswith(prefixes))
    )


def _named(callback: Any) -> list[str]:
    """Returns the keys of the logs that a callback names."""
    named = list(getattr(callback, "watched", ()))
    monitor = getattr(callback, "monitor", None)
    if isinstance(monitor, str):
        named.append(monitor)
    path = getattr(callback, "filepath", None)
    if isinstance(callback, keras.callbacks.ModelCheckpoint):
        fields = re.findall(r"{(\w+)[^}]*}", str(path))
        named += [key for key in fields if key not in ("epoch", "batch")]
    return named


def _check_written(
    key: str, reader: Any, callbacks: list[Any], model: Any
) -> None:
    """Checks that somebody writes a key.

    Raises:
        ValueError: if nobody does.
    """
    written: set[str] = set()
    prefixes: list[str] = []
    for callback in callbacks:
        written |= set(getattr(callback, "log_keys", ()))
        prefixes += getattr(callback, "prefixes", ())
    likely = written | {f"{p}{name}" for p in prefixes for name in LIKELY}
    if key in likely:
        return
    near = [
        other
        for other in difflib.get_close_matches(key, likely, 3, 0.9)
        if abs(len(other) - len(key)) <= 1
        and re.sub(r"\d", "", other) != re.sub(r"\d", "", key)
    ]
    is_unknown = model is not None and not (
        key.removeprefix("val_") in _keys_of(model) | {"learning_rate"}
        or key.startswith(tuple(prefixes))
    )
    if near or is_unknown:
        raise ValueError(
            f"{_name(reader)} reads {key!r}, which nobody writes. "
            + (f"Is it {near[0]!r}? " if near else "")
            + f"Received: {[_name(c) for c in callbacks]}"
        )


def _is_reader(callback: Any) -> bool:
    """Tells whether a callback reads all of the logs."""
    return any(c.__name__ in READERS for c in type(callback).__mro__)


def _name(callback: Any) -> str:
    return type(callback).__name__
