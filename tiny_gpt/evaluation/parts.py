"""Losses of further parts of a task's windows, e.g. by position."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from tiny_gpt.callbacks import LossByTask
from tiny_gpt.callbacks.columns import Column
from tiny_gpt.models.spans import Spans, sees_next


@dataclass(frozen=True)
class Parts:
    """Windows, and the parts of them whose losses are logged.

    Attributes:
        inputs: token ids, shape (N, T).
        targets: the same, one token later.
        masks: targets of each part, booleans of shape (N, T).
        columns: place of each part in the metrics frame, those of the task's
            `part_columns`.
        floors: nats that are subtracted from a part's loss, those that are
            not 0, e.g. the loss of the best reader on the same targets.
    """

    inputs: np.ndarray
    targets: np.ndarray
    masks: Mapping[str, np.ndarray]
    columns: Mapping[str, Column]
    floors: Mapping[str, float]

    def callback(self, spans: Spans, every: int) -> LossByTask:
        """Returns the callback that measures them.

        Args:
            spans: in which positions of the model see each other. A target
                that one shows does not count.
            every: epochs between measurements.
        """
        is_hidden = ~sees_next(spans, self.inputs.shape[1])
        return LossByTask(
            self.inputs,
            self.targets,
            {name: mask & is_hidden for name, mask in self.masks.items()},
            every,
            columns=self.columns,
            floors=self.floors,
        )


@runtime_checkable
class InParts(Protocol):
    """What `Data` may have besides: further parts whose losses are logged."""

    def parts(self, num_windows: int, rng: np.random.Generator) -> Parts:
        """Draws windows, and says which parts of them are measured.

        Args:
            num_windows: windows per mapping.
            rng: source of randomness.
        """
