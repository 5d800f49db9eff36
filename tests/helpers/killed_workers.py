"""Killed processes, and the processes that they leave behind."""

import os
import signal
import time
from pathlib import Path

PATIENCE_S = 900.0


class Fatal:
    """Kills the process that unpickles it."""

    def __reduce__(self):
        return die, ()


class Telling:
    """Writes how many threads JAX will have where it is unpickled.

    Args:
        path: the file.
    """

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return tell_threads, (self._path,)


def tell_threads(path):
    Path(path).write_text(os.environ["NPROC"])


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def wait_until(condition, seconds=PATIENCE_S):
    """Waits for a condition, and returns it; fails if it does not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not in {seconds} s: {condition}")


def children_of(pid):
    """Returns the processes that a process has started, and they, in turn."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            # The name, in brackets, may hold anything.
            state, parent = stat.rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state != "Z":
            parents[int(folder.name)] = int(parent)
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= new
    return found


def is_alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""
