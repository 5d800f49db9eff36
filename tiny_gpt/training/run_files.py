"""Files of a run: the record of its epochs, and the state to continue from."""

import json
import math
import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tiny_gpt.callbacks.columns import Column, column
from tiny_gpt.evaluation.data import Row
from tiny_gpt.experiment import Experiment, config_of
from tiny_gpt.runtime.files import (
    DamagedFileError,
    differences,
    hash_arrays,
    read_checkpoint,
    require_room,
    seal,
    set_aside,
    unseal,
    write_checkpoint,
    write_whole,
)

PAGE = 4096  # bytes
State = list[np.ndarray]  # values of a model's variables and its optimizer's


def state_of(model: keras.Model) -> State:
    """Returns copies of all values that training changes.

    First the values of the model's variables, random state included, then
    those of its optimizer.
    """
    variables = (*model.variables, *model.optimizer.variables)
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def set_state(model: keras.Model, state: State) -> None:
    """Gives a compiled model the values that `state_of` returned."""
    variables = (*model.variables, *model.optimizer.variables)
    for variable, value in zip(variables, state, strict=True):
        variable.assign(value)


class Record:
    """Keeps the logs of all epochs, and saves them with the weights.

    While a run trains, `.checkpoint` holds its logs and its state: weights,
    optimizer and random state. The order of the data and the questions depend
    only on seed and epoch, the events only on the logs. The checkpoint before
    is `.previous.checkpoint`.

    A finished run leaves two files. `.json` holds logs and exact evaluation;
    `.weights.h5` holds the trained weights, whose hash is in `.json`.

    All files are written in one move. Checkpoints and `.json` carry a
    checksum; a damaged one is set aside, with a warning, and the one before is
    used.

    Args:
        experiment: what is run.
        seed: its seed.
        path: path of the files, without suffix; None for no files.
        save_every_s: least seconds between two savings.

    Attributes:
        path: as given.
        logs: Keras logs of each epoch so far.
        state: saved state after the last of them; None if there is none.
        exact: rows of the exact evaluation; None until the run is finished.
        columns: by key of the logs, (mapping, tier, prompt, metric), for keys
            that the experiment alone does not tell (`log_columns`).
        weights_hash: SHA-256 of the trained weights (`files.hash_arrays`);
            None until the run is finished.

    Raises:
        ValueError: if the files are those of another experiment or seed.
    """

    def __init__(
        self,
        experiment: Experiment,
        seed: int,
        path: Path | None = None,
        save_every_s: float = 30.0,
    ):
        self.logs: list[dict[str, float]] = []
        self.state: State | None = None
        self.exact: list[Row] | None = None
        self.columns: dict[str, Column] = {}
        self.weights_hash: str | None = None
        self._earlier_s = 0.0
        self._start = self._saved = time.perf_counter()
        self._save_every_s = save_every_s
        self._num_epochs = experiment.train.num_epochs
        # Through JSON, so that it compares equal to what was saved.
        config = {"experiment": config_of(experiment), "seed": seed}
        self._config = json.loads(json.dumps(config))
        self.path = path
        if path is not None:
            self._load()

    @property
    def wall_s(self) -> float:
        """Seconds of this run so far, including those before a break."""
        return self._earlier_s + time.perf_counter() - self._start

    @property
    def is_finished(self) -> bool:
        """Whether the run is trained and evaluated."""
        return self.exact is not None

    @property
    def is_trained(self) -> bool:
        """Whether the last epoch is in the logs."""
        return len(self.logs) >= self._num_epochs

    def start_clock(self) -> None:
        """Starts the clock anew, for a run that has waited for its turn."""
        self._start = self._saved = time.perf_counter()

    def add(self, logs: dict[str, float], state: Callable[[], State]) -> None:
        """Adds the logs of an epoch, and saves if it is time.

        Args:
            logs: logs of the epoch.
            state: returns the state after it.
        """
        self.logs.append({key: float(value) for key, value in logs.items()})
        if time.perf_counter() - self._saved >= self._save_every_s:
            self.save(state)

    def save(self, state: Callable[[], State]) -> None:
        """Saves the logs so far, with the state that belongs to them.

        Raises:
            OSError: if there is no room, or no permission; earlier files are
                kept.
        """
        if self.path is None:
            return
        last, previous = self._checkpoints()
        last.parent.mkdir(parents=True, exist_ok=True)
        if last.exists():  # from here to the next line, only `previous` is
            os.replace(last, previous)
        write_checkpoint(last, state(), self._as_json())
        self._saved = time.perf_counter()

    def finish(self, model: keras.Model, exact: list[Row]) -> None:
        """Keeps the rows of the exact evaluation and the trained weights."""
        self.exact = exact
        if self.path is None:
            return
        self.weights_hash = hash_arrays(model.get_weights())
        finished = Path(f"{self.path}.json")
        finished.parent.mkdir(parents=True, exist_ok=True)
        weights = Path(f"{self.path}.weights.h5")
        new = weights.with_name(f"saving_{weights.name}")
        try:
            # Names and shapes of HDF5 take less than a page per variable.
            weights_of = model.get_weights()
            pages = 16 + len(weights_of)
            size = sum(each.nbytes for each in weights_of)
            require_room(new, size + PAGE * pages)
            model.save_weights(new)
            with open(new, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(new, weights)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        write_whole(finished, seal(self._as_json()).encode())
        self._remove_checkpoints()

    def _remove_checkpoints(self) -> None:
        """Removes the checkpoints, and a half-written one if there is one."""
        last, previous = self._checkpoints()
        for path in (last, previous, last.with_name(f"saving_{last.name}")):
            path.unlink(missing_ok=True)

    def _checkpoints(self) -> tuple[Path, Path]:
        return (
            Path(f"{self.path}.checkpoint"),
            Path(f"{self.path}.previous.checkpoint"),
        )

    def _as_json(self) -> dict[str, Any]:
        of_callbacks = {"columns": self.columns} if self.columns else {}
        return {
            "config": self._config,
            **of_callbacks,
            "wall_s": self.wall_s,
            "logs": [
                {k: _to_json(v) for k, v in log.items()} for log in self.logs
            ],
            "exact": self.exact
            and [(*names, _to_json(v)) for *names, v in self.exact],
            "weights_hash": self.weights_hash,
        }

    def _load(self) -> None:
        finished = Path(f"{self.path}.json")
        if finished.exists():
            try:
                self._read(unseal(finished), finished)
            except DamagedFileError:
                _set_aside(finished)
            else:
                self._remove_checkpoints()  # it may be stopped before
                return
        for path in self._checkpoints():
            if not path.exists():
                continue
            try:
                state, saved = read_checkpoint(path)
                self._read(saved, path)
            except DamagedFileError:
                _set_aside(path)
                continue
            self.state = state
            return

    def _read(self, saved: dict[str, Any], path: Path) -> None:
        try:
            config, weights_hash = saved["config"], saved["weights_hash"]
            earlier_s, exact = float(saved["wall_s"]), saved["exact"]
            logs = [
                {k: _from_json(v) for k, v in log.items()}
                for log in saved["logs"]
            ]
            columns = columns_in(saved)
            if exact is not None:
                exact = [
                    (mapping, tier, prompt, metric, _from_json(value))
                    for mapping, tier, prompt, metric, value in exact
                ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # Right sum, but no record of ours: somebody else wrote it.
            raise DamagedFileError(
                f"A record must be one that was written here. Received: {path}"
            ) from error
        if config != self._config:
            raise ValueError(
                "A record can only be continued by the experiment and seed "
                f"that wrote it. Received: record={path}, which differs in "
                f"{differences(config, self._config)}"
            )
        self.logs, self.exact, self.columns = logs, exact, columns
        self._earlier_s, self.weights_hash = earlier_s, weights_hash


def columns_in(saved: Mapping[str, Any]) -> dict[str, Column]:
    """Returns `Record.columns` of a file; most runs have none.

    Raises:
        TypeError, ValueError, AttributeError: if they have another form.
    """
    return {
        str(key): column(metric, mapping, tier, prompt)
        for key, (mapping, tier, prompt, metric) in saved.get(
            "columns", {}
        ).items()
    }


class Saving(keras.callbacks.Callback):
    """Adds the logs of each epoch to a record."""

    def __init__(self, record: Record):
        super().__init__()
        self._record = record

    def on_epoch_end(self, epoch, logs=None):
        self._record.add(logs or {}, lambda: state_of(self.model))


def _to_json(value: float) -> float | str | None:
    """Returns a number in JSON's types: None for NaN, a string for infinity."""
    if math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value


def _from_json(value: float | str | None) -> float:
    return math.nan if value is None else float(value)


def _set_aside(path: Path) -> None:
    aside = set_aside(path)
    warnings.warn(
        f"{path} is damaged and was set aside as {aside.name}; the run goes "
        "on from what was saved before it.",
        stacklevel=2,
    )
