"""Batches of windows, in an order that only seed and epoch determine."""

import math
from collections.abc import Callable, Sequence

import keras
import numpy as np

# From a source of randomness to the inputs and targets of an epoch.
Recut = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


class ShuffledWindows(keras.utils.PyDataset):
    """Batches of windows, shuffled anew each epoch.

    Batch i depends on (seed, i) only, not on earlier calls. A run that
    continues therefore reads what it would have read, on every backend.

    Args:
        phases: inputs and targets, each of shape (N, T), read one after the
            other; all have the same number of batches.
        last_epochs: epoch after the last one of each phase.
        batch_size: windows per batch; the last of an epoch is smaller.
        seed: entropy of the order, one integer.
        first_epoch: epoch of the first batch, counted from 0.
        recuts: for each phase, how its text is cut anew before each epoch, into
            as many windows, or None if it is not; empty for none at all. The
            order of the windows is the same with and without.
    """

    def __init__(
        self,
        phases: Sequence[tuple[np.ndarray, np.ndarray]],
        last_epochs: Sequence[int],
        batch_size: int,
        seed: int,
        first_epoch: int = 0,
        recuts: Sequence[Recut | None] = (),
    ):
        super().__init__(workers=0)
        self.steps_per_epoch = math.ceil(len(phases[0][0]) / batch_size)
        self._phases = phases
        self._last_epochs = last_epochs
        self._batch_size = batch_size
        self._seed = seed
        self._first_epoch = first_epoch
        self._recuts = recuts or [None] * len(phases)
        none = np.empty(0, int)
        self._shuffled: tuple[int, np.ndarray, np.ndarray] = -1, none, none

    def __len__(self):
        num_epochs = self._last_epochs[-1] - self._first_epoch
        return self.steps_per_epoch * num_epochs

    def __getitem__(self, index):
        epoch = self._first_epoch + index // self.steps_per_epoch
        inputs, targets = self.epoch(epoch)
        start = index % self.steps_per_epoch * self._batch_size
        batch = slice(start, start + self._batch_size)
        return inputs[batch], targets[batch]

    def epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns all windows in the order of an epoch, counted from 0."""
        phase = int(np.searchsorted(self._last_epochs, epoch, side="right"))
        if self._shuffled[0] != epoch:
            inputs, targets = self._phases[phase]
            rng = np.random.default_rng([self._seed, epoch])
            order = rng.permutation(len(inputs))
            recut = self._recuts[phase]
            if recut is not None:
                inputs, targets = recut(rng)
            self._shuffled = epoch, inputs[order], targets[order]
        return self._shuffled[1:]
