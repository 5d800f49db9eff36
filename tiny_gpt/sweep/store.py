"""Where sweeps keep their runs: found by content, safe for many writers.

    store.json              what the store is of
    cells/KEY/seed_3.json   a finished run, one file, written in one move
    running/KEY/seed_3.*    a run that is not finished (`Record`)
    leases/KEY_seed_3.lock  held by the process that works at the run

KEY is the SHA-256 of all that the numbers of a run depend on but its seed, so
that sweeps share the cells that they have in common. Weights are not kept.
"""

import contextlib
import json
import os
import platform
import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tiny_gpt.devices import PRECISIONS, describe
from tiny_gpt.experiment import Experiment
from tiny_gpt.files import (
    DamagedFileError,
    is_sealed,
    seal,
    set_aside,
    unseal,
    write_whole,
)
from tiny_gpt.sweep.cell import (
    FORMAT,
    Finished,
    content_of,
    key_of,
    read_cell,
)

MARK = "store.json"
SEED_FILE = re.compile(r"seed_(\d+)\.json")


class Lease:
    """The right to work at one run; the system takes it back at death.

    Args:
        lock: a lock that is held.
    """

    def __init__(self, lock: Any):
        self._lock = lock

    def release(self) -> None:
        """Gives it back."""
        self._lock.release()


