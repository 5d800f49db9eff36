"""A tiny sweep that trials of faults drive, disturb and read."""

import dataclasses
import errno
import itertools
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.tiny_runs import TINY
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import TrainConfig
from tiny_gpt.runtime.files import unseal
from tiny_gpt.sweep.grid import Success, Sweep
from tiny_gpt.sweep.processes import Pool
from tiny_gpt.sweep.run import run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.threads import in_process

FULL = 28  # exit code of a driver that says that the disk is full
DAMAGES = ("flip", "cut", "empty", "another's")

BASE = dataclasses.replace(
    TINY,
    train=TrainConfig(num_epochs=200, batch_size=6, learning_rate=0.01),
    evaluation=EvaluationConfig(
        "cached", 8, 1, num_fresh_sentences=0, num_loss_windows=0
    ),
    task=dataclasses.replace(TINY.task, pivots=()),
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
    """Runs the sweep in this process.

    Args:
        folder: of the store.
        path: "threads" or "processes".
        num_writes: writes of this process until the disk is full; None for no
            full disk.
    """
    if num_writes is not None:
        left, sync = itertools.count(-num_writes), os.fsync

        def fill(file: Any) -> None:
            if next(left) >= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(file)

        setattr(os, "fsync", fill)  # noqa: B010
    try:
        with Pool() as pool:
            executor = pool if path == "processes" else in_process
            run_sweep(SWEEP, Store(folder), executor)
    except (OSError, ValueError) as error:
        sys.exit(FULL if os.strerror(errno.ENOSPC) in str(error) else 1)


def damage(path: Path, how: str) -> str:
    """Damages a finished file.

    Args:
        path: the file.
        how: one of `DAMAGES`; "another's" cuts the file if no other run is
            finished.

    Returns:
        A description of the damage.
    """
    data = path.read_bytes()
    others = sorted(set(path.parent.parent.glob("*/*.json")) - {path})
    if how == "another's" and not others:
        how = "cut"
    middle = len(data) // 2
    path.write_bytes(
        {
            "flip": lambda: (
                b"%b%c%b"
                % (data[:middle], data[middle] ^ 1, data[middle + 1 :])
            ),
            "cut": lambda: data[:middle],
            "empty": lambda: b"",
            "another's": lambda: others[0].read_bytes(),
        }[how]()
    )
    return how


def contents(folder: Path) -> dict[str, Any]:
    """Returns the content of a store, without when and where runs were made."""
    found = {}
    for path in (folder / "cells").glob("*/*.json"):
        cell = unseal(path)
        del cell["made"], cell["wall_s"]
        found[str(path.relative_to(folder))] = cell
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
