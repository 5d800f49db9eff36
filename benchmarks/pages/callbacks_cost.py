"""What a measurement by the callbacks costs, beside `model.evaluate`.

Question  How long does an evaluation of a set take, and how much memory, as
          against `evaluate` of the same set?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.callbacks_cost
          docs/runs/callbacks; once for each backend
Time      a minute

Time: a classifier of 20,000 rows of 64 numbers; seconds of `evaluate`, of a
measurement of `TaskAccuracy` and of `LossByTask`, each with 256 rows per
batch, in turn, the median of 21 rounds; the first is left out, it compiles.
Memory: 250 MiB of logits (256 texts of 128 tokens of 2000 words), 8 texts per
batch; the peak of a process of its own for each, less that before.
"""

import csv
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from tiny_gpt.callbacks import LossByTask, TaskAccuracy
from tiny_gpt.runtime.commits import current_commit

ROUNDS = 21
WAYS = ("evaluate", "TaskAccuracy", "LossByTask")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def ways_of(model, x, y, size):
    """Returns functions that evaluate once, in each of `WAYS`."""
    callbacks = [
        TaskAccuracy({"set": (x, y)}, batch_size=size),
        LossByTask(x, y, {"all": y >= 0}, batch_size=size),
    ]
    for callback in callbacks:
        callback.set_model(model)
        callback.set_params({"epochs": 1})
        callback.on_train_begin()

    def measure(callback):
        callback.on_epoch_begin(0)
        callback.on_epoch_end(0, {})

    return {
        "evaluate": lambda: model.evaluate(x, y, batch_size=size, verbose=0),
        "TaskAccuracy": lambda: measure(callbacks[0]),
        "LossByTask": lambda: measure(callbacks[1]),
    }


def time_them() -> dict[str, float]:
    """Returns median seconds of each way, run in turn."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 64)).astype("float32")
    y = rng.integers(0, 10, len(x))
    layers = [keras.layers.Dense(256, activation="relu") for _ in range(2)]
    model = keras.Sequential(
        [keras.Input((64,)), *layers, keras.layers.Dense(10)]
    )
    model.compile("adam", LOSS, metrics=["accuracy"])
    model.evaluate(x[:256], y[:256], verbose=0)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    ways = ways_of(model, x, y, 256)
    for _ in range(ROUNDS + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(s[1:]) for name, s in seconds.items()}


def peak_mib(way: str) -> float:
    """Returns what one way adds to the peak memory of this process, MiB."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2000, (256, 128))
    layers = [keras.layers.Embedding(2000, 8), keras.layers.Dense(2000)]
    model = keras.Sequential([keras.Input((128,), dtype="int32"), *layers])
    model.compile("sgd", LOSS, metrics=["accuracy"])
    model.evaluate(x[:8], x[:8], batch_size=8, verbose=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ways_of(model, x, x, 8)[way]()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main(folder: Path) -> None:
    """Measures with the backend of this process, and adds to the table."""
    backend = keras.backend.backend()
    seconds = time_them()
    module = "benchmarks.pages.callbacks_cost"
    rows = []
    for way in WAYS:
        command = [sys.executable, "-m", module, "--peak", way]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True
        )
        peak = float(done.stdout.split()[-1])
        ratio = seconds[way] / seconds["evaluate"]
        rows.append(
            {
                "backend": backend,
                "way": way,
                "median_ms": round(1000 * seconds[way], 2),
                "over_evaluate": round(ratio, 2),
                "added_peak_mib": round(peak, 1),
            }
        )
    path, beside = folder / "cost.csv", folder / "cost.json"
    old: list[dict] = []
    if path.exists():
        with open(path) as file:
            old = [r for r in csv.DictReader(file) if r["backend"] != backend]
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*old, *rows])
    manifest = json.loads(beside.read_text()) if beside.exists() else {}
    package = {"tensorflow": "tensorflow-cpu"}.get(backend, backend)
    manifest[backend] = {
        "command": f"KERAS_BACKEND={backend} python -m {module} {folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": current_commit(),
        "rounds": ROUNDS,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "versions": {
            name: version(name) for name in ("keras", "numpy", package)
        },
    }
    beside.write_text(json.dumps(manifest, indent=2) + "\n")
    sys.stdout.write(f"{rows}\n")


if __name__ == "__main__":
    if sys.argv[1] == "--peak":
        sys.stdout.write(f"{peak_mib(sys.argv[2])}\n")
    else:
        main(Path(sys.argv[1]))
