"""Measurements of trained models, seed by seed, and their files."""

import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from tiny_gpt.evaluation.data import Row
from tiny_gpt.experiment import Experiment
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.runtime.files import (
    DamagedFileError,
    seal,
    set_aside,
    unseal,
    write_text,
)
from tiny_gpt.sweep.cell import key_of
from tiny_gpt.sweep.run import POLL_S
from tiny_gpt.sweep.store import Store
from tiny_gpt.training.finished import NotRepeatedError, Trained

# Epoch and step, then a row as of any other measurement.
RowOfEpoch = tuple[int, int, str, str, str, str, float]
Load = Callable[[str, int], Trained]  # of "experiment/condition" and seed
OnDone = Callable[[str, int, bool], None]  # name, seed, whether it was there


@dataclass(frozen=True)
class Measured:
    """The finished measurements.

    Attributes:
        metrics: metrics frame, columns `columns.COLUMNS`. The measurement is
            in the column of the condition; epoch is 0 if it is of the end of
            a run.
        wall_s: seconds of all seeds together, by measurement.
        missing: missing seeds, by measurement.
    """

    metrics: pd.DataFrame
    wall_s: Mapping[str, float]
    missing: Mapping[str, list[int]]


class MeasuredFiles:
    """The files of measurements in a store, each found by its content.

    That is the measurement's name and file, and all that the runs depend on
    which it measures. A change of other modules is not noticed.

    Args:
        store: where the runs are.
        experiments: what is measured, by "experiment/condition".
    """

    def __init__(self, store: Store, experiments: Mapping[str, Experiment]):
        self._store, self._experiments = store, experiments

    def path(self, module: ModuleType, seed: int) -> Path:
        """Returns the file of one measurement of one seed."""
        folder = self._store.folder / "measured"
        return folder / f"{self._key(module)}_seed_{seed}.json"

    @contextlib.contextmanager
    def held(self, module: ModuleType, seed: int) -> Iterator[None]:
        """Waits until no other process makes a measurement."""
        key = self._key(module)
        while (lease := self._store.lease(key, seed)) is None:
            time.sleep(POLL_S)
        try:
            yield
        finally:
            lease.release()

    def _key(self, module: ModuleType) -> str:
        content = {
            "measurement": module.NAME,
            "file": _hash_of_file(module),
            "needs": {
                place: self._store.key(self._experiments[place])
                for place in module.NEEDS
            },
        }
        return key_of(content)


def _hash_of_file(module: ModuleType) -> str:
    path = getattr(module, "__file__", None)
    data = Path(path).read_bytes() if path else b""
    return hashlib.sha256(data).hexdigest()


def measure_all(
    modules: Sequence[ModuleType],
    seeds: Sequence[int],
    files: MeasuredFiles,
    load: Load,
    on_done: OnDone,
) -> list[str]:
    """Makes every measurement that is missing.

    A measurement that cannot make its run again stays missing. It does not
    stop the others.

    Args:
        modules: the measurements, see `experiments.measurements`.
        seeds: seeds of the trained models.
        files: one for each (measurement, seed), written in one move; a
            damaged one is set aside and measured again.
        load: loads a trained model.
        on_done: called after each.

    Returns:
        What stays missing, and why, a line each.
    """
    missing = []
    for seed in seeds:
        trained: dict[str, Trained] = {}
        for module in modules:
            with files.held(module, seed):
                path = files.path(module, seed)
                if read(path) is not None:
                    on_done(module.NAME, seed, True)
                    continue
                for place in module.NEEDS:
                    if place not in trained:
                        trained[place] = load(place, seed)
                needed = {place: trained[place] for place in module.NEEDS}
                start = time.perf_counter()
                try:
                    rows = check_rows(module.measure(needed, seed), module)
                except NotRepeatedError as error:
                    missing.append(
                        f"{module.NAME}: seed {seed} missing. {error}"
                    )
                    continue
                seconds = round(time.perf_counter() - start, 1)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_text(path, seal({"rows": rows, "wall_s": seconds}))
            on_done(module.NAME, seed, False)
    return missing


def read(path: Path) -> tuple[list[Row | RowOfEpoch], float] | None:
    """Reads a measurement and its seconds; None if missing or damaged."""
    try:
        found = unseal(path)
        # The first measurements were kept without their seconds.
        return [(*row,) for row in found["rows"]], found.get("wall_s", 0.0)
    except FileNotFoundError:
        return None
    except DamagedFileError:
        set_aside(path)
        return None


def check_rows(
    rows: Sequence[Row | RowOfEpoch], module: ModuleType
) -> list[Any]:
    """Checks that the names of all numbers differ.

    Raises:
        ValueError: if two are the same.
    """
    counts = Counter(row[:-1] for row in rows)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ValueError(
            "Each number of a measurement has a name of its own. Received: "
            f"{min(twice)} twice, of {module.NAME!r}"
        )
    return [[*row[:-1], float(row[-1])] for row in rows]


def read_measurements(
    modules: Sequence[ModuleType],
    seeds: Sequence[int],
    files: MeasuredFiles,
    experiment: str = "theory",
) -> Measured:
    """Reads the finished measurements.

    Args:
        modules: the measurements.
        seeds: seeds of the trained models.
        files: where they are.
        experiment: name of the experiment that they belong to in the frame.
    """
    rows: list[tuple[Any, ...]] = []
    wall_s: dict[str, float] = {}
    missing: dict[str, list[int]] = {}
    for module in modules:
        for seed in seeds:
            found = read(files.path(module, seed))
            if found is None:
                missing.setdefault(module.NAME, []).append(seed)
                continue
            place = experiment, module.NAME, seed
            for row in found[0]:
                rows.append((*place, *(row[:-5] or (0, 0)), *row[-5:]))
            seconds = wall_s.get(module.NAME, 0.0) + found[1]
            wall_s[module.NAME] = round(seconds, 1)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return Measured(frame, wall_s, missing)
