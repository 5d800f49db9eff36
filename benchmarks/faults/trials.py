"""Trials of one path: faults are injected, and results compared."""

import dataclasses
import functools
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.commands import SIGNALS, Commands
from benchmarks.faults.draw import draw_fault, steps_of_last_seed
from benchmarks.faults.fault import PHASES, Ended, Fault, Step
from benchmarks.faults.folder import (
    damage,
    find_half_written,
    read_result,
)
from benchmarks.faults.miniature import CONDITIONS, SEEDS


class Trials:
    """Injects faults into the command of one path.

    Args:
        path: one of `PATHS`.
        commands: starts commands.
        folder: where results folders are made.

    Attributes:
        reference: results of a command that was never stopped.
        steps: steps of that command.
        num_epochs: epochs that the last command trained.
        rows: one dictionary per fault, with the keys `COLUMNS`.
    """

    def __init__(self, path: str, commands: Commands, folder: Path):
        self.path, self._commands, self._folder = path, commands, folder
        self.rows: list[dict[str, Any]] = []
        self._whole = folder / "reference"
        ended = commands.run(path, self._whole)
        if ended.code:
            raise RuntimeError(f"{path} does not run:\n{ended.output}")
        self.reference = read_result(self._whole)
        self.steps, self.num_epochs = ended.steps, 0
        self._starts: list[tuple[str | None, tuple[Step, ...]]] = [
            (None, ended.steps)
        ]
        if path.startswith("fit"):  # slow, so only one run is left to do
            self._starts = [
                (self._run_of(condition), steps_of_last_seed(ended.steps, i))
                for i, condition in enumerate(CONDITIONS)
            ]

    def _run_of(self, condition: str) -> str:
        return f"runs/{condition}/seed_{SEEDS[-1]}"

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder)) / "results"

    def _run(self, folder: Path, fault: Fault | None = None) -> Ended:
        return self._commands.run(self.path, folder, fault)

    def _start_folder(self, run: str | None) -> Path:
        """Returns a new folder, or one in which only one run is unfinished."""
        from tiny_gpt.runtime.results_folder import (
            read_manifest,
            write_manifest,
        )

        folder = self._new_folder()
        if run is None:
            return folder
        shutil.copytree(self._whole, folder)
        manifest = read_manifest(folder)
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()
        for path in folder.glob(f"{run}.*"):
            path.unlink()
        claimed = {name: manifest[name] for name in ("format", "config")}
        write_manifest(folder, {**claimed, "status": "unfinished"})
        return folder

    def _finish(self, folder: Path) -> bool:
        """Starts the command until it ends, and compares its results."""
        ended = self._run(folder)
        self.num_epochs = sum(
            (step.phase, step.name) == ("evaluating", "epoch")
            for step in ended.steps
        )
        try:
            is_same = read_result(folder) == self.reference
        except (OSError, ValueError):
            is_same = False
        if ended.code or not is_same:
            sys.stderr.write(f"{folder} {ended.code}\n{ended.output}\n")
        return is_same and ended.code == 0

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

    def signal(
        self, action: str, phase: str, seed: int, moment: str = ""
    ) -> bool:
        """Kills or stops the command, and starts it again.

        Returns:
            Whether nothing is lost, as all methods below return.
        """
        rng = np.random.default_rng(seed)
        for _ in range(5):  # until it comes before the end
            start = time.perf_counter()
            run, steps = self._starts[rng.integers(len(self._starts))]
            fault = draw_fault(steps, action, phase, rng, moment)
            folder = self._start_folder(run)
            ended = self._run(folder, fault)
            if ended.code != 0:
                break
        detected = None
        if action in SIGNALS:
            detected = ended.was_interrupted
        is_whole = not find_half_written(folder)
        if action == "kill":
            is_whole &= ended.code == -signal.SIGKILL
            if rng.random() < 0.25:
                again = PHASES[rng.integers(1, len(PHASES))]
                self._run(folder, Fault("kill", again))
                is_whole &= not find_half_written(folder)
                point = f"{fault.name or 'any'}, then in {again}"
                fault = dataclasses.replace(fault, name=point)
        survived = is_whole and self._finish(folder)
        if not survived or detected is False:
            sys.stderr.write(f"{fault} {folder} {ended.code} {ended.output}\n")
        kind = "killed" if action == "kill" else action
        return self._add(kind, fault, seed, survived, detected, start)

    def error(self, error: str, name: str, seed: int) -> bool:
        """Lets a write fail, at any of its occurrences.

        Args:
            error: name of the error, e.g. "ENOSPC".
            name: the write: a moment and the end of a file's name.
            seed: chooses the occurrence.
        """
        start = time.perf_counter()
        rng = np.random.default_rng(seed)
        run, steps = self._starts[rng.integers(len(self._starts))]
        moment, _, end = name.rpartition(" ")
        chosen = [
            step
            for step in steps
            if step.name.startswith(moment) and step.name.endswith(end)
        ]
        step = chosen[rng.integers(len(chosen))]
        occurrence = [s for s in steps if s.name == step.name].index(step)
        fault = Fault(error, "writing", step.name, occurrence)
        kinds = {"ENOSPC": "full disk", "EACCES": "no permission"}
        return self._refuse(kinds[error], fault, seed, run, start)

    def limit(self, seed: int, largest_file: int) -> bool:
        """Makes every write fail that would make a file too large."""
        start = time.perf_counter()
        run, _ = self._starts[seed % len(self._starts)]
        name = f"files of {largest_file} bytes at most"
        fault = Fault("", "writing", name, largest_file=largest_file)
        return self._refuse("full disk", fault, seed, run, start)

    def _refuse(
        self,
        kind: str,
        fault: Fault,
        seed: int,
        run: str | None,
        start: float,
    ) -> bool:
        folder = self._start_folder(run)
        ended = self._run(folder, fault)
        detected = ended.was_refused
        is_whole = not folder.exists() or not find_half_written(folder)
        survived = is_whole and self._finish(folder)
        if not survived or not detected:
            sys.stderr.write(f"{fault} {folder} {ended.code} {ended.output}\n")
        return self._add(kind, fault, seed, survived, detected, start)

    def no_folder(self, seed: int) -> bool:
        """Puts a file where the folder should be, then takes it away."""
        start = time.perf_counter()
        folder = self._new_folder()
        folder.write_text("")
        ended = self._run(folder)
        folder.unlink()
        detected, survived = ended.was_refused, self._finish(folder)
        fault = Fault("", "writing", "a file in place of the folder")
        return self._add(
            "no permission", fault, seed, survived, detected, start
        )

    def damage(
        self, names: Sequence[str], how: str, is_finished: bool, seed: int
    ) -> bool:
        """Damages files of a command.

        Args:
            names: paths inside the results folder; "run" stands for a run.
            how: one of `DAMAGES`.
            is_finished: whether the command had ended; if not, the run has
                saved three times.
            seed: of the row.
        """
        start = time.perf_counter()
        run, folder = self._run_of(CONDITIONS[0]), self._new_folder()
        fault = Fault("", "", f"{' and '.join(names)}, {how}")
        names = [name.replace("run", run) for name in names]
        shutil.copytree(
            self._whole if is_finished else self._midway_folder, folder
        )
        for name in names:
            damage(folder / name, how)
        if names[0].endswith(".h5"):  # no command reads them
            detected: bool | None = self._commands.load([folder]).was_refused
            for path in folder.glob(f"{run}.*"):
                path.unlink()
            survived = self._finish(folder)
        else:
            survived = self._finish(folder)
            detected = all(self._is_right(folder, name) for name in names)
            if names == [f"{run}.previous.checkpoint"]:
                detected = None  # nobody reads it
        kind = "damaged, finished" if is_finished else "damaged, midway"
        return self._add(kind, fault, seed, survived, detected, start)

    def _is_right(self, folder: Path, name: str) -> bool:
        """Tells whether a damaged file was set aside or written again."""
        path, whole = folder / name, self._whole / name
        if list(path.parent.glob(f"{path.name}.damaged*")):
            return True
        return whole.exists() and path.read_bytes() == whole.read_bytes()

    @functools.cached_property
    def _midway_folder(self) -> Path:
        run = self._run_of(CONDITIONS[0])
        is_alone = self.path.startswith("fit")
        folder = self._start_folder(run if is_alone else None)
        name = f"renamed {Path(run).name}.checkpoint"
        self._run(folder, Fault("kill", "writing", name, 2))
        return folder

    def race(self, phase: str, seed: int) -> bool:
        """Starts a second command when the first is in a phase, or at once."""
        start = time.perf_counter()
        folder = self._start_folder(self._starts[0][0])
        first = self._commands.start(self.path, folder)
        if phase:
            first.wait_for(phase)
        second = self._commands.start(self.path, folder)
        ended = sorted((first.end(), second.end()), key=lambda e: e.code)
        detected = (
            [e.code for e in ended] == [0, 2]
            and ended[1].was_refused
            and "another process is using" in ended[1].output
        )
        survived = read_result(folder) == self.reference
        fault = Fault("", phase, "two at once")
        return self._add("race", fault, seed, survived, detected, start)

    def repeat(self, seed: int) -> bool:
        """Runs the command again, undisturbed."""
        start = time.perf_counter()
        survived = self._finish(self._new_folder())
        return self._add("repeated", Fault(), seed, survived, None, start)

    def load_all(self, seed: int) -> bool:
        """Loads the saved weights of every run of every finished folder."""
        start = time.perf_counter()
        folders = [
            path
            for path in self._folder.glob("*/results")
            if (path / "metrics.csv").exists()
        ]
        is_right = True
        for i in range(0, len(folders), 8):
            ended = self._commands.load(folders[i : i + 8])
            if ended.code:
                sys.stderr.write(f"{ended.code} {ended.output}\n")
            is_right &= ended.code == 0
        fault = Fault("", "", f"all of {len(folders)} folders")
        return self._add("weights loaded", fault, seed, is_right, None, start)
