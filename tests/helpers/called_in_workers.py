"""Functions that tests call in workers."""

import os
import signal
import time
from pathlib import Path

from tiny_gpt.runtime.processes import Stopped, is_told_to_stop


def die_once(path):
    """Kills the worker that calls it first; then returns the worker's id."""
    try:
        Path(path).touch(exist_ok=False)
    except FileExistsError:
        return os.getpid()
    os.kill(os.getpid(), signal.SIGKILL)


def fail_or_wait(path):
    """Fails without a path; else waits to be told to stop, and writes it."""
    if path is None:
        raise ArithmeticError("it diverged")
    while not is_told_to_stop():
        time.sleep(0.02)
    Path(path).touch()
    raise Stopped


def cores_of(_):
    """Returns the cores that the worker may use, and its `NPROC`."""
    time.sleep(1)  # so that each worker gets one
    return os.sched_getaffinity(0), os.environ["NPROC"]
