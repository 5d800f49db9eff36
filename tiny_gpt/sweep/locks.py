"""Locks of a store: the mark of its folder, and leases on runs."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from tiny_gpt.runtime.checks import check_installed
from tiny_gpt.runtime.files import write_whole
from tiny_gpt.sweep.cell import FORMAT
from tiny_gpt.sweep.remote_store import writer

MARK = "store.json"
PARTS = ("cells", "running", "leases", "measured")


def reserve_folder(folder: Path) -> None:
    """Makes a folder a store, if it is not one.

    The folder must be new or empty, or have the mark of a store. Any number
    of processes may call this at the same time.

    Raises:
        ValueError: if it holds something else, or a store of another format.
        OSError: if it cannot be written.
    """
    mark, own = folder / MARK, {"format": FORMAT}
    if not mark.exists():
        _refuse_others(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # Not found: somebody was first, and has tidied.
        with contextlib.suppress(FileNotFoundError):
            write_whole(mark, json.dumps(own).encode(), writer())
    for left in folder.glob(f"saving_*_{MARK}"):
        left.unlink(missing_ok=True)
    try:
        found = json.loads(mark.read_text())
    except ValueError:
        found = None
    if found != own:
        is_known = isinstance(found, dict) and "format" in found
        raise ValueError(
            "A store is read and continued by the version that wrote it; "
            "choose another folder (--store), or, if it is of this version, "
            f"remove its {MARK}. Received: folder={folder}, of format "
            f"{found['format'] if is_known else 'unreadable'}, now {FORMAT}"
        )
    for part in PARTS:
        (folder / part).mkdir(exist_ok=True)


def _refuse_others(folder: Path) -> None:
    others = [
        name
        for name in names_in(folder)
        if name not in PARTS and not name.startswith("saving_")
    ]
    if others and MARK not in others:
        raise ValueError(
            f"A store is a new or empty folder, or one with {MARK}. "
            f"Received: folder={folder}, which holds other files: "
            f"{', '.join(sorted(others)[:3])}"
        )


def names_in(folder: Path) -> list[str]:
    """Returns the names in a folder; none if there is no such folder."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


class Lease:
    """The right to work on a run; the system takes it back when a process dies.

    Args:
        lock: a held lock.
    """

    def __init__(self, lock: Any):
        self._lock = lock

    def release(self) -> None:
        """Gives the lease back."""
        self._lock.release()


def take_lease(path: Path) -> Lease | None:
    """Takes a lease; None if this or another process has it.

    Args:
        path: file of the lock; it stays when the lease is given back.

    Raises:
        OSError: if the file cannot be written.
    """
    check_installed("filelock")
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return Lease(lock)


def is_leased(path: Path) -> bool:
    """Tells whether any process has a lease."""
    if not path.exists():
        return False
    lease = take_lease(path)
    if lease is not None:
        lease.release()
    return lease is None
