r"""The overhead of a sweep over its runs.

Question  How long until 1000 cells are planned, how long to open, collect and
          draw them when they are finished, what does the store add to a run,
          and what do two processes gain on two cores?
Run       KERAS_BACKEND=jax python -m benchmarks.speed.sweep_overhead \
              docs/runs/sweeps/overhead 3
Time      eight minutes a round on 2 CPU cores, otherwise idle

Compiled programs have one thread each, like those of `experiments sweep`. The
1000 finished cells are copies of one real run of the quick experiment, under
the names and contents of the others; their numbers are not read.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from experiments import controls
from tiny_gpt.commands.sweeping.results import plot, write_frames
from tiny_gpt.runtime.commits import current_commit
from tiny_gpt.runtime.environment import count_cores, describe_environment
from tiny_gpt.runtime.files import seal, unseal, write_json
from tiny_gpt.sweep.cell import content_of, unlabelled
from tiny_gpt.sweep.grid import Success, Sweep
from tiny_gpt.sweep.processes import Pool
from tiny_gpt.sweep.run import plan_tasks, run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.threads import in_process
from tiny_gpt.training.compiled_runs import forget_programs
from tiny_gpt.training.many_seeds import run_jobs
from tiny_gpt.training.run_setup import Job

BASE = "sparse_a_to_c"
NUM_RUNS = 4  # with a store and without
NUM_DEALT = 20  # to one process, and to two
FIXED = {
    "updates": 390,
    "evaluation.exact_demonstrations": [2],
    "evaluation.is_asked_after_others": False,
    "evaluation.num_loss_windows": 0,
}


def grid(counts: list[int], majorities: list[int], seeds: list[int]) -> Sweep:
    """Returns a sweep of the quick experiment."""
    return Sweep(
        name="overhead",
        bases={BASE: controls.build_experiment("quick", BASE)},
        axes={"sparse_pairs": counts, "majority_pairs": majorities},
        seeds=seeds,
        success=Success("A->C"),
        fixed=FIXED,
    )


def thousand() -> Sweep:
    """Returns 1000 cells, one seed."""
    return grid(list(range(1, 41)), list(range(100, 2600, 100)), [0])


@contextlib.contextmanager
def _timed(into: dict[str, list[float]], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    into.setdefault(name, []).append(time.perf_counter() - start)


def time_thousand(folder: Path, times: dict[str, list[float]]) -> None:
    """Times planning, opening, collecting and drawing of 1000 cells."""
    with _timed(times, "plan 1000 cells"):
        sweep = thousand()
        tasks = plan_tasks(sweep, Store(folder / "empty"))
    assert len(tasks) == 1000
    store = Store(folder / "full")
    _fill(sweep, store, tasks[0])
    with _timed(times, "open 1000 finished cells"):
        assert not plan_tasks(thousand(), Store(folder / "full"))
    quiet = Console(file=io.StringIO())
    with _timed(times, "collect and draw 1000 cells"):
        sweep, store = thousand(), Store(folder / "full")
        write_frames(sweep, store, folder / "out", "benchmark", "", quiet)
        plot(sweep, folder / "out", quiet)


def _fill(sweep: Sweep, store: Store, task) -> None:
    list(in_process(store, [task], 1))
    found = unseal(store.path(task.key, 0))
    for cell in sweep.cells:
        key = store.key(cell.experiment)
        content = content_of(cell.experiment, store.precision)
        store.put(key, 0, seal({**found, "key": key, **content}))


def time_store(folder: Path, times: dict[str, list[float]], step: int) -> None:
    """Times runs in a store against the same runs without one.

    Both compile; which comes first changes from round to round.
    """
    sweep = grid([50], [2500], list(range(NUM_RUNS)))
    experiment = sweep.cells[0].experiment

    def alone() -> None:
        jobs = [
            Job(unlabelled(experiment, "0" * 64), seed, folder / f"r_{seed}")
            for seed in sweep.seeds
        ]
        for _ in run_jobs(jobs, 1, save_every_s=10.0):
            pass

    def stored() -> None:
        store = Store(folder / "store")
        run_sweep(sweep, store, lambda s, tasks: in_process(s, tasks, 1))

    both = [("runs alone", alone), ("runs in a store", stored)]
    for name, do in both if step % 2 else both[::-1]:
        forget_programs()
        with _timed(times, name):
            do()


def time_processes(folder: Path, times: dict[str, list[float]]) -> None:
    """Times two processes against one."""
    sweep = grid([50], [2500], list(range(NUM_DEALT)))
    for name, count in (("1 process", 1), ("2 processes", 2)):
        store = Store(folder / name.replace(" ", "_"))
        with _timed(times, name), Pool(count) as pool:
            run_sweep(sweep, store, pool)


def main() -> None:
    """Times all in turn, and writes the table with its manifest."""
    os.environ["NPROC"] = "1"  # before JAX starts
    folder, num_rounds = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    commit, times = current_commit(), dict[str, list[float]]()
    start = time.perf_counter()
    for step in range(num_rounds):
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary)
            time_thousand(place / "thousand", times)
            time_store(place / "one", times, step)
            time_processes(place / "many", times)
        sys.stderr.write(f"round {step + 1} of {num_rounds}\n")

    def ratio(above: str, below: str) -> list[float]:
        pairs = zip(times[above], times[below], strict=True)
        return [a / b for a, b in pairs]

    ratios = {
        "runs in a store / alone": ratio("runs in a store", "runs alone"),
        "1 process / 2 processes": ratio("1 process", "2 processes"),
    }
    lines = ["| | median | lowest | highest |", "| --- | ---: | ---: | ---: |"]
    for name, values in {**times, **ratios}.items():
        unit = "" if name in ratios else " s"
        lines.append(
            f"| {name} | {np.median(values):.3g}{unit} | "
            f"{min(values):.3g}{unit} | {max(values):.3g}{unit} |"
        )
    (folder / "table.md").write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines) + "\n")
    write_json(
        folder / "manifest.json",
        {
            "command": "python -m benchmarks.speed.sweep_overhead "
            f"{folder} {num_rounds}",
            "load": os.getloadavg(),
            "commit": commit,
            "wall_s": round(time.perf_counter() - start, 1),
            "cores": count_cores(),
            "times_s": json.loads(json.dumps(times)),
            "ratios": ratios,
            **describe_environment(),
        },
    )


if __name__ == "__main__":
    main()
