"""Schedules: the epochs or steps at which a callback works."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import keras

from tiny_gpt.runtime.checks import check_choice

UNITS = ("epoch", "step")


@keras.saving.register_keras_serializable("tiny_gpt")
@dataclass(frozen=True)
class Schedule:
    """A schedule: every so many epochs or steps, or at growing distances.

    ```python
    Schedule(5)  # after epochs 5, 10, 15, ...
    Schedule(100, "step")  # after updates 100, 200, ...
    Schedule(per_decade=3)  # after epochs 1, 2, 5, 10, 22, 46, 100, ...
    ```

    Epochs and steps count from 1. They go on counting if a training continues
    by `fit(initial_epoch=...)`. The end of training is always due.

    Attributes:
        every: epochs or steps from one time to the next.
        unit: "epoch" or "step".
        per_decade: times between n and 10n, evenly spaced in the logarithm,
            in place of `every`; None for `every`.

    Raises:
        ValueError: if a number is below 1, or `unit` unknown.
    """

    every: int = 1
    unit: str = "epoch"
    per_decade: int | None = None

    def __post_init__(self):
        check_choice("unit", self.unit, UNITS)
        for name in ("every", "per_decade"):
            value = getattr(self, name)
            if value is not None and (int(value) != value or value < 1):
                raise ValueError(
                    f"`{name}` must be a whole number, at least 1. "
                    f"Received: {name}={value}"
                )

    def is_due(self, count: int, before: int | None = None) -> bool:
        """Tells whether the callback should work now.

        Args:
            count: epochs or steps done.
            before: the count at the previous call; by default one less. Steps
                may come several at once (`steps_per_execution`).
        """
        before = count - 1 if before is None else before
        return self._num_times(count) > self._num_times(before)

    def _num_times(self, count: int) -> int:
        """Returns how many times are due up to a count."""
        if self.per_decade is None:
            return count // self.every
        if count < 1:
            return 0
        last = math.ceil(self.per_decade * math.log10(count + 1))
        points = {round(10 ** (i / self.per_decade)) for i in range(last + 1)}
        return sum(point <= count for point in points)

    def get_config(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schedule":
        return cls(**config)


def from_config(cls: Any, config: dict[str, Any]) -> Any:
    """Builds a callback from its config, the class method that Keras asks for.

    Serialised objects in the config, e.g. a schedule or another callback, are
    built first.
    """
    values = {
        name: keras.saving.deserialize_keras_object(value)
        if isinstance(value, dict) and "registered_name" in value
        else value
        for name, value in config.items()
    }
    return cls(**values)


def as_schedule(every: int | Schedule) -> Schedule:
    """Returns a schedule; a number n means every n epochs."""
    return every if isinstance(every, Schedule) else Schedule(every)


def epochs_only(every: int | Schedule) -> Schedule:
    """Returns a schedule that counts epochs.

    Raises:
        ValueError: if it counts steps.
    """
    schedule = as_schedule(every)
    if schedule.unit != "epoch":
        raise ValueError(
            "This callback works at the end of epochs. "
            f"Received: every={schedule}"
        )
    return schedule


class Clock:
    """Counts epochs and steps of a training, for one callback.

    Steps are updates, as the optimizer counts them. A model without an
    optimizer of its own gets the batches counted.

    Args:
        schedule: the schedule of that callback.
    """

    def __init__(self, schedule: Schedule):
        self.schedule = schedule
        self._step = 0
        self._first = 0

    def start_epoch(
        self, epoch: int, params: dict[str, Any] | None, model: Any
    ) -> None:
        """Stores where an epoch begins.

        Args:
            epoch: counted from 0.
            params: parameters of `fit`.
            model: the model that trains.
        """
        steps = (params or {}).get("steps")
        if (count := _iterations(model)) is not None:
            self._step = count
        elif steps is not None:
            self._step = epoch * steps
        self._first = self._step

    def is_step_due(self, batch: int) -> bool:
        """Tells whether a step is due after a batch, counted from 0."""
        before, self._step = self._step, self._first + batch + 1
        return self.schedule.is_due(self._step, before)

    def updates(self, model: Any) -> int:
        """Returns the updates so far, by the optimizer's own count."""
        count = _iterations(model)
        return self._step if count is None else count

    def is_epoch_due(self, epoch: int, params: dict[str, Any] | None) -> bool:
        """Tells whether an epoch, counted from 0, is due.

        The last epoch of `fit` always is, whatever the unit.
        """
        if epoch + 1 == (params or {}).get("epochs"):
            return True
        return self.schedule.unit == "epoch" and self.schedule.is_due(epoch + 1)


def _iterations(model: Any) -> int | None:
    iterations = getattr(getattr(model, "optimizer", None), "iterations", None)
    if iterations is None:
        return None
    return int(keras.ops.convert_to_numpy(iterations))
