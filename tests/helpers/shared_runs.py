"""Runs that several files of tests look at; each process trains them once."""

import functools
import tempfile
from pathlib import Path

from benchmarks.tiny_runs import TINY
from tiny_gpt.train import run


@functools.cache
def _recorded(seed):
    folder = tempfile.TemporaryDirectory()
    return folder, run(TINY, seed, Path(folder.name) / f"seed_{seed}")


def tiny_run(seed=1):
    """Returns a run of `TINY` through `fit`, which nobody may change."""
    return _recorded(seed)[1]


def tiny_folder(seed=1):
    """Returns the folder with the record of `tiny_run`, the same."""
    return Path(_recorded(seed)[0].name)
