"""Peers: our training compared with its alternatives (`make bench`).

Question  How many tokens a second does each of them train, on this machine?
Run       python -m benchmarks.speed.peers docs/runs/bench
Time      about 15 minutes on 2 CPU cores

All contenders run in processes of their own and are measured in turn, round
after round, so that each sees the same machine. The table has the median, and
the lowest and highest round. Peers that train one seed at a time are measured
as one process with all cores and as one process per core. Their rate for many
seeds is the better of both.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.speed.contenders import sizes
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.environment import describe_environment

ROUNDS = 5
# Updates per round and seed; so many take about a second, or five.
UPDATES = {"quick": 48, "paper": 2}


@dataclass(frozen=True)
class Entry:
    """A contender in some processes.

    Attributes:
        name: name in `contenders.build`.
        label: name in the table.
        backend: Keras backend of its processes.
        num_processes: 1 with all cores, or one per core.
        num_seeds: seeds that one process trains at once.
        sizes: presets at which it is measured.
    """

    name: str
    label: str
    backend: str = "jax"
    num_processes: int = 1
    num_seeds: int = 1
    sizes: tuple[str, ...] = ("quick", "paper")


CORES = sorted(os.sched_getaffinity(0))
EACH = len(CORES)
CONTENDERS = (
    *(
        Entry(
            f"ours/{n}",
            f"ours, {n} seeds" if n > 1 else "ours, 1 seed",
            num_seeds=n,
            sizes=("quick", "paper")[: 1 + (n == 1)],
        )
        for n in (1, 5, 20)
    ),
    Entry("fit", "ours, Keras fit on JAX"),
    Entry("fit", "ours, Keras fit on TensorFlow", "tensorflow"),
    Entry("stock", "stock Keras on JAX"),
    Entry("stock", "stock Keras on TensorFlow", "tensorflow"),
    Entry("optax", "plain JAX and optax"),
    Entry(
        "optax",
        "plain JAX and optax, a process per core",
        num_processes=EACH,
        sizes=("quick",),
    ),
    Entry("torch/eager", "PyTorch"),
    Entry(
        "torch/eager",
        "PyTorch, a process per core",
        num_processes=EACH,
        sizes=("quick",),
    ),
    Entry("torch/compiled", "PyTorch, compiled"),
    Entry(
        "torch/compiled",
        "PyTorch, compiled, a process per core",
        num_processes=EACH,
        sizes=("quick",),
    ),
)
RATES = (Entry("rate/numpy", "NumPy"), Entry("rate/jax", "JAX"))


class Workers:
    """The processes of one contender."""

    def __init__(self, entry: Entry, size: str, weights: Path):
        environment = {
            **os.environ,
            "KERAS_BACKEND": entry.backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
        }
        command = [
            sys.executable,
            "-m",
            "benchmarks.speed.contenders",
            entry.name,
            size,
            str(weights),
        ]
        pins = [[]] if entry.num_processes == 1 else [[str(c)] for c in CORES]
        self.processes = [
            subprocess.Popen(
                command + pin,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for pin in pins
        ]
        self.first_loss = self._read("first_loss")

    def _read(self, key: str) -> float:
        values = []
        for process in self.processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{process.args!r} ended")
            values.append(json.loads(line)[key])
        return max(values)

    def seconds(self, num_updates: int) -> float:
        """Makes updates in all processes at once, and returns the slowest."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{num_updates}\n")
            process.stdin.flush()
        return self._read("seconds")

    def close(self) -> None:
        """Ends the processes."""
        for process in self.processes:
            process.communicate()


def save_weights(size: str, path: Path) -> None:
    """Draws the weights from which all contenders start."""
    from experiments import triangle
    from tiny_gpt.models.initial_weights import initialise_weights

    experiment = triangle.build_experiment(size, "sparse_a_to_c")
    model = experiment.model.build()
    initialise_weights(model, np.random.default_rng(0))
    values: dict[str, Any] = {
        v.path: np.asarray(v.value) for v in model.variables
    }
    np.savez(path, **values)


