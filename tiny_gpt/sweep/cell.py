"""A cell of a sweep in the store: its content, hash and file."""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from tiny_gpt.callbacks.columns import Column
from tiny_gpt.evaluation.data import Row
from tiny_gpt.experiment import Experiment, config_of
from tiny_gpt.runtime.files import DamagedFileError, unseal
from tiny_gpt.training.run_files import columns_in

FORMAT = 2  # to be raised when the same config gives other numbers
SEED_FILE = re.compile(r"seed_(\d+)\.json")
RESULTS = ("logs", "exact", "wall_s", "weights_hash")
CONTENT = ("format", "backend", "precision", "experiment")
REPLICAS = "num_replicas"  # in some


@dataclasses.dataclass(frozen=True)
class Finished:
    """The results of a finished run.

    Attributes:
        logs: Keras logs of each epoch.
        exact: rows of the exact evaluation.
        wall_s: seconds of training and evaluation, compilation included.
        made_on: host, devices, versions and commit, in a line.
        columns: columns of further keys of the logs (`Record.columns`).
        weights_hash: SHA-256 of the trained weights (`files.hash_arrays`).
    """

    logs: list[dict[str, float]]
    exact: list[Row]
    wall_s: float
    made_on: str = ""
    columns: Mapping[str, Column] = dataclasses.field(default_factory=dict)
    weights_hash: str = ""


def content_of(
    experiment: Experiment, precision: str, num_replicas: int = 1
) -> dict[str, Any]:
    """Returns all that the numbers of a run depend on, except its seed.

    That is every field of the experiment but its labels, the format of the
    store, backend and precision; JSON types. The number of devices is part of
    it only if each clips its own gradients.
    """
    config = config_of(experiment)
    del config["name"], config["condition"]
    clips_alone = experiment.train.clipping == "per_replica"
    return {
        **({REPLICAS: num_replicas} if clips_alone else {}),
        "format": FORMAT,
        "backend": keras.backend.backend(),
        "precision": precision,
        "experiment": config,
    }


def key_of(content: dict[str, Any]) -> str:
    """Returns the SHA-256 of canonical JSON: sorted, without spaces."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def unlabelled(experiment: Experiment, key: str) -> Experiment:
    """Returns an experiment with the labels that the store gives it.

    Records check an experiment's labels as well, and sweeps that share a
    cell label it differently.
    """
    return dataclasses.replace(experiment, name="cell", condition=key[:16])


def results_in(record: dict[str, Any]) -> dict[str, Any]:
    """Returns what the record of a finished run says of it.

    Raises:
        KeyError: if it is not that of a finished run.
    """
    results = {name: record[name] for name in RESULTS}
    if "columns" in record:
        results["columns"] = record["columns"]
    return results


def read_cell(path: Path, key: str, seed: int) -> Finished:
    """Reads the file of a finished run.

    Raises:
        DamagedFileError: if its content is not what was written.
        FileNotFoundError: if there is no such file.
    """
    cell = unseal(path)
    try:
        names = (*CONTENT, *({REPLICAS} & set(cell)))
        content = {name: cell[name] for name in names}
        if cell["seed"] == seed and key_of(content) == key:
            return _parse(cell)
    except (KeyError, TypeError, ValueError):
        pass
    # Right sum, but another's: somebody has copied or written it.
    raise DamagedFileError(
        f"A run must be the one its path says. Received: {path}"
    )


def _parse(cell: dict[str, Any]) -> Finished:
    logs = [
        {name: _number(value) for name, value in log.items()}
        for log in cell["logs"]
    ]
    exact = [
        (mapping, tier, prompt, metric, _number(value))
        for mapping, tier, prompt, metric, value in cell["exact"] or ()
    ]
    made = cell["made"]
    backend, versions = cell["backend"], made["versions"]
    parts = (
        made["host"],
        *made["devices"],
        f"{backend} {versions[backend]}",
        f"keras {versions['keras']}",
        f"Python {made['python']}",
        *((f"commit {made['commit']}",) if "commit" in made else ()),
    )
    made_on = ", ".join(parts)
    wall_s, columns = float(cell["wall_s"]), columns_in(cell)
    weights_hash = str(cell.get("weights_hash", ""))
    return Finished(logs, exact, wall_s, made_on, columns, weights_hash)


def _number(value: float | str | None) -> float:
    return math.nan if value is None else float(value)  # as in `Record`
