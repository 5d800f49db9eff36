"""Columns of log keys in the metrics frame, which has one number per row."""

from collections.abc import Iterable, Mapping
from typing import Any

Column = tuple[str, str, str, str]  # mapping, tier, prompt, metric
ALL = "all"  # where a part of the place does not apply


def column(
    metric: str, mapping: str = ALL, tier: str = ALL, prompt: str = ALL
) -> Column:
    """Returns the place of a key in the frame; "all" for what is not given."""
    return mapping, tier, prompt, metric


def declared_columns(callbacks: Iterable[Any]) -> dict[str, Column]:
    """Returns the `log_columns` of all callbacks: the place of each key.

    Args:
        callbacks: those of one training, in any order. A callback without
            `log_columns` writes nothing.

    Raises:
        ValueError: if a callback names a key in `log_keys` that has no place,
            or a place is not four words.
    """
    columns: dict[str, Column] = {}
    for callback in callbacks:
        declared = getattr(callback, "log_columns", {})
        name = type(callback).__name__
        for key in getattr(callback, "log_keys", ()):
            if key not in declared:
                raise ValueError(
                    "A callback that writes into the logs declares "
                    "`log_columns`: by key, (mapping, tier, prompt, metric). "
                    f"Received: {key!r} of {name}"
                )
        for key, place in declared.items():
            is_whole = isinstance(place, tuple) and len(place) == 4
            if not is_whole or not all(isinstance(x, str) for x in place):
                raise ValueError(
                    "`log_columns` gives each key (mapping, tier, prompt, "
                    f"metric), four words. Received: {key!r} of {name}, "
                    f"{place!r}"
                )
        columns |= declared
    return columns


def check_watched(
    keys: Iterable[str], logs: Mapping[str, Any], seen: set[str]
) -> None:
    """Checks that the logs have the keys that a callback watches.

    Keras leaves "val_" keys out of epochs without a validation; and a key
    that was there before may be missing later.

    Args:
        keys: those watched.
        logs: logs of an epoch.
        seen: keys that were there so far; those of this epoch are added.

    Raises:
        ValueError: if another key is missing.
    """
    seen |= set(logs)
    missing = [k for k in keys if k not in seen and not k.startswith("val_")]
    if missing:
        raise ValueError(
            "A key that is watched must be in the logs, so the callback "
            f"that writes it is listed before; they have {sorted(logs)}. "
            f"Received: {missing}"
        )