class Store:
    """Runs of any sweeps, in a folder.

    Args:
        folder: made if missing; a new or empty one, or a store.
        precision: see `devices.set_precision`; part of each key, as is the
            backend.

    Raises:
        ValueError: if the folder holds something else, a store of another
            format, or cannot be written.
    """

    def __init__(self, folder: Path, precision: str = "float32"):
        if precision not in PRECISIONS:
            raise ValueError(
                f"`precision` must be one of {PRECISIONS}. "
                f"Received: precision={precision!r}"
            )
        self.folder, self.precision = Path(folder), precision
        self._made_on: dict[str, Any] = {}
        try:
            self._claim()
        except OSError as error:
            raise ValueError(
                "The folder of a store must be writable. "
                f"Received: folder={folder} ({error.strerror})"
            ) from error

    def _claim(self) -> None:
        mark, own = self.folder / MARK, {"format": FORMAT}
        for part in ("cells", "running", "leases"):
            if not mark.exists() and self.folder.is_dir():
                self._refuse_others()
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        if not mark.exists():
            write_whole(mark, json.dumps(own).encode(), _writer())
        try:
            found = json.loads(mark.read_text())
        except ValueError:
            found = {"format": "unreadable"}
        if found != own:
            raise ValueError(
                "A store is read and continued by the version that wrote it; "
                f"choose another folder. Received: folder={self.folder}, of "
                f"format {found.get('format')}, now {FORMAT}"
            )

    def _refuse_others(self) -> None:
        own = {"cells", "running", "leases"}
        others = [
            path.name
            for path in self.folder.iterdir()
            if path.name not in own and not path.name.startswith("saving_")
        ]
        if others and MARK not in others:
            raise ValueError(
                f"A store is a new or empty folder, or one with {MARK}. "
                f"Received: folder={self.folder}, which holds other files: "
                f"{', '.join(sorted(others)[:3])}"
            )

    def key(self, experiment: Experiment) -> str:
        """Returns the content hash of an experiment (`cell.key_of`)."""
        return key_of(content_of(experiment, self.precision))

    def path(self, key: str, seed: int) -> Path:
        """Returns the file of a finished run."""
        return self.folder / "cells" / key / f"seed_{seed}.json"

    def record(self, key: str, seed: int) -> Path:
        """Returns the path of the record of a run, without suffix."""
        return self.folder / "running" / key / f"seed_{seed}"

    def seeds(self, key: str, checks: bool = False) -> set[int]:
        """Returns the seeds of a cell that are finished.

        Args:
            key: the cell.
            checks: whether each file's checksum is verified; a damaged one is
                set aside, with a warning, and does not count.
        """
        folder = self.folder / "cells" / key
        try:
            names = [entry.name for entry in os.scandir(folder)]
        except FileNotFoundError:
            return set()
        matches = [SEED_FILE.fullmatch(name) for name in names]
        found = {int(match[1]) for match in matches if match}
        if checks:
            found = {seed for seed in found if self._is_whole(key, seed)}
        return found

    def _is_whole(self, key: str, seed: int) -> bool:
        try:
            if is_sealed(self.path(key, seed)):
                return True
        except FileNotFoundError:  # another process has set it aside
            return False
        self._quarantine(key, seed)
        return False

    def lease(self, key: str, seed: int) -> Lease | None:
        """Takes the right to work at a run; None if another has it.

        The holder is the only one who writes the run's files. A lock of the
        system stands behind it: killed in whatever way, a process holds
        nothing.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self._lock(key, seed), timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            return None
        return Lease(lock)

    def is_leased(self, key: str, seed: int) -> bool:
        """Tells whether a process works at a run."""
        if not self._lock(key, seed).exists():
            return False
        lease = self.lease(key, seed)
        if lease is not None:
            lease.release()
        return lease is None

    def _lock(self, key: str, seed: int) -> Path:
        return self.folder / "leases" / f"{key}_seed_{seed}.lock"

    def keep(self, key: str, experiment: Experiment, seed: int) -> bool:
        """Turns a finished record into the file of the run, if there is one.

        For the holder of the lease. The record goes, and the weights with it.

        Returns:
            Whether there was one; a damaged record is left to `Record`.

        Raises:
            OSError: if the file cannot be written; the record is kept.
        """
        record = self.record(key, seed)
        finished = Path(f"{record}.json")
        try:
            run = unseal(finished)
            values = {
                name: run[name]
                for name in ("logs", "exact", "wall_s", "weights_hash")
            }
        except (FileNotFoundError, DamagedFileError, KeyError):
            return False
        content = content_of(experiment, self.precision)
        if not self._made_on:
            self._made_on = {**describe(), "host": platform.node()}
        made = {"finished": _now(), **self._made_on}
        cell = {"key": key, "seed": seed, **content, "made": made, **values}
        self.put(key, seed, seal(cell))
        for path in record.parent.glob(f"*seed_{seed}.*"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # other seeds run
            record.parent.rmdir()
        return True

    def put(self, key: str, seed: int, text: str) -> None:
        """Writes the file of a finished run in one move.

        Args:
            key: the cell.
            seed: the seed.
            text: what `read` returned, of this store or another.

        Raises:
            OSError: if it cannot be written; nothing is left of it.
        """
        path = self.path(key, seed)
        path.parent.mkdir(exist_ok=True)
        for left in path.parent.glob(f"saving_*{path.name}"):
            left.unlink(missing_ok=True)  # of a writer that was killed
        write_whole(path, text.encode(), _writer())

    def read(self, key: str, seed: int) -> str:
        """Returns the file of a finished run as it is."""
        return self.path(key, seed).read_text()

    def load(self, key: str, seed: int) -> Finished | None:
        """Reads a finished run.

        Returns:
            The run; None if it is not finished, or its file is damaged: it is
            then set aside, with a warning, and will be run again.
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
        """Sets a damaged file aside, unless it is being made again."""
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
        """Yields key and seed of runs that have begun and are not finished."""
        for folder in sorted((self.folder / "running").iterdir()):
            names = [path.name for path in folder.glob("seed_*.*")]
            for seed in sorted({int(n[5:].split(".")[0]) for n in names}):
                yield folder.name, seed

    def damaged(self) -> list[Path]:
        """Returns the files that were set aside."""
        return sorted((self.folder / "cells").glob("*/*.damaged*"))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _writer() -> str:
    """Returns what no other writer has, on any host."""
    return f"{platform.node()}_{os.getpid()}_{time.monotonic_ns()}_"
