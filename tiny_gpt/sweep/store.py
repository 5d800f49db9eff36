"""The store of all runs: found by content, safe for many writers.

    store.json              description of the store
    cells/KEY/seed_3.json   a finished run, one file, written in one move
    cells/KEY/seed_3.weights.h5   its trained weights, where they are kept
    cells/KEY/seed_3_weights/     weights of its epochs, where they are kept
    measured/KEY_seed_3.json      numbers measured on trained models
    running/KEY_seed_3.*    a run that is not finished (`Record`)
    leases/KEY_seed_3.lock  held by the process that works on the run

KEY is the SHA-256 of all that the numbers of a run depend on, except its seed.
Commands therefore share the runs that they have in common.
"""

import os
import platform
import shutil
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.commits import current_commit
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
from tiny_gpt.sweep.remote_store import WEIGHTS, Shared, writer


class Store:
    """Runs of any commands, in a folder.

    Args:
        folder: made if missing; a new or empty one, or a store.
        precision: see `environment.set_precision`; part of each key, like the
            backend.
        shared: URL at which machines exchange finished runs (`Shared`); None
            for none. Leases are of this folder alone, so two machines may
            make one run twice, with the same content. Weights of epochs are
            not exchanged.
        keeps_weights: whether the trained weights of runs are kept. A run
            without them is then not finished, and is made again.
        keeps_epochs: whether the weights of epochs are kept, at events and in
            between (`train.run`); as `keeps_weights`.
        num_replicas: devices that divide a batch; part of the key of runs
            whose devices clip their own gradients.

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
        keeps_epochs: bool = False,
        num_replicas: int = 1,
    ):
        check_choice("precision", precision, PRECISIONS)
        self.folder, self.precision = Path(folder), precision
        self.keeps_weights, self.keeps_epochs = keeps_weights, keeps_epochs
        self.num_replicas = num_replicas
        self._made_on: dict[str, Any] = {}
        try:
            reserve_folder(self.folder)
        except OSError as error:
            raise ValueError(
                "The folder of a store must be writable. "
                f"Received: folder={folder} ({error.strerror})"
            ) from error
        self.shared = None if shared is None else Shared(shared)

    @property
    def arguments(self) -> tuple[Path, str, str | None, bool, bool, int]:
        """Arguments of the same store, for another process."""
        return (
            self.folder.resolve(),
            self.precision,
            None if self.shared is None else self.shared.url,
            self.keeps_weights,
            self.keeps_epochs,
            self.num_replicas,
        )

    def key(self, experiment: Experiment) -> str:
        """Returns the content hash of an experiment (`cell.key_of`)."""
        return key_of(self._content(experiment))

    def _content(self, experiment: Experiment) -> dict[str, Any]:
        return content_of(experiment, self.precision, self.num_replicas)

    def path(self, key: str, seed: int) -> Path:
        """Returns the file of a finished run."""
        return self.folder / "cells" / _name(key) / f"seed_{seed}.json"

    def weights(self, key: str, seed: int) -> Path:
        """Returns the file of the weights of a finished run."""
        return self.path(key, seed).with_suffix(WEIGHTS)

    def epochs(self, key: str, seed: int) -> Path:
        """Returns the folder of the weights of epochs of a finished run."""
        return self.path(key, seed).with_name(f"seed_{seed}_weights")

    def is_finished(self, key: str, seed: int) -> bool:
        """Tells whether a run is there, with its weights if they are kept."""
        needed = [self.path(key, seed)]
        if self.keeps_weights:
            needed.append(self.weights(key, seed))
        if self.keeps_epochs:
            needed.append(self.epochs(key, seed))
        return all(path.exists() for path in needed)

    def record(self, key: str, seed: int) -> Path:
        """Returns the path of the record of a run, without suffix."""
        # No folder of a cell, which nobody could remove while others write.
        return self.folder / "running" / f"{_name(key)}_seed_{seed}"

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
        if self.keeps_weights or self.keeps_epochs:
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
        return self.folder / "leases" / f"{_name(key)}_seed_{seed}.lock"

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
        content = self._content(experiment)
        if not self._made_on:
            self._made_on = {
                **describe_environment(),
                "host": platform.node(),
                "commit": current_commit(),
            }
        made = {"finished": _now(), **self._made_on}
        cell = {"key": key, "seed": seed, **content, "made": made, **values}
        self.path(key, seed).parent.mkdir(exist_ok=True)
        if self.keeps_weights:
            weights = self.weights(key, seed)
            with suppress(FileNotFoundError):  # moved by one who was killed
                os.replace(f"{record}.weights.h5", weights)
        if self.keeps_epochs and (epochs := Path(f"{record}_weights")).exists():
            shutil.rmtree(self.epochs(key, seed), ignore_errors=True)
            os.replace(epochs, self.epochs(key, seed))
        self.put(key, seed, seal(cell))
        self.clear(key, seed)
        return True

    def clear(self, key: str, seed: int) -> None:
        """Removes the leftovers of a finished run and of killed writers.

        For the holder of the lease.
        """
        path, record = self.path(key, seed), self.record(key, seed)
        for left in (
            *path.parent.glob(f"saving_*_{path.name}"),
            *record.parent.glob(f"*{record.name}.*"),
        ):
            left.unlink(missing_ok=True)
        shutil.rmtree(f"{record}_weights", ignore_errors=True)

    def put(self, key: str, seed: int, text: str) -> None:
        """Writes the file of a finished run in one move.

        Raises:
            OSError: if it cannot be written; nothing is left of it.
        """
        path = self.path(key, seed)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, text.encode(), writer())

    def receive(
        self, key: str, seed: int, data: bytes, weights: bytes | None = None
    ) -> None:
        """Writes the file of a run that was finished elsewhere.

        For the holder of the lease.

        Args:
            key: the cell.
            seed: its seed.
            data: the file of the run.
            weights: that of its weights, if they are kept.

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
            if weights is not None:
                write_whole(self.weights(key, seed), weights, writer())
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)
        self.clear(key, seed)

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


def _name(key: str) -> str:
    """Returns a key, which is the name of a file in the store.

    Raises:
        ValueError: if it could lead elsewhere.
    """
    if not (key.isascii() and key.isalnum()):
        raise ValueError(
            f"A key has letters and digits alone. Received: key={key!r}"
        )
    return key


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
