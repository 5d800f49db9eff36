"""A tiny sweep that is driven, disturbed and read in trials of faults."""

import dataclasses
import errno
import itertools
import os
import sys
from pathlib import Path
from typing import Any

from tests.tiny_runs import TINY
from tiny_gpt.evaluate import EvaluationConfig
from tiny_gpt.experiment import TrainConfig
from tiny_gpt.files import unseal
from tiny_gpt.sweep.grid import Success, Sweep
from tiny_gpt.sweep.pool import in_pool
from tiny_gpt.sweep.run import run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.work import in_process

FULL = 28  # exit code of a driver that says that the disk is full
DAMAGES = ("flip", "cut", "empty", "another's")

BASE = dataclasses.replace(
    TINY,
    train=TrainConfig(num_epochs=200, batch_size=6, learning_rate=0.01),
    evaluation=EvaluationConfig(
        "cached", 8, 1, num_fresh_sentences=0, num_loss_windows=0
    ),
    pivots=(),
)
SWEEP = Sweep(
    name="faults",
    bases={"real": BASE},
    axes={"sparse_pairs": [4, 7, 10]},
    seeds=(1, 2, 3, 4),
    success=Success("A->C"),
)
NUM_RUNS = len(SWEEP.cells) * len(SWEEP.seeds)


def drive(folder: Path, path: str, num_writes: int | None = None) -> None:
    """Runs the sweep in this process, as the command line does.

    Args:
        folder: of the store.
        path: "threads" or "processes".
        num_writes: of this process, before the disk is full; None for all.
    """
    if num_writes is not None:
        left, sync = itertools.count(-num_writes), os.fsync

        def fill(file: Any) -> None:
            if next(left) >= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(file)

        setattr(os, "fsync", fill)  # noqa: B010
    executor = in_pool if path == "processes" else in_process
    try:
        run_sweep(SWEEP, Store(folder), executor)
    except (OSError, ValueError) as error:
        sys.exit(FULL if os.strerror(errno.ENOSPC) in str(error) else 1)


def damage(path: Path, how: str) -> None:
    """Damages a finished file; "another's" needs a second one beside it."""
    data = bytearray(path.read_bytes())
    if how == "flip":
        data[len(data) // 2] ^= 1
    others = sorted(set(path.parent.parent.glob("*/*.json")) - {path})
    if how == "another's" and others:
        data = bytearray(others[0].read_bytes())
    elif how in ("cut", "another's"):
        data = data[: len(data) // 2]
    path.write_bytes(b"" if how == "empty" else data)


def contents(store: Store) -> dict[str, Any]:
    """Returns what does not depend on when and where a run was made."""
    found = {}
    for path in (store.folder / "cells").glob("*/*.json"):
        cell = unseal(path)
        del cell["made"], cell["wall_s"]
        found[str(path.relative_to(store.folder))] = cell
    return found


def children_of(pid: int) -> list[int]:
    """Returns the processes that a process has started (Linux)."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, path.read_text().split())
        except OSError:  # it has ended
            continue
    return found
