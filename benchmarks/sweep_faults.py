"""What a sweep loses when its processes are killed at random moments.

Question  Is every run there once, with the bytes of a sweep that was never
          disturbed, whatever was killed before?
Run       python -m benchmarks.sweep_faults docs/sweeps 200
Time      half a minute a trial on 2 CPU cores, beside other work

A trial drives a tiny sweep into a new store, by one driver or by two at one
time, in threads or in processes. Whoever is alive is drawn and killed by
SIGKILL, one to three times, at moments drawn from the time that an
undisturbed driver takes from its first finished run on: a driver, or a worker.
Drivers that are left go on for a moment drawn from the same time, and are
killed as well. Then one driver in this process makes what is missing. Survived
means: it ends without an error, every run has one file and its content is
that of the undisturbed sweep (all but the seconds and where it was made), what
it made itself is what was missing, and nothing is left over: no record, no
half-written file, no lease.
"""

import dataclasses
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.tiny_runs import TINY
from tiny_gpt.evaluate import EvaluationConfig
from tiny_gpt.experiment import TrainConfig
from tiny_gpt.files import unseal
from tiny_gpt.sweep.grid import Success, Sweep
from tiny_gpt.sweep.pool import in_pool
from tiny_gpt.sweep.run import run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.work import in_process

PATHS = ("threads", "processes", "threads beside processes")
MOST_KILLS = 3
PATIENCE_S = 900.0  # for a driver that starts

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


def drive(folder: Path, path: str) -> None:
    """Runs the sweep in this process, as the command line does."""
    executor = in_pool if path == "processes" else in_process
    run_sweep(SWEEP, Store(folder), executor)


def contents(store: Store) -> dict[str, Any]:
    """Returns what does not depend on when and where a run was made."""
    found = {}
    for path in (store.folder / "cells").glob("*/*"):
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


class Trials:
    """Kills drivers and workers.

    Args:
        folder: where stores go.

    Attributes:
        rows: one dictionary per trial.
    """

    def __init__(self, folder: Path):
        self.rows: list[dict[str, Any]] = []
        self._folder = folder
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "programs")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["benchmarks.sweep_faults"])
        self._seconds: dict[str, float] = {}
        for path in ("threads", "processes"):
            store = Store(folder / path)
            driver = self._start(store, path)
            self._wait_for_run(store, [driver])
            start = time.perf_counter()
            driver.join()
            self._seconds[path] = time.perf_counter() - start
            found = contents(store)
            if driver.exitcode or len(found) != NUM_RUNS:
                raise RuntimeError(f"An undisturbed sweep fails, in {path}")
            if path == "threads":
                self.undisturbed = found
        self.is_same = found == self.undisturbed

    def _start(self, store: Store, path: str) -> Any:
        process = self._context.Process(target=drive, args=(store.folder, path))
        process.start()
        return process

    def _wait_for_run(self, store: Store, drivers: list[Any]) -> None:
        end = time.perf_counter() + PATIENCE_S
        while not any((store.folder / "cells").glob("*/*.json")):
            if time.perf_counter() > end or not any(
                driver.is_alive() for driver in drivers
            ):
                raise RuntimeError("A driver finishes nothing.")
            time.sleep(0.01)

    def kill(self, seed: int) -> None:
        """Makes one trial."""
        start = time.perf_counter()
        rng = np.random.default_rng(seed)
        path = PATHS[rng.integers(len(PATHS))]
        store = Store(Path(tempfile.mkdtemp(dir=self._folder)) / "store")
        paths = path.split(" beside ")
        drivers = [self._start(store, each) for each in paths]
        self._wait_for_run(store, drivers)
        longest = max(self._seconds[each] for each in paths)
        killed = []
        for _ in range(rng.integers(1, MOST_KILLS + 1)):
            time.sleep(rng.uniform(0, longest / MOST_KILLS))
            killed += self._kill_one(drivers, rng)
        time.sleep(rng.uniform(0, longest / MOST_KILLS))
        for driver in drivers:
            driver.kill()
            driver.join()
        self._wait_for_end(store)
        num_before = len(list((store.folder / "cells").glob("*/*.json")))
        error, num_made = "", -1
        try:
            num_made = run_sweep(SWEEP, store, in_process).finished
            found = contents(store)
        except (OSError, ValueError, RuntimeError) as caught:
            error, found = f"{type(caught).__name__}: {caught}", {}
        left = [
            *(store.folder / "running").iterdir(),
            *store.folder.rglob("saving_*"),
        ]
        is_same = found == self.undisturbed
        is_whole = num_before + num_made == NUM_RUNS and not left
        self.rows.append(
            {
                "path": path,
                "seed": seed,
                "killed": ", ".join(killed) or "nothing any more",
                "runs": NUM_RUNS,
                "finished_before": num_before,
                "made_after": num_made,
                "survived": is_same and is_whole and not error,
                "error": error,
                "seconds": round(time.perf_counter() - start, 1),
            }
        )
        sys.stderr.write(f"{self.rows[-1]}\n")

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

    def _wait_for_end(self, store: Store) -> None:
        """Waits until workers of killed drivers have ended."""
        end = time.perf_counter() + PATIENCE_S
        keys = [store.key(cell.experiment) for cell in SWEEP.cells]
        while any(
            store.is_leased(key, seed) for key in keys for seed in SWEEP.seeds
        ):
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
            trials.kill(seed)
    frame = pd.DataFrame(trials.rows)
    _write(folder, frame, trials.is_same, time.perf_counter() - start)


def _write(
    folder: Path, frame: pd.DataFrame, is_same: bool, seconds: float
) -> None:
    from tiny_gpt import results
    from tiny_gpt.devices import describe

    results.write_frame(folder / "faults.csv", frame)
    table = tabulate(frame)
    results.write_text(folder / "faults.md", table)
    manifest = {
        "command": f"python -m benchmarks.sweep_faults {folder} {len(frame)}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_s": round(seconds, 1),
        "load": os.getloadavg(),
        "threads_and_processes_give_the_same": is_same,
        "train": dataclasses.asdict(BASE.train),
        **describe(),
    }
    results.write_json(folder / "faults.json", manifest)
    sys.stdout.write(table)


def tabulate(frame: pd.DataFrame) -> str:
    """Returns a Markdown table: trials, kills, runs and survivors by path."""
    lines = [
        "| path | trials | drivers killed | workers killed | runs | survived |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for path, rows in frame.groupby("path", sort=False):
        drivers, workers = (
            rows["killed"].str.count(victim).sum()
            for victim in ("driver", "worker")
        )
        counts = len(rows), drivers, workers, rows["runs"].sum()
        cells = [path, *counts, rows["survived"].sum()]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
