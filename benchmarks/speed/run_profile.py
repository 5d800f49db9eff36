"""The profile of a whole run: updates, questions, exact evaluation.

Run       KERAS_BACKEND=jax python -m benchmarks.speed.run_profile
          docs/runs/run_profile
Time      about 4 minutes on 2 CPU cores

The script measures two controls of the quick preset: one is asked after every
prompt; the other, one of the curve, after the main prompt only. All seeds run
as in an experiment, spread over the cores, so a second of a thread is about
half a second of the machine. A first run, with all compilation, is left out.
"""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.controls import build_experiment
from tiny_gpt.callbacks import LossByTask, LossDropLogger, TaskAccuracy
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.training import many_seeds
from tiny_gpt.training.epoch_program import EpochProgram
from tiny_gpt.training.many_seeds import run_jobs
from tiny_gpt.training.run_setup import Job, RunSetup

CONDITIONS = ("sparse_a_to_c", "sparse_a_to_c_8")
NUM_SEEDS = 12
PARTS: dict[str, tuple[Any, str]] = {
    "updates": (EpochProgram, "__call__"),
    "questions, every epoch": (TaskAccuracy, "on_epoch_end"),
    "losses by mapping, every epoch": (LossByTask, "on_epoch_end"),
    "events, every epoch": (LossDropLogger, "on_epoch_end"),
    "exact evaluation and files": (RunSetup, "finish"),
    "drawing the data": (many_seeds, "set_up_run"),
}


def watch(
    seconds: dict[str, float], name: str, owner: Any, attribute: str
) -> None:
    """Adds up the seconds that a function takes, in all threads."""
    original: Callable[..., Any] = getattr(owner, attribute)
    lock = threading.Lock()

    def timed(*args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return original(*args, **options)
        finally:
            with lock:
                seconds[name] += time.perf_counter() - start

    setattr(owner, attribute, timed)


def measure(condition: str, seconds: dict[str, float]) -> list[dict[str, Any]]:
    """Runs all seeds of a condition, and returns seconds per run."""
    experiment = build_experiment("quick", condition)
    marks = []
    jobs = [Job(experiment, seed) for seed in range(NUM_SEEDS + 2)]
    for number, _ in enumerate(run_jobs(jobs), start=1):
        marks.append(time.perf_counter())
        if number == 2:  # one per core has compiled everything
            seconds.clear()
    rows = [
        {"condition": condition, "part": part, "thread_s": s / NUM_SEEDS}
        for part, s in seconds.items()
    ]
    whole = (marks[-1] - marks[1]) / NUM_SEEDS
    return [*rows, {"condition": condition, "part": "whole", "wall_s": whole}]


def main() -> None:
    """Measures both conditions."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = defaultdict(float)
    for name, (owner, attribute) in PARTS.items():
        watch(seconds, name, owner, attribute)
    rows = [row for c in CONDITIONS for row in measure(c, seconds)]
    frame = pd.DataFrame(rows).round(3)
    results_folder.write_frame(folder / "run_profile.csv", frame)
    manifest = {
        "command": f"python -m benchmarks.speed.run_profile {folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seeds": NUM_SEEDS,
        **describe_environment(),
    }
    results_folder.write_json(folder / "manifest.json", manifest)
    sys.stdout.write(frame.to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
