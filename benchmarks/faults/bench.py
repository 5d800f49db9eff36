"""The bench of one path: a reference, folders of trials, and their rows."""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.faults.commands import Commands
from benchmarks.faults.draw import steps_of_run
from benchmarks.faults.fault import Ended, Fault, Step
from benchmarks.faults.folder import read_result
from benchmarks.faults.miniature import OUT, SEEDS, STORE, keys


class Bench:
    """What all trials of one path need.

    Args:
        path: one of `PATHS`.
        commands: starts commands.
        folder: where folders of trials are made.

    Attributes:
        reference: results of a command that was never stopped.
        steps: steps of that command.
        last: how the last command of `_finish` ended.
        rows: one dictionary per fault, with the keys `COLUMNS`.
    """

    def __init__(self, path: str, commands: Commands, folder: Path):
        self.path, self._commands, self._folder = path, commands, folder
        self.rows: list[dict[str, Any]] = []
        self._whole = self._new_folder()
        self._keys = keys()
        ended = self.last = commands.run(path, self._whole)
        if ended.code:
            raise RuntimeError(f"{path} does not run:\n{ended.output}")
        self.reference = read_result(self._whole)
        self.steps = ended.steps
        # Where a trial starts: with all runs to do, or one of them.
        self._starts: list[tuple[str | None, tuple[Step, ...]]] = [
            (None, ended.steps)
        ]
        if path.startswith("fit"):  # slow
            self._starts = [
                (key, steps_of_run(ended.steps, key[:8])) for key in self._keys
            ]

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))

    def _run(self, folder: Path, fault: Fault | None = None) -> Ended:
        return self._commands.run(self.path, folder, fault)

    def _copy(self, whole: Path) -> Path:
        return shutil.copytree(whole, self._new_folder(), dirs_exist_ok=True)

    def _start_folder(self, key: str | None) -> Path:
        """Returns a new folder, or one in which only one run is unfinished.

        Args:
            key: cell of that run; its seed is the last.
        """
        from tiny_gpt.runtime.results_folder import (
            read_manifest,
            write_manifest,
        )

        if key is None:
            return self._new_folder()
        folder = self._copy(self._whole)
        out = folder / OUT
        manifest = read_manifest(out)
        for path in out.iterdir():
            path.unlink()
        for path in (folder / STORE / "cells" / key).glob(f"*_{SEEDS[-1]}.*"):
            path.unlink()
        claimed = {name: manifest[name] for name in ("format", "config")}
        write_manifest(out, {**claimed, "status": "unfinished"})
        return folder

    def _finish(self, folder: Path) -> bool:
        """Starts the command until it ends, and compares its results."""
        ended = self.last = self._run(folder)
        is_same = self._is_same(folder)
        if ended.code or not is_same:
            sys.stderr.write(f"{folder} {ended.code}\n{ended.output}\n")
        return is_same and ended.code == 0

    def _is_same(self, folder: Path, out: str = OUT) -> bool:
        """Compares results with those of a command that was never stopped."""
        try:
            return read_result(folder, out) == self.reference
        except (OSError, ValueError, KeyError):
            return False

    def _add(
        self,
        kind: str,
        fault: Fault,
        seed: int,
        survived: bool,
        detected: bool | None,
        start: float,
    ) -> bool:
        """Adds a row; returns whether nothing is lost."""
        is_lost = not survived or detected is False
        self.rows.append(
            {
                "path": self.path,
                "kind": kind,
                "phase": fault.phase,
                "point": fault.name,
                "seed": seed,
                "survived": survived,
                "detected": detected,
                "lost": is_lost,
                "seconds": round(time.perf_counter() - start, 1),
            }
        )
        sys.stderr.write(f"{self.rows[-1]}\n")
        return not is_lost


def count_epochs(*commands: Ended) -> int:
    """Returns how many epochs some commands have trained."""
    return sum(
        (step.phase, step.name) == ("evaluating", "epoch")
        for ended in commands
        for step in ended.steps
    )
