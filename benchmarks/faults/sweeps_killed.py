"""Killed sweeps: what is lost when processes die at random moments.

Question  Is every run there once, with the bytes of a sweep that was never
          disturbed, whatever was killed before?
Run       python -m benchmarks.faults.sweeps_killed docs/runs/sweeps 200
Time      half a minute a trial on 2 CPU cores, shared with other work

A trial drives a tiny sweep into a new store, and one of these happens:

- killed at task: one driver works, or two at once, in threads or in processes.
  A living process, a driver or a worker, is drawn and killed by SIGKILL, one to
  three times. The moments are drawn from the time that an undisturbed driver
  takes from its first finished run on. The remaining drivers continue for a
  moment drawn from the same time, and are killed as well.
- killed while starting: the same, with moments drawn from the time until the
  first finished run. Stores are made, grids planned, programs compiled and
  first records saved meanwhile.
- full disk: from a write that is drawn among the first, every write of a
  driver in threads fails with ENOSPC; the driver must end with that error.
- damaged: a driver in threads is killed at task, and a finished file is cut,
  flipped, emptied, or replaced by that of another run.

Then one driver in this process makes what is missing. A trial has survived if
all of these hold:

- The driver ends without an error.
- Every run has one file, and its content is that of the undisturbed sweep, but
  for the seconds and where it was made.
- The driver itself has made what was missing or damaged, and nothing else.
- Nothing is left over: no record, no half-written file, no lease. A damaged
  file has been set aside, and is the only one.
"""

import dataclasses
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.faults.sweep_driver import (
    BASE,
    DAMAGES,
    FULL,
    NUM_RUNS,
    SWEEP,
    children_of,
    contents,
    damage,
    drive,
)
from tiny_gpt.sweep.leftovers import damaged
from tiny_gpt.sweep.run import run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.threads import in_process

PATHS = ("threads", "processes", "threads beside processes")
EVENTS = ("killed at work", "killed while starting", "full disk", "damaged")
MOST_KILLS = 3
MOST_WRITES = 12  # before the disk is full; a driver makes more
PATIENCE_S = 900.0  # for a driver that starts


