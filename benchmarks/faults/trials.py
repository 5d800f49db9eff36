"""Trials of one path: faults are injected, and results compared."""

import dataclasses
import signal
import sys
import time

import numpy as np

from benchmarks.faults.bench import count_epochs
from benchmarks.faults.commands import SIGNALS
from benchmarks.faults.damages import Damages
from benchmarks.faults.draw import draw_fault, draw_write
from benchmarks.faults.fault import PHASES, Fault
from benchmarks.faults.folder import find_half_written
from benchmarks.faults.miniature import NUM_EPOCHS, NUM_RUNS, STORE
from benchmarks.faults.sharing import Sharing

ERRORS = {"ENOSPC": "full disk", "EACCES": "no permission"}


class Trials(Sharing, Damages):
    """Injects faults into the command of one path; see `Bench`."""

    def signal(
        self, action: str, phase: str, seed: int, moment: str = "*"
    ) -> bool:
        """Kills or stops the command, and starts it again.

        Args:
            action: "kill", "SIGINT" or "SIGTERM".
            phase: one of `PHASES`.
            seed: of all draws.
            moment: see `draw_fault`.

        Returns:
            Whether nothing is lost, as all methods below return.
        """
        rng = np.random.default_rng(seed)
        for _ in range(5):  # until it comes before the end
            start = time.perf_counter()
            key, steps = self._starts[rng.integers(len(self._starts))]
            fault = draw_fault(steps, action, phase, rng, moment)
            folder = self._start_folder(key)
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

    def error(self, error: str, moment: str, seed: int) -> bool:
        """Lets a write fail, at any of its occurrences.

        Args:
            error: name of the error, e.g. "ENOSPC".
            moment: pattern of the names of the write.
            seed: chooses the occurrence.
        """
        rng = np.random.default_rng(seed)
        key, steps = self._starts[rng.integers(len(self._starts))]
        fault = draw_write(steps, error, rng, moment)
        return self._refuse(ERRORS[error], fault, seed, key)

    def limit(self, seed: int, largest_file: int) -> bool:
        """Makes every write fail that would make a file too large."""
        key, _ = self._starts[seed % len(self._starts)]
        name = f"files of {largest_file} bytes at most"
        fault = Fault("", "writing", name, largest_file=largest_file)
        return self._refuse("full disk", fault, seed, key)

    def _refuse(
        self, kind: str, fault: Fault, seed: int, key: str | None
    ) -> bool:
        start = time.perf_counter()
        folder = self._start_folder(key)
        ended = self._run(folder, fault)
        detected = ended.was_refused
        is_whole = not find_half_written(folder)
        survived = is_whole and self._finish(folder)
        if not survived or not detected:
            sys.stderr.write(f"{fault} {folder} {ended.code} {ended.output}\n")
        return self._add(kind, fault, seed, survived, detected, start)

    def failure(self, phase: str, seed: int) -> bool:
        """Lets a run raise an exception that is not of the system.

        All others must be made and kept, and none of them again.

        Args:
            phase: "stepping" or "evaluating".
            seed: chooses the moment.
        """
        start = time.perf_counter()
        rng = np.random.default_rng(seed)
        fault = draw_fault(self.steps, "raise", phase, rng)
        folder = self._new_folder()
        ended = self._run(folder, fault)
        detected = ended.code == 1 and "error: 1 run" in ended.output
        num_kept = len(list((folder / STORE).glob("cells/*/*.json")))
        survived = num_kept == NUM_RUNS - 1 and not find_half_written(folder)
        survived &= self._finish(folder)
        survived &= count_epochs(self.last) <= NUM_EPOCHS
        if not survived or not detected:
            sys.stderr.write(f"{fault} {folder} {ended.code} {ended.output}\n")
        return self._add("failed run", fault, seed, survived, detected, start)

    def no_folder(self, name: str, seed: int) -> bool:
        """Puts a file where a folder should be, then takes it away.

        Args:
            name: of the folder, "out" or "store".
            seed: of the row.
        """
        start = time.perf_counter()
        folder = self._new_folder()
        (folder / name).write_text("")
        ended = self._run(folder)
        (folder / name).unlink()
        detected, survived = ended.was_refused, self._finish(folder)
        fault = Fault("", "writing", f"a file in place of {name}")
        return self._add(
            "no permission", fault, seed, survived, detected, start
        )

    def repeat(self, seed: int) -> bool:
        """Runs the command again, undisturbed."""
        start = time.perf_counter()
        survived = self._finish(self._new_folder())
        return self._add("repeated", Fault(), seed, survived, None, start)
