"""The run recorder: logs as a file that can be read while it grows."""

import importlib.metadata
import json
import math
import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from tiny_gpt.callbacks.copies import WritesFiles, free_path
from tiny_gpt.callbacks.schedule import from_config
from tiny_gpt.runtime.files import hash_arrays, write_whole

PACKAGES = (
    "keras",
    "numpy",
    "jax",
    "tensorflow",
    "tensorflow-cpu",
    "torch",
    "tiny_gpt",
)


@keras.saving.register_keras_serializable("tiny_gpt")
class RunRecorder(WritesFiles, keras.callbacks.Callback):
    """Writes the logs of each epoch as a line of JSON, and a manifest.

    ```python
    recorder = RunRecorder("run.jsonl", "manifest.json", {"data": "digits"})
    model.fit(x, y, epochs=9, callbacks=[TaskAccuracy(tasks), recorder])
    read_logs("run.jsonl")  # [{"epoch": 1, "loss": 2.3, ...}, ...]
    ```

    A training that continues (`fit(initial_epoch=...)`) adds to the file;
    lines of epochs that are done again are taken out first. Numbers that are
    not finite are null in the file, and NaN when they are read.

    Reads all of `logs`, so it must be listed last. The file is written at the
    end of the first epoch. A copy (`copy.deepcopy`, as a tuner makes one for
    each trial) writes into files of its own where the given ones are taken:
    "run_2.jsonl", "run_3.jsonl", ...

    Args:
        path: file of the logs, `.jsonl`.
        manifest: file of the manifest: versions, device, model, number of
            parameters, precision, optimizer, loss, hash of the initial
            weights, the parameters of `fit` and `info`. When the training
            ends, seconds and the hash of the weights are added. None for no
            manifest.
        info: anything else for the manifest, JSON types.
        overwrite: whether the log of another training may be replaced.
        earlier_logs: logs of the epochs before, if a run continues and keeps
            them elsewhere; by default they are read from the file.

    Raises:
        ValueError: if `path` does not end in .jsonl; in training from the
            first epoch, if the file exists and `overwrite` is not set.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        manifest: str | os.PathLike[str] | None = None,
        info: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        earlier_logs: Sequence[Mapping[str, float]] | None = None,
    ):
        super().__init__()
        self.path = Path(path)
        self.manifest = None if manifest is None else Path(manifest)
        self.info = dict(info or {})
        self.overwrite = overwrite
        self.earlier_logs = earlier_logs
        self._is_open = False
        self._earlier: list[str] | None = None
        if self.path.suffix != ".jsonl":
            raise ValueError(
                f"`path` must end in .jsonl. Received: path={str(path)!r}"
            )

    from_config = classmethod(from_config)

    def get_config(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "manifest": None if self.manifest is None else str(self.manifest),
            "info": self.info,
            "overwrite": self.overwrite,
        }

    def on_train_begin(self, logs=None):
        self._is_open = False
        self._start = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        if not self._is_open:
            self._begin(epoch)

    def on_epoch_end(self, epoch, logs=None):
        if not self._is_open:
            self._begin(epoch)
        if self._earlier is not None:
            write_whole(self.path, "".join(self._earlier).encode())
            self._earlier = None
        with open(self.path, "a") as file:
            file.write(_as_line(epoch + 1, logs or {}))

    def on_train_end(self, logs=None):
        if self.manifest is not None and self._is_open:
            seconds = time.perf_counter() - self._start
            self._write_manifest(
                self.manifest,
                status="finished",
                wall_s=round(seconds, 3),
                weights_hash=_hash_weights(self.model),
            )

    def _begin(self, epoch: int) -> None:
        if epoch == 0 and self._is_copy and not self.overwrite:
            self._find_free_paths()
        # A file without an epoch records nothing.
        is_there = self.path.exists() and self.path.stat().st_size > 0
        if epoch == 0 and is_there and not self.overwrite:
            raise ValueError(
                "A log is not replaced unless `overwrite` says so. "
                f"Received: path={str(self.path)!r}, which is there"
            )
        earlier = self.earlier_logs
        if earlier is None:
            earlier = read_logs(self.path) if epoch and is_there else []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Written with the first new epoch: until then nothing has happened.
        self._earlier = [
            _as_line(number, log)
            for number, log in enumerate(earlier[:epoch], start=1)
        ]
        self._is_open = True
        if self.manifest is not None:
            is_built = getattr(self.model, "built", True)
            # TensorFlow builds some models in the first step.
            self._first_hash = _hash_weights(self.model) if is_built else None
            self._write_manifest(self.manifest, status="unfinished")

    def _find_free_paths(self) -> None:
        self.path = free_path(self.path)
        if self.manifest is not None:
            self.manifest = free_path(self.manifest)

    def _write_manifest(self, path: Path, **more: Any) -> None:
        model = self.model
        manifest = {
            "backend": keras.backend.backend(),
            "precision": _precision(model),
            "python": platform.python_version(),
            "system": platform.platform(),
            "versions": _versions(),
            "model": model.name,
            "num_parameters": model.count_params()
            if getattr(model, "built", True)
            else None,
            "optimizer": _described(getattr(model, "optimizer", None)),
            "loss": _described(getattr(model, "loss", None)),
            "fit": self.params,
            "initial_weights_hash": self._first_hash,
            **self.info,
            **more,
        }
        text = json.dumps(manifest, indent=2, default=str) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())


def read_logs(path: str | os.PathLike[str]) -> list[dict[str, float]]:
    """Reads the log that `RunRecorder` wrote.

    A crash can leave a last line without its end; such a line is left out.

    Args:
        path: file of `RunRecorder`.

    Returns:
        The logs of each epoch, with "epoch" counted from 1.

    Raises:
        ValueError: if another line is not a JSON object with an epoch.
    """
    lines = Path(path).read_text().split("\n")
    logs = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            log = json.loads(line)
            log["epoch"] = int(log["epoch"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                "A log has one JSON object with an epoch per line. "
                f"Received: {path}, line {number}"
            ) from error
        logs.append({k: math.nan if v is None else v for k, v in log.items()})
    return logs


def _as_line(epoch: int, logs: Mapping[str, float]) -> str:
    line: dict[str, float | None] = {"epoch": epoch}
    for key, value in logs.items():
        if key != "epoch":
            number = float(value)
            line[key] = number if math.isfinite(number) else None
    return json.dumps(line) + "\n"


def _precision(model: Any) -> str:
    """Returns the name of the dtype policy, "float32" or "mixed_bfloat16"."""
    policy = getattr(model, "dtype_policy", None)
    return getattr(policy, "name", None) or keras.config.floatx()


def _described(part: Any) -> Any:
    """Returns the optimizer or loss of a model in JSON types."""
    if part is None or isinstance(part, (str, int, float)):
        return part
    if isinstance(part, dict):
        return {name: _described(value) for name, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_described(value) for value in part]
    name = getattr(part, "__name__", type(part).__name__)
    try:
        config = part.get_config()
    except (AttributeError, NotImplementedError, TypeError):
        return name
    if isinstance(part, keras.optimizers.Optimizer):
        # What it is now; the config may hold a schedule.
        rate = keras.ops.convert_to_numpy(part.learning_rate)
        config = {**config, "learning_rate_at_first": float(rate)}
    return {"class": name, **config}


def _hash_weights(model: Any) -> str:
    return hash_arrays(
        [keras.ops.convert_to_numpy(w.value) for w in model.weights]
    )


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
