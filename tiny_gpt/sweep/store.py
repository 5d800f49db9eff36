"""The store of a sweep's runs: found by content, safe for many writers.

    store.json              description of the store
    cells/KEY/seed_3.json   a finished run, one file, written in one move
    cells/KEY/seed_3.weights.h5   its trained weights, where they are kept
    running/KEY_seed_3.*    a run that is not finished (`Record`)
    leases/KEY_seed_3.lock  held by the process that works on the run

KEY is the SHA-256 of all that the numbers of a run depend on, except its seed.
Sweeps therefore share the cells that they have in common.
"""

import os
import platform
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.environment import PRECISIONS, describe_environment
from tiny_gpt.runtime.files import (
    DamagedFileError,
    is_sealed,
    seal,
    set_aside,
    unseal,
    write_whole,
)
from tiny_gpt.sweep.cell import (
    SEED_FILE,
    Finished,
    content_of,
    key_of,
    read_cell,
    results_in,
)
from tiny_gpt.sweep.locks import (
    Lease,
    is_leased,
    names_in,
    reserve_folder,
    take_lease,
)
from tiny_gpt.sweep.remote_store import Shared, writer

RECORD_FILE = re.compile(r"([0-9a-f]{64})_seed_(\d+)\..*")


class Store:
    """Runs of any sweeps, in a folder.

    Args:
        folder: made if missing; a new or empty one, or a store.
        precision: see `environment.set_precision`; part of each key, like the
            backend.
        shared: URL at which machines exchange finished runs (`Shared`); None
            for none. Leases are of this folder alone, so two machines may
            make one run twice, with the same content. Weights are not
            exchanged.
        keeps_weights: whether the trained weights of runs are kept. A run
            without them is then not finished, and is made again.

    Raises:
        ValueError: if the folder holds something else, a store of another
            format, or cannot be written, or `shared` cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        precision: str = "float32",
        shared: str | None = None,
        keeps_weights: bool = False,
    ):
        check_choice("precision", precision, PRECISIONS)
        self.folder, self.precision = Path(folder), precision
        self.keeps_weights = keeps_weights
        self._made_on: dict[str, Any] = {}
        try:
            reserve_folder(self.folder)
        except OSError as error:
            raise ValueError(
                "The folder of a store must be writable. "
                f"Received: folder={folder} ({error.strerror})"
            ) from error
        self.shared = None if shared is None else Shared(shared)

    def key(self, experiment: Experiment) -> str:
        """Returns the content hash of an experiment (`cell.key_of`)."""
        return key_of(content_of(experiment, self.precision))

    def path(self, key: str, seed: int) -> Path:
        """Returns the file of a finished run."""
        return self.folder / "cells" / key / f"seed_{seed}.json"

    def weights(self, key: str, seed: int) -> Path:
        """Returns the file of the weights of a finished run."""
        return self.path(key, seed).with_suffix(".weights.h5")

    def is_finished(self, key: str, seed: int) -> bool:
        """Tells whether a run is there, with its weights if they are kept."""
        is_there = self.path(key, seed).exists()
        return is_there and (
            not self.keeps_weights or self.weights(key, seed).exists()
        )

    def record(self, key: str, seed: int) -> Path:
        """Returns the path of the record of a run, without suffix."""
        # No folder of a cell, which nobody could remove while others write.
        return self.folder / "running" / f"{key}_seed_{seed}"

    def seeds(self, key: str, checks: bool = False) -> set[int]:
        """Returns the seeds of a cell that are finished.

        Args:
            key: the cell.
            checks: whether each file is verified. A damaged one, or that of
                another run, is set aside, with a warning, and does not count.
        """
        names = names_in(self.folder / "cells" / key)
        matches = [SEED_FILE.fullmatch(name) for name in names]
        found = {int(match[1]) for match in matches if match}
        if self.keeps_weights:
            found = {seed for seed in found if self.is_finished(key, seed)}
        if checks:
            found = {seed for seed in found if self._is_whole(key, seed)}
        return found

    def _is_whole(self, key: str, seed: int) -> bool:
        try:
            if is_sealed(self.path(key, seed), {"key": key, "seed": seed}):
                return True
        except FileNotFoundError:  # another process has set it aside
            return False
        self._quarantine(key, seed)
        return False

    def lease(self, key: str, seed: int) -> Lease | None:
        """Takes the right to work on a run; None if another has it.

        Only the holder writes the run's files. The lease is a lock of the
        system: a process that is killed, in whatever way, loses it.
        """
        return take_lease(self._lock(key, seed))

    def is_leased(self, key: str, seed: int) -> bool:
        """Tells whether a process works on a run."""
        return is_leased(self._lock(key, seed))

    def _lock(self, key: str, seed: int) -> Path:
        return self.folder / "leases" / f"{key}_seed_{seed}.lock"

    def has(self, key: str, seed: int) -> bool:
        """Tells whether a run is finished, here or in the shared place.

        For the holder of the lease: the run is fetched from there. A damaged
        file there does not count, with a warning; `keep` replaces it later.
        """
        if self.is_finished(key, seed):
            return True
        if self.shared is None or self.keeps_weights:
            return False
        data = self.shared.fetch(key, seed)
        if data is None:
            return False
        try:
            self.receive(key, seed, data)
        except DamagedFileError:
            self.shared.warn(key, seed, "is damaged; the run is made again")
            return False
        return True

    def keep(self, key: str, experiment: Experiment, seed: int) -> bool:
        """Turns a finished record into the file of the run, if there is one.

        For the holder of the lease. The record is removed, and its weights
        are kept or removed with it.

        Returns:
            Whether there was one; a damaged record is left to `Record`.

        Raises:
            OSError: if the file cannot be written; the record is kept.
        """
        record = self.record(key, seed)
        finished = Path(f"{record}.json")
        try:
            values = results_in(unseal(finished))
        except (FileNotFoundError, DamagedFileError, KeyError):
            return False
        content = content_of(experiment, self.precision)
        if not self._made_on:
            self._made_on = {**describe_environment(), "host": platform.node()}
        made = {"finished": _now(), **self._made_on}
        cell = {"key": key, "seed": seed, **content, "made": made, **values}
        if self.keeps_weights:
            weights = self.weights(key, seed)
            weights.parent.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):  # moved by one who was killed
                os.replace(f"{record}.weights.h5", weights)
        self.put(key, seed, seal(cell))
        self._clear(key, seed)
        self.send(key, seed)
        return True

    def send(self, key: str, seed: int) -> None:
        """Sends a finished run to the shared place, if there is one."""
        if self.shared is not None:
            data = self.path(key, seed).read_bytes()
            self.shared.send(key, seed, data)

    def _clear(self, key: str, seed: int) -> None:
        """Removes the leftovers of a finished run and of killed writers.

        For the holder of the lease.
        """
        path, record = self.path(key, seed), self.record(key, seed)
        for left in (
            *path.parent.glob(f"saving_*_{path.name}"),
            *record.parent.glob(f"*{record.name}.*"),
        ):
            left.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Removes the leftovers of processes killed at the end of a run."""
        for key, seed in self._begun():
            if self.is_finished(key, seed):
                lease = self.lease(key, seed)
                if lease is not None:
                    self._clear(key, seed)
                    lease.release()

    def put(self, key: str, seed: int, text: str) -> None:
        """Writes the file of a finished run in one move.

        Raises:
            OSError: if it cannot be written; nothing is left of it.
        """
        path = self.path(key, seed)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, text.encode(), writer())

    def receive(self, key: str, seed: int, data: bytes) -> None:
        """Writes the file of a run that was finished elsewhere.

        For the holder of the lease.

        Raises:
            DamagedFileError: if it is not the file of that run.
            OSError: if it cannot be written; nothing is left of it.
        """
        path = self.path(key, seed)
        path.parent.mkdir(exist_ok=True)
        new = path.with_name(f"saving_{writer()}{path.name}")
        write_whole(new, data)
        try:
            read_cell(new, key, seed)
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)
        self._clear(key, seed)

    def load(self, key: str, seed: int) -> Finished | None:
        """Reads a finished run.

        Returns:
            The run; None if it is not finished or its file is damaged. A
            damaged file is set aside, with a warning, and run again later.
        """
        try:
            return self._load(key, seed)
        except FileNotFoundError:
            return None
        except DamagedFileError:
            self._quarantine(key, seed)
            return None

    def _load(self, key: str, seed: int) -> Finished:
        return read_cell(self.path(key, seed), key, seed)

    def _quarantine(self, key: str, seed: int) -> None:
        """Sets a damaged file aside, unless its run is being made again."""
        lease = self.lease(key, seed)
        if lease is None:
            return
        path = self.path(key, seed)
        try:
            self._load(key, seed)  # it may have been, meanwhile
        except FileNotFoundError:
            pass
        except DamagedFileError:
            aside = set_aside(path)
            warnings.warn(
                f"{path} is damaged and was set aside as {aside.name}; the "
                "run is made again.",
                stacklevel=4,
            )
        finally:
            lease.release()

    def partial(self) -> Iterator[tuple[str, int]]:
        """Yields key and seed of runs that were started but not finished."""
        for key, seed in self._begun():
            if not self.is_finished(key, seed):
                yield key, seed

    def _begun(self) -> list[tuple[str, int]]:
        names = names_in(self.folder / "running")
        matches = [RECORD_FILE.fullmatch(name) for name in names]
        return sorted({(m[1], int(m[2])) for m in matches if m})

    def damaged(self) -> list[Path]:
        """Returns the files that were set aside."""
        return sorted((self.folder / "cells").glob("*/*.damaged*"))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
