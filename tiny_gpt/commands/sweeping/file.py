"""The TOML file of a sweep, read as a `Sweep`.

experiment = "controls"            # or the path of a file, as "mine.py"
preset = "quick"
condition = "sparse_a_to_c"        # unless "condition" is an axis
seeds = 10                         # 0 to 9; or a list

[success]                          # see `grid.Success`
mapping = "A->C"
threshold = 0.8

[axes]                             # see `grid.Sweep`
sparse_pairs = [4, 8, 16, 32, 64]
majority_pairs = [250, 2500]

[fixed]
"evaluation.every" = 5
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from tiny_gpt.commands.study import load_study
from tiny_gpt.sweep.axes import CONDITION
from tiny_gpt.sweep.grid import Success, Sweep

KEYS = ("experiment", "preset", CONDITION, "seeds", "success", "axes", "fixed")
MOST_SEEDS = 10_000  # a typing error otherwise


def load_sweep(path: Path, experiments: Path | None = None) -> Sweep:
    """Reads a sweep, named after its file.

    Args:
        path: the file; paths of experiments are relative to it.
        experiments: folder in which experiments are found by name; by default
            "experiments" in the working directory.

    Raises:
        ValueError: if the file does not exist, is not TOML, has an unknown
            key, or does not describe a valid sweep; it names the file.
    """
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise ValueError(
            "A sweep is a TOML file that can be read. "
            f"Received: {path} ({error.strerror})"
        ) from error
    except ValueError as error:  # no TOML, or no text
        raise ValueError(
            f"A sweep is a TOML file. Received: {path}: {error}"
        ) from error
    try:
        return sweep_of(path, table, experiments)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def sweep_of(
    path: Path, table: dict[str, Any], experiments: Path | None = None
) -> Sweep:
    """Builds a sweep from the content of a TOML file.

    Args:
        path: the file.
        table: its tables, lists and values, as of `tomllib`.
        experiments: see `load_sweep`.

    Raises:
        ValueError: if it is not a valid sweep.
    """
    name = path.stem
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError(
            "A sweep is named after its file, which may become the name of a "
            f"folder: letters, digits, '_', '.' and '-'. Received: {name!r}"
        )
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise ValueError(
            f"A sweep has the keys {KEYS}. Received: {', '.join(unknown)}"
        )
    axes = _table(table, "axes")
    not_lists = [axis for axis, v in axes.items() if not isinstance(v, list)]
    if not_lists:
        raise ValueError(
            "An axis has a list of values; a single one belongs to [fixed]. "
            f"Received: {', '.join(not_lists)}"
        )
    experiment = str(table.get("experiment"))
    if experiment.endswith(".py"):
        experiment = str(path.parent / experiment)
    study = load_study(experiment, experiments)
    preset = table.get("preset", "quick")
    conditions = axes.get(CONDITION, [table.get(CONDITION)])
    if CONDITION in axes and CONDITION in table:
        raise ValueError(
            "`condition` is an axis or one value, not both. "
            f"Received: {table[CONDITION]!r} and {axes[CONDITION]}"
        )
    return Sweep(
        name=name,
        bases={c: study.build(preset, c) for c in conditions},
        axes=axes,
        seeds=_seeds(table.get("seeds")),
        success=_success(_table(table, "success")),
        fixed=_table(table, "fixed"),
    )


def _table(table: dict[str, Any], name: str) -> dict[str, Any]:
    found = table.get(name, {})
    if not isinstance(found, dict):
        raise ValueError(
            f"`{name}` is a table, [{name}]. Received: {name}={found!r}"
        )
    # 'mixture.sentence_length = 4' without quotes is a table in a table.
    nested = [key for key, value in found.items() if isinstance(value, dict)]
    if nested:
        raise ValueError(
            'The path of a field stands in quotes, "train.batch_size". '
            f"Received: [{name}] with {', '.join(nested)}"
        )
    return found


def _seeds(found: Any) -> list[int]:
    if type(found) is int and 1 <= found <= MOST_SEEDS:
        return list(range(found))
    if isinstance(found, list):
        return found
    raise ValueError(
        f"`seeds` is their number, at most {MOST_SEEDS}, or their list. "
        f"Received: seeds={found!r}"
    )


def _success(table: dict[str, Any]) -> Success:
    try:
        return Success(**table)
    except TypeError as error:  # a key too many, or none of a mapping
        names = tuple(Success.__dataclass_fields__)
        raise ValueError(
            f"[success] has {names}, at least the mapping. "
            f"Received: {sorted(table)}"
        ) from error
