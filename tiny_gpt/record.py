"""What a run keeps on disk so that it can continue."""

import dataclasses
import json
import math
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tiny_gpt.experiment import Experiment
from tiny_gpt.tiers import Row

State = list[np.ndarray]  # values of a model's variables and its optimizer's


class Record:
    """Keeps the logs of all epochs, and saves them with the weights.

    While a run trains, one file, `.npz`, holds its logs and its state:
    weights, optimizer and random state. It is replaced in one move. A
    finished run leaves `.json`, logs and exact evaluation, and
    `.weights.h5`, the trained weights.

    Args:
        experiment: what is run.
        seed: its seed.
        path: path of the files, without suffix; None for no files.
        save_every_s: least seconds between two savings.

    Attributes:
        logs: Keras logs of each epoch so far.
        state: saved state after the last of them; None if there is none.
        exact: rows of the exact evaluation; None until the run is finished.

    Raises:
        ValueError: if the files are those of another experiment or seed, or
            damaged.
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
        self._earlier_s = 0.0
        self._start = self._saved = time.perf_counter()
        self._save_every_s = save_every_s
        self._num_epochs = experiment.train.num_epochs
        # Through JSON, so that it compares equal to what was saved.
        config = {"experiment": dataclasses.asdict(experiment), "seed": seed}
        self._config = json.loads(json.dumps(config))
        self._path = path
        if path is not None:
            self._load(Path(f"{path}.json"), Path(f"{path}.npz"))

    @property
    def wall_s(self) -> float:
        """Seconds of this run so far, those before a break included."""
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
        """Counts seconds from now on, where a run waited for its turn."""
        self._start = self._saved = time.perf_counter()

    def add(self, logs: dict[str, float], state: Callable[[], State]) -> None:
        """Adds the logs of an epoch, and saves if it is time.

        Args:
            logs: what the epoch gave.
            state: returns the state after it.
        """
        self.logs.append({key: float(value) for key, value in logs.items()})
        now = time.perf_counter()
        if self._path is None or now - self._saved < self._save_every_s:
            return
        self._save(Path(f"{self._path}.npz"), state())
        self._saved = time.perf_counter()

    def finish(self, model: keras.Model, exact: list[Row]) -> None:
        """Keeps the rows of the exact evaluation and the trained weights."""
        self.exact = exact
        if self._path is None:
            return
        logs_path = Path(f"{self._path}.json")
        logs_path.parent.mkdir(parents=True, exist_ok=True)
        weights = Path(f"{self._path}.weights.h5")
        new_weights = weights.with_name(f"saving_{weights.name}")
        model.save_weights(new_weights)
        os.replace(new_weights, weights)
        new_logs = logs_path.with_name(f"saving_{logs_path.name}")
        new_logs.write_text(self._as_json())
        os.replace(new_logs, logs_path)
        Path(f"{self._path}.npz").unlink(missing_ok=True)

    def _save(self, path: Path, state: State) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"saving_{path.name}")
        values: dict[str, Any] = {
            f"value_{i}": value for i, value in enumerate(state)
        }
        with open(new, "wb") as file:
            np.savez(file, record=np.array(self._as_json()), **values)
        os.replace(new, path)

    def _as_json(self) -> str:
        saved = {
            "config": self._config,
            "wall_s": self.wall_s,
            "logs": [
                {k: None if math.isnan(v) else v for k, v in log.items()}
                for log in self.logs
            ],
            "exact": self.exact,
        }
        return json.dumps(saved)

    def _load(self, path: Path, state_path: Path) -> None:
        if path.exists():
            self._read(path.read_text(), path)
            # A run may be stopped before this.
            state_path.unlink(missing_ok=True)
        elif state_path.exists():
            try:
                with np.load(state_path, allow_pickle=False) as saved:
                    text = str(saved["record"])
                    count = len(saved.files) - 1
                    self.state = [saved[f"value_{i}"] for i in range(count)]
            except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
                raise ValueError(
                    "A saved run must be whole; remove the file to start "
                    f"anew. Received: {state_path}"
                ) from error
            self._read(text, state_path)

    def _read(self, text: str, path: Path) -> None:
        saved = json.loads(text)
        if saved["config"] != self._config:
            raise ValueError(
                "A record can only be continued by the experiment and seed "
                f"that wrote it. Received: record={path}"
            )
        self.logs = [
            {k: math.nan if v is None else v for k, v in log.items()}
            for log in saved["logs"]
        ]
        self._earlier_s = saved["wall_s"]
        if saved["exact"] is not None:
            self.exact = [tuple(row) for row in saved["exact"]]
