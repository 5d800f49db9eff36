"""Trials of two commands at once, which share a store."""

import dataclasses
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.faults.bench import Bench, count_epochs
from benchmarks.faults.commands import SIGNALS, end_all
from benchmarks.faults.draw import KEPT, draw_fault, early_steps
from benchmarks.faults.fault import Ended, Fault
from benchmarks.faults.folder import damage, find_half_written
from benchmarks.faults.miniature import NUM_EPOCHS, NUM_RUNS, OUT, STORE

MOST_HELD_S = 1.0


class Sharing(Bench):
    """Starts two commands at once; both survive, or one is killed."""

    def race(self, phase: str, seed: int, out: str = OUT) -> bool:
        """Starts a second command when the first is in a phase, or at once.

        Both must end well, with the same bytes, and no epoch trained twice.

        Args:
            phase: one of `PHASES`; "" for at once.
            seed: of the row.
            out: name of the results folder of the second.

        Returns:
            Whether nothing is lost, as all trials return.
        """
        key, _ = self._starts[0]
        folder = self._start_folder(key)
        num_runs = NUM_RUNS if key is None else 1
        where = "one folder" if out == OUT else "two folders"
        fault = Fault("", phase, f"two at once, {where}")
        return self._race(folder, num_runs, fault, seed, out)

    def race_to_mend(self, how: str, seed: int) -> bool:
        """Starts two commands at once when the file of a run is damaged.

        Args:
            how: one of `DAMAGES`.
            seed: chooses the file.
        """
        folder = self._copy(self._whole)
        files = sorted(folder.glob(f"{STORE}/cells/*/*.json"))
        damage(files[seed % len(files)], how)
        fault = Fault("", "", f"two at once, a run is damaged, {how}")
        return self._race(folder, 1, fault, seed)

    def _race(
        self,
        folder: Path,
        num_runs: int,
        fault: Fault,
        seed: int,
        out: str = OUT,
    ) -> bool:
        start = time.perf_counter()
        first = self._commands.start(self.path, folder)
        if fault.phase:
            first.wait_for(fault.phase)
        second = self._commands.start(self.path, folder, out=out)
        ended = end_all([first, second])
        survived = (
            [e.code for e in ended] == [0, 0]
            and self._is_same(folder)
            and self._is_same(folder, out)
            and _num_kept(ended) == num_runs
            and count_epochs(*ended) == num_runs * NUM_EPOCHS
        )
        if not survived:
            _say(ended)
        return self._add("race", fault, seed, survived, None, start)

    def end_one(
        self, action: str, phase: str, seed: int, moment: str = "*"
    ) -> bool:
        """Kills or stops one of two commands, while the other goes on.

        The other must end well, with the same bytes. It continues from what
        was saved: of each run, one epoch at most is trained again. If the
        other has always ended before, a third command tidies.
        """
        rng = np.random.default_rng(seed)
        for _ in range(4):  # until it comes before the other's end
            start = time.perf_counter()
            key, steps = self._starts[rng.integers(len(self._starts))]
            if not moment.rpartition(" ")[2].startswith(OUT):
                steps = early_steps(steps)
            fault = draw_fault(steps, action, phase, rng, moment)
            if phase == "writing" and "seed_" not in str(fault.name):
                held_s = rng.uniform(0, MOST_HELD_S)  # the other goes on
                fault = dataclasses.replace(fault, delay_s=held_s)
            folder = self._start_folder(key)
            first = self._commands.start(self.path, folder, fault)
            first.wait_for("compiling")
            second = self._commands.start(self.path, folder)
            ended = end_all([first, second])
            ends_s = [each.steps[-1].at_s for each in ended]
            if ended[0].code != 0 and ends_s[0] < ends_s[1]:
                break
        else:
            ended.append(self._commands.run(self.path, folder))
        is_right, detected = ended[0].code == -signal.SIGKILL, None
        if action in SIGNALS:
            is_right = detected = ended[0].was_interrupted
        num_runs = NUM_RUNS if key is None else 1
        survived = (
            is_right
            and [each.code for each in ended[1:]] == [0] * (len(ended) - 1)
            and not find_half_written(folder)
            and self._is_same(folder)
            and _num_kept(ended) <= num_runs
            and 0 <= count_epochs(*ended) - num_runs * NUM_EPOCHS <= num_runs
        )
        if not survived:
            sys.stderr.write(f"{fault} {folder}\n")
            _say(ended)
        how = "killed" if action == "kill" else action
        return self._add(
            f"one of two {how}", fault, seed, survived, detected, start
        )


def _num_kept(commands: list[Ended]) -> int:
    """Returns how many runs some commands have put into the store.

    A run that was put there twice counts as more than all.
    """
    kept = Counter(
        step.name
        for ended in commands
        for step in ended.steps
        if step.matches("writing", KEPT)
    )
    return NUM_RUNS + 1 if max(kept.values(), default=0) > 1 else len(kept)


def _say(commands: list[Ended]) -> None:
    for ended in commands:
        sys.stderr.write(f"{ended.code} {ended.output}\n")
