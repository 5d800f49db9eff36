"""The columns of all keys of a run's logs, checked before they are recorded."""

from collections import Counter
from collections.abc import Mapping, Sequence

import keras

from tiny_gpt.callbacks.columns import Column, declared_columns
from tiny_gpt.training.run_files import Record


class LogColumns(keras.callbacks.Callback):
    """Refuses keys of the logs that have no place in the metrics frame.

    It must come after all callbacks that write, and before those that record.

    Args:
        record: keeps the places that the experiment alone does not tell.
        known: places that the experiment tells (`frames.columns_of`).
        callbacks: all that may write; they declare `log_columns`.

    Raises:
        ValueError: if a callback's key has no place, or the place of another
            key; in training, if the logs have a key that nobody declared.
    """

    def __init__(
        self,
        record: Record,
        known: Mapping[str, Column],
        callbacks: Sequence[keras.callbacks.Callback],
    ):
        super().__init__()
        self._record, self._known = record, known
        self._callbacks = callbacks
        self._take()

    def _take(self) -> None:
        declared = declared_columns(self._callbacks)
        for key, place in declared.items():
            if self._known.get(key, place) != place:
                raise ValueError(
                    "A key of the logs has one place. "
                    f"Received: {key!r} at {place} and {self._known[key]}"
                )
            if key not in self._known:
                self._record.columns[key] = place
        columns = {**self._known, **self._record.columns}
        counts = Counter(columns.values())
        if twice := [k for k, place in columns.items() if counts[place] > 1]:
            raise ValueError(
                "Each key of the logs has a place of its own in the metrics "
                f"frame. Received: {', '.join(twice)}, all at "
                f"{columns[twice[0]]}"
            )

    def on_epoch_end(self, epoch, logs=None):
        unknown = set(logs or {}) - self._known.keys()
        if unknown <= self._record.columns.keys():
            return
        self._take()  # some know their keys only after the first epoch
        if unknown := unknown - self._record.columns.keys():
            raise ValueError(
                "Each key of the logs has a place in the metrics frame: the "
                "callback that writes it declares `log_columns`. "
                f"Received: {', '.join(sorted(unknown))}"
            )
