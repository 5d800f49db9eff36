"""The right to work at one run: a lock of the system, which ends with death."""

from pathlib import Path
from typing import Any


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


def take_lease(path: Path) -> Lease | None:
    """Takes a lease; None if somebody has it, in this process or another.

    Args:
        path: file of the lock; it stays when the lease is given back.

    Raises:
        OSError: if the file cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return Lease(lock)


def is_leased(path: Path) -> bool:
    """Tells whether somebody has a lease."""
    if not path.exists():
        return False
    lease = take_lease(path)
    if lease is not None:
        lease.release()
    return lease is None
