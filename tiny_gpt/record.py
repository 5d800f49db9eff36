"""What a run keeps on disk so that it can continue."""

import dataclasses
import json
import math
import os
import time
from pathlib import Path

import keras
import numpy as np

from tiny_gpt.experiment import Experiment, updates_per_epoch
from tiny_gpt.tiers import Row


class Record(keras.callbacks.Callback):
    """Keeps the logs of all epochs, and saves them with the model.

    Logs in `.json`, with the random state of dropout, which Keras does not
    save; weights and optimizer in `.keras` until the run is finished, and
    the trained weights alone in `.weights.h5` from then on.

    Args:
        experiment: what is run.
        seed: its seed.
        path: path of both files, without suffix; None for no files.
        save_every: epochs between two savings.

    Attributes:
        logs: Keras logs of each epoch so far.
        exact: rows of the exact evaluation; None until the run is finished.

    Raises:
        ValueError: if the files are those of another experiment or seed, or
            do not belong together.
    """

    def __init__(
        self,
        experiment: Experiment,
        seed: int,
        path: Path | None = None,
        save_every: int = 10,
    ):
        super().__init__()
        self.logs: list[dict[str, float]] = []
        self.exact: list[Row] | None = None
        self._random_states: dict[str, list] = {}  # by epoch
        self._earlier_s = 0.0
        self._start = time.perf_counter()
        self._save_every = save_every
        self._num_epochs = experiment.train.num_epochs
        self._updates = updates_per_epoch(experiment)
        # Through JSON, so that it compares equal to what was saved.
        config = {"experiment": dataclasses.asdict(experiment), "seed": seed}
        self._config = json.loads(json.dumps(config))
        self._files = None
        if path is not None:
            self._files = Path(f"{path}.json"), Path(f"{path}.keras")
            self._load_logs(*self._files)

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

    def finish(self, model: keras.Model, exact: list[Row]) -> None:
        """Keeps the rows of the exact evaluation and the trained weights."""
        self.exact = exact
        if self._files is None:
            return
        logs_path, model_path = self._files
        logs_path.parent.mkdir(parents=True, exist_ok=True)
        weights = model_path.with_suffix(".weights.h5")
        new_weights = weights.with_name(f"saving_{weights.name}")
        model.save_weights(new_weights)
        os.replace(new_weights, weights)
        self._save_logs(logs_path)
        model_path.unlink(missing_ok=True)

    def load_model(self) -> keras.Model | None:
        """Loads the saved model, and forgets the epochs after it.

        Returns:
            The model with its optimizer; None if the run starts anew.
        """
        if self._files is None or not self._files[1].exists():
            self.logs = []
            return None
        model = keras.saving.load_model(self._files[1])
        # Logs are saved before the model and can be one saving ahead.
        epoch = int(model.optimizer.iterations) // self._updates
        if str(epoch) not in self._random_states:
            raise ValueError(
                "A saved model needs the logs that were saved with it; remove "
                f"it to start anew. Received: {self._files[1]}, epoch {epoch}"
            )
        self.logs = self.logs[:epoch]
        for variable, state in zip(
            _random_variables(model),
            self._random_states[str(epoch)],
            strict=True,
        ):
            variable.assign(np.array(state, "uint32"))
        return model

    def on_epoch_end(self, epoch, logs=None):
        values = logs or {}
        self.logs.append({key: float(value) for key, value in values.items()})
        is_due = (epoch + 1) % self._save_every == 0
        if self._files is not None and (is_due or self.is_trained):
            self._save(*self._files)

    def _load_logs(self, path: Path, model_path: Path) -> None:
        if not path.exists():
            return
        saved = json.loads(path.read_text())
        if saved["config"] != self._config:
            raise ValueError(
                "A record can only be continued by the experiment and seed "
                f"that wrote it. Received: record={path}"
            )
        self.logs = [
            {k: math.nan if v is None else v for k, v in log.items()}
            for log in saved["logs"]
        ]
        self._random_states = saved["random_states"]
        self._earlier_s = saved["wall_s"]
        if saved["exact"] is not None:
            self.exact = [tuple(row) for row in saved["exact"]]
        if self.is_finished:  # and may have been stopped before this
            model_path.unlink(missing_ok=True)

    def _save(self, logs_path: Path, model_path: Path) -> None:
        logs_path.parent.mkdir(parents=True, exist_ok=True)
        new_model = model_path.with_name(f"saving_{model_path.name}")
        model = self.model  # on JAX each access copies the training state
        model.save(new_model)
        states = [
            keras.ops.convert_to_numpy(v).tolist()
            for v in _random_variables(model)
        ]
        # The model on disk is this one or, for a moment, the one before.
        last = list(self._random_states.items())[-1:]
        self._random_states = {**dict(last), str(len(self.logs)): states}
        self._save_logs(logs_path)
        os.replace(new_model, model_path)

    def _save_logs(self, path: Path) -> None:
        saved = {
            "config": self._config,
            "random_states": self._random_states,
            "wall_s": self.wall_s,
            "logs": [
                {k: None if math.isnan(v) else v for k, v in log.items()}
                for log in self.logs
            ],
            "exact": self.exact,
        }
        new_logs = path.with_name(f"saving_{path.name}")
        new_logs.write_text(json.dumps(saved))
        os.replace(new_logs, path)


def _random_variables(model: keras.Model) -> list:
    return [v for v in model.variables if "seed_generator_state" in v.path]