def count_gflop(size: str) -> float:
    """Returns 10^9 floating-point operations of one update's products.

    6 per token and weight (2 forward, 4 backward), and 12 T D per layer of
    the attention (Kaplan et al. 2020, sec. 2.1).
    """
    n = sizes(size)
    width = n["width"]
    weights = n["layers"] * (4 + 2 * n["ratio"]) * width**2
    weights += width * n["classes"]
    attention = n["layers"] * 2 * n["length"] * width
    return 6 * n["batch"] * n["length"] * (weights + attention) / 1e9


def measure(size: str) -> pd.DataFrame:
    """Measures all contenders at one size, in turn."""
    n = sizes(size)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.npz"
        save_weights(size, weights)
        entries = [e for e in CONTENDERS if size in e.sizes]
        workers = [Workers(e, size, weights) for e in entries]
        rates = [Workers(e, size, weights) for e in RATES]
        for each in workers:  # compiles
            each.seconds(UPDATES[size])
        for _ in range(ROUNDS):
            for entry, each in zip(entries, workers, strict=True):
                made = UPDATES[size] * entry.num_seeds * entry.num_processes
                seconds = each.seconds(UPDATES[size])
                row = entry.label, each.first_loss, made / seconds
                rows.append((size, *row))
            for entry, each in zip(RATES, rates, strict=True):
                rate = 2 * 1.024**3 * 30 / each.seconds(30)
                rows.append((size, f"products, {entry.label}", np.nan, rate))
        for each in (*workers, *rates):
            each.close()
    frame = pd.DataFrame(
        rows, columns=["size", "contender", "first_loss", "updates_per_s"]
    )
    frame["tokens_per_s"] = frame["updates_per_s"] * n["batch"] * n["length"]
    frame["gflop_per_s"] = frame["updates_per_s"] * count_gflop(size)
    products = frame["contender"].str.startswith("products")
    frame.loc[products, "gflop_per_s"] = frame["updates_per_s"]
    frame.loc[products, ["updates_per_s", "tokens_per_s"]] = np.nan
    return frame


def as_table(frame: pd.DataFrame) -> str:
    """Writes medians, with the lowest and highest round, as Markdown."""
    lines = [
        "| size | what trains | first loss | updates/s | lowest–highest | "
        "tokens/s | GFLOP/s | share of products |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size, rows in frame.groupby("size", sort=False):
        by_name = rows.groupby("contender", sort=False)
        medians = by_name["gflop_per_s"].median()
        best = max(v for k, v in medians.items() if str(k)[:8] == "products")
        for name, group in by_name:
            speed = group["updates_per_s"]
            gflop = statistics.median(group["gflop_per_s"])
            cells = [str(size), str(name)]
            if str(name).startswith("products"):
                cells += [""] * 4
            else:
                cells += [
                    f"{group['first_loss'].iloc[0]:.4f}",
                    f"{speed.median():.2f}",
                    f"{speed.min():.2f}–{speed.max():.2f}",
                    f"{group['tokens_per_s'].median():,.0f}",
                ]
            cells += [f"{gflop:.0f}", f"{100 * gflop / best:.0f} %"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures both sizes, and writes table, frame and manifest."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    frame = pd.concat([measure(size) for size in UPDATES])
    results_folder.write_frame(folder / "rounds.csv", frame)
    table = as_table(frame)
    results_folder.write_text(folder / "table.md", table)
    manifest = {
        "command": f"python -m benchmarks.speed.peers {folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_s": round(time.perf_counter() - start, 1),
        "rounds": ROUNDS,
        "updates": UPDATES,
        "cores": len(CORES),
        **describe_environment(),
    }
    results_folder.write_json(folder / "manifest.json", manifest)
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