class Trials:
    """Kills drivers and workers.

    Args:
        folder: where stores are made.

    Attributes:
        rows: one dictionary per trial.
    """

    def __init__(self, folder: Path):
        self.rows: list[dict[str, Any]] = []
        self._folder = folder
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "programs")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(
            ["benchmarks.faults.sweeps_killed"]
        )
        self._seconds: dict[str, float] = {}  # from the first run on
        self._start_s: dict[str, float] = {}  # until then
        # The first only compiles, for all that come.
        for number, path in enumerate(("threads", "threads", "processes")):
            place = folder / f"undisturbed_{number}"
            start = time.perf_counter()
            driver = self._start(place, path)
            self._wait_for_run(place, [driver])
            first = time.perf_counter()
            driver.join()
            self._start_s[path] = first - start
            self._seconds[path] = time.perf_counter() - first
            found = contents(place)
            if driver.exitcode or len(found) != NUM_RUNS:
                raise RuntimeError(f"An undisturbed sweep fails, in {path}")
            if path == "threads":
                self.undisturbed = found
        self.is_same = found == self.undisturbed

    def _start(
        self, folder: Path, path: str, num_writes: int | None = None
    ) -> Any:
        arguments = folder, path, num_writes
        process = self._context.Process(target=drive, args=arguments)
        process.start()
        return process

    def _wait_for_run(self, folder: Path, drivers: list[Any]) -> None:
        end = time.perf_counter() + PATIENCE_S
        while not any((folder / "cells").glob("*/*.json")):
            if time.perf_counter() > end or not any(
                driver.is_alive() for driver in drivers
            ):
                raise RuntimeError("A driver finishes nothing.")
            time.sleep(0.01)

    def trial(self, seed: int, event: str | None = None) -> None:
        """Makes one trial.

        Args:
            seed: seed of all draws.
            event: one of `EVENTS`; None for the next in turn.
        """
        start = time.perf_counter()
        rng = np.random.default_rng(seed)
        event = event or EVENTS[seed % len(EVENTS)]
        is_killed = event.startswith("killed")
        turn = seed // len(EVENTS) % len(PATHS) if is_killed else 0
        path = PATHS[turn]
        folder = Path(tempfile.mkdtemp(dir=self._folder)) / "store"
        error, num_damaged = "", 0
        if event == "full disk":
            done = f"write {rng.integers(MOST_WRITES)}"
            driver = self._start(folder, path, int(done.split()[1]))
            driver.join()
            if driver.exitcode != FULL:
                error = f"A driver ends with {driver.exitcode}."
        else:
            at_work = event != "killed while starting"
            done = self._kill(folder, path.split(" beside "), at_work, rng)
        files = sorted((folder / "cells").glob("*/*.json"))
        num_before = len(files)
        if event == "damaged":
            num_damaged = 1
            how = str(rng.choice(DAMAGES))
            done = damage(files[rng.integers(len(files))], how)
        num_made, store = -1, Store(folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of the damage
                num_made = run_sweep(SWEEP, store, in_process).finished
            found = contents(folder)
        except (OSError, ValueError, RuntimeError) as caught:
            error, found = f"{type(caught).__name__}: {caught}", {}
        left = [*(folder / "running").iterdir(), *folder.rglob("saving_*")]
        others = [
            n for n in self.undisturbed if found.get(n) != self.undisturbed[n]
        ]
        faults = {
            f"made {num_made} after {num_before}": (
                num_before - num_damaged + num_made != NUM_RUNS
            ),
            f"left {[path.name for path in left]}": left,
            f"set aside {damaged(store)}": len(damaged(store)) != num_damaged,
            "a lease is held": self._is_leased(store),
            f"other content {others}": others or len(found) != NUM_RUNS,
        }
        error = error or "; ".join(
            what for what, is_so in faults.items() if is_so
        )
        self.rows.append(
            {
                "event": event,
                "path": path,
                "seed": seed,
                "done": done,
                "runs": NUM_RUNS,
                "finished_before": num_before,
                "made_after": num_made,
                "survived": not error,
                "error": error,
                "seconds": round(time.perf_counter() - start, 1),
            }
        )
        sys.stderr.write(f"{self.rows[-1]}\n")

    def _kill(
        self, folder: Path, paths: list[str], at_work: bool, rng: Any
    ) -> str:
        """Starts drivers, kills them and their workers, and says which."""
        drivers = [self._start(folder, each) for each in paths]
        if at_work:
            self._wait_for_run(folder, drivers)
        seconds = self._seconds if at_work else self._start_s
        longest = max(seconds[each] for each in paths)
        killed = []
        for _ in range(rng.integers(1, MOST_KILLS + 1)):
            time.sleep(rng.uniform(0, longest / MOST_KILLS))
            killed += self._kill_one(drivers, rng)
        time.sleep(rng.uniform(0, longest / MOST_KILLS))
        for driver in drivers:
            driver.kill()
            driver.join()
        self._wait_for_end(Store(folder))
        return ", ".join(killed) or "nothing any more"

    def _kill_one(self, drivers: list[Any], rng: Any) -> list[str]:
        alive = {d.pid: "driver" for d in drivers if d.is_alive()}
        for pid in list(alive):
            alive.update(dict.fromkeys(children_of(pid), "worker"))
        if not alive:
            return []
        victim = list(alive)[rng.integers(len(alive))]
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return []
        return [alive[victim]]

    def _is_leased(self, store: Store) -> bool:
        keys = [store.key(cell.experiment) for cell in SWEEP.cells]
        return any(store.is_leased(k, s) for k in keys for s in SWEEP.seeds)

    def _wait_for_end(self, store: Store) -> None:
        """Waits until workers of killed drivers have ended."""
        end = time.perf_counter() + PATIENCE_S
        while self._is_leased(store):
            if time.perf_counter() > end:
                raise RuntimeError("A worker outlives its driver.")
            time.sleep(0.05)


def main() -> None:
    """Makes trials, and writes the table."""
    folder, num_trials = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        trials = Trials(Path(temporary))
        for seed in range(num_trials):
            trials.trial(seed)
    frame = pd.DataFrame(trials.rows)
    _write(folder, frame, trials.is_same, time.perf_counter() - start)


def _write(
    folder: Path, frame: pd.DataFrame, is_same: bool, seconds: float
) -> None:
    from tiny_gpt.runtime import results_folder
    from tiny_gpt.runtime.environment import describe_environment

    results_folder.write_frame(folder / "faults.csv", frame)
    table = tabulate(frame)
    results_folder.write_text(folder / "faults.md", table)
    manifest = {
        "command": "python -m benchmarks.faults.sweeps_killed "
        f"{folder} {len(frame)}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_s": round(seconds, 1),
        "load": os.getloadavg(),
        "threads_and_processes_give_the_same": is_same,
        "train": dataclasses.asdict(BASE.train),
        **describe_environment(),
    }
    results_folder.write_json(folder / "faults.json", manifest)
    sys.stdout.write(table)


def tabulate(frame: pd.DataFrame) -> str:
    """Returns a Markdown table: trials, runs and survivors by what happened."""
    lines = [
        "| | path | trials | runs | made again | survived |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for (event, path), rows in frame.groupby(["event", "path"]):
        counts = len(rows), rows["runs"].sum(), rows["made_after"].sum()
        cells = [event, path, *counts, rows["survived"].sum()]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
