"""Growth of time and memory with seeds, width, window, batch and sentences.

Run       python -m benchmarks.speed.growth docs/runs/growth
Time      about 6 minutes on 2 CPU cores

The base is the quick size of `triangle`'s `sparse_a_to_c`; one number is
changed at a time. Only training is measured, without compilation. "seeds" are
spread over the cores, as `many_seeds` does on a CPU; "batched_seeds" are one
batch of a program. Each row has a process of its own, for its peak memory.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.environment import describe_environment

GRID: dict[str, tuple[int, ...]] = {
    "seeds": (1, 2, 5, 10, 20, 64),
    "batched_seeds": (2, 5),
    "width": (32, 64, 128, 256),
    "window": (15, 30, 60),
    "batch": (16, 64, 256),
    "sentences": (1250, 2500, 5000, 10000),
}
REPEATS = 5


def build(what: str, value: int) -> Any:
    """Returns the quick experiment with one number changed."""
    from experiments import triangle

    experiment = triangle.build_experiment("quick", "sparse_a_to_c")
    model: Any = experiment.model  # a GPT
    train = experiment.train
    mixture = experiment.task.mixture
    if what == "width":
        model = dataclasses.replace(model, num_heads=value // model.head_dim)
    if what == "window":
        model = dataclasses.replace(model, sequence_length=value)
    if what == "batch":
        train = dataclasses.replace(train, batch_size=value)
    if what == "sentences":
        components = tuple(
            dataclasses.replace(c, num_pairs=value if c.num_pairs > 50 else 50)
            for c in mixture.components
        )
        mixture = dataclasses.replace(mixture, components=components)
    evaluation = dataclasses.replace(
        experiment.evaluation,
        num_demonstrations=0,
        exact_demonstrations=(0,),
    )
    return dataclasses.replace(
        experiment,
        task=dataclasses.replace(experiment.task, mixture=mixture),
        model=model,
        train=train,
        evaluation=evaluation,
    )


def measure(what: str, value: int) -> dict[str, float]:
    """Trains one epoch of every seed, again and again, and times it."""
    from tiny_gpt.training.epoch_program import EpochProgram
    from tiny_gpt.training.run_files import state_of
    from tiny_gpt.training.run_setup import set_up_run
    from tiny_gpt.training.seed_batches import count_workers
    from tiny_gpt.training.train_batch import epoch_batches
    from tiny_gpt.training.update import compile_gpt

    experiment = build(what, value)
    num_seeds = value if what == "seeds" else 1
    seed_batch = value if what == "batched_seeds" else 1
    setup = set_up_run(experiment, 0)
    model = experiment.model.build()
    compile_gpt(model, experiment.train)
    setup.start(model)
    batches: tuple[Any, ...] = epoch_batches(setup, 0)
    program = EpochProgram(model, seed_batch)
    states = [state_of(model) for _ in range(num_seeds)]
    if seed_batch > 1:
        batches = (
            *(np.stack([x] * seed_batch) for x in batches[:3]),
            batches[3],
        )
        states = [[np.stack([value] * seed_batch) for value in states[0]]]
    workers = count_workers(program.num_bytes(states[0], *batches))
    pool = ThreadPoolExecutor(min(workers, num_seeds))

    def epoch(i: int) -> None:
        states[i], _ = program(states[i], *batches)

    seconds = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        list(pool.map(epoch, range(num_seeds)))
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "updates": batches[3],
        "epoch_s": float(np.median(seconds[1:])),
        "lowest_s": min(seconds[1:]),
        "highest_s": max(seconds[1:]),
        "peak_gib": peak,
    }


def main() -> None:
    """Measures the grid, or one point of it in this process."""
    if len(sys.argv) == 3:
        found = measure(sys.argv[1], int(sys.argv[2]))
        sys.stdout.write(json.dumps(found) + "\n")
        return
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for what, values in GRID.items():
        for value in values:
            command = [sys.executable, "-m", "benchmarks.speed.growth", what]
            done = subprocess.run(
                [*command, str(value)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                check=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            rows.append({"what": what, "value": value, **found})
    frame = pd.DataFrame(rows)
    results_folder.write_frame(folder / "growth.csv", frame)
    manifest = {
        "command": f"python -m benchmarks.speed.growth {folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "repeats": REPEATS,
        **describe_environment(),
    }
    results_folder.write_json(folder / "manifest.json", manifest)
    sys.stdout.write(frame.to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
