"""The time of one training epoch of each experiment at the paper's size.

It tells what to expect of `PRESET=paper` on this machine, without waiting for
100 or 200 epochs. Evaluation is left out; compilation is in the first update.

Run: KERAS_BACKEND=tensorflow
     python -m benchmarks.speed.paper_epoch docs/runs/paper_epoch
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from experiments import four_languages, triangle
from tiny_gpt.experiment import Experiment
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.runtime.environment import describe_environment, set_precision
from tiny_gpt.training.update import compile_gpt
from tiny_gpt.training.windows import ShuffledWindows


def measure(experiment: Experiment) -> dict[str, object]:
    """Returns seconds of each update of one epoch, and the loss at its end."""
    rng = np.random.default_rng(0)
    length = experiment.model.sequence_length
    stream = experiment.task.draw(length, rng)[-1]
    model = experiment.model.build()
    initialise_weights(model, rng)
    compile_gpt(model, experiment.train)
    batch_size = experiment.train.batch_size
    phases = [(stream.inputs, stream.targets)]
    windows = ShuffledWindows(phases, [1], batch_size, seed=0)
    update_s, loss = [], 0.0
    for i in range(windows.steps_per_epoch):
        start = time.perf_counter()
        loss = float(model.train_on_batch(*windows[i]))
        update_s.append(round(time.perf_counter() - start, 2))
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "experiment": experiment.name,
        "parameters": model.count_params(),
        "windows": len(stream.inputs),
        "epoch_s": round(sum(update_s), 1),
        "update_s": update_s,
        "mean_loss": round(loss, 4),
        "peak_memory_gib": round(peak_kib / 2**20, 1),
    }


def main(folder: Path) -> None:
    """Measures both experiments and writes one JSON file."""
    set_precision("float32")
    modules = (triangle, four_languages)
    rows = [
        measure(m.build_experiment("paper", list(m.STUDY.conditions)[-1]))
        for m in modules
    ]
    command = "python -m benchmarks.speed.paper_epoch"
    result = {"epochs": rows, "command": command, **describe_environment()}
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2)
    (folder / "epoch.json").write_text(f"{text}\n")
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
