"""The profile of one update, in the plain form and in the fast one.

Run       python -m benchmarks.speed.profile_update docs/runs/profile
Time      about 3 minutes on 2 CPU cores

JAX's profiler times every operation that XLA runs. Operations are grouped by
kind and by the shape of their output. If several run at once, each gets its
share of the time. "products" are matrix products, fused or not.
"""

import collections
import gzip
import json
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.speed.contenders import batches, sizes
from tiny_gpt.runtime import backend, results_folder
from tiny_gpt.runtime.environment import describe_environment

UPDATES = {"quick": 16, "paper": 2}


def profile(size: str, is_plain: bool) -> tuple[float, pd.DataFrame]:
    """Profiles some updates of one seed.

    Returns:
        Milliseconds of an update, and of each group of operations in it.
    """
    import jax

    from experiments import triangle
    from tiny_gpt.models.initial_weights import initialise_weights
    from tiny_gpt.training.epoch_program import EpochProgram
    from tiny_gpt.training.run_files import state_of
    from tiny_gpt.training.update import compile_gpt

    with backend.building_for("gpu" if is_plain else None):
        experiment = triangle.build_experiment(size, "sparse_a_to_c")
        model = experiment.model.build()
        compile_gpt(model, experiment.train)
        initialise_weights(model, np.random.default_rng(0))
        inputs, targets = batches(sizes(size))
        ones = np.ones(inputs.shape[:2], "float32")
        program = EpochProgram(model)
        count = UPDATES[size]
        count = min(count, len(inputs))
        state, _ = program(state_of(model), inputs, targets, ones, count)
        executable = program.compiled(state, inputs, targets, ones, count)
        text = executable.as_text()
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            state, _ = program(state, inputs, targets, ones, count)
            seconds.append((time.perf_counter() - start) / count)
        with tempfile.TemporaryDirectory() as folder:
            with jax.profiler.trace(folder):
                program(state, inputs, targets, ones, count)
            (path,) = Path(folder).glob("plugins/profile/*/*.trace.json.gz")
            events = json.loads(gzip.decompress(path.read_bytes()))
    rows = group(events["traceEvents"], text, count)
    return 1e3 * float(np.median(seconds)), rows


def group(events: list[dict], text: str, num_updates: int) -> pd.DataFrame:
    """Sums the time of operations by kind and shape."""
    shapes, products = {}, set()
    inside = ""
    for line in text.splitlines():
        if line.startswith(("%", "ENTRY")):
            inside = line.split(" ")[0].lstrip("%")
        found = re.match(r"\s+(?:ROOT )?%?([\w.\-]+) = (\w+\[[\d,]*\])", line)
        if found:
            shapes[found[1]] = found[2]
            if " dot(" in line:
                products |= {inside, found[1]}
            calls = re.search(r"calls=%?([\w.\-]+)", line)
            if calls and calls[1] in products:
                products.add(found[1])
    operations = [
        event
        for event in events
        if event.get("ph") == "X"
        and event.get("args", {}).get("hlo_op", "while")[:5] != "while"
    ]
    points = []
    for i, event in enumerate(operations):
        points.append((event["ts"], 1, i))
        points.append((event["ts"] + event["dur"], 0, i))
    total: collections.Counter = collections.Counter()
    active: set[int] = set()
    last = 0.0
    for at, is_start, i in sorted(points):
        for j in active:
            name = operations[j]["args"]["hlo_op"]
            kind = "products" if name in products else "other"
            total[kind, shapes.get(name, "")] += (at - last) / len(active)
        if is_start:
            active.add(i)
        else:
            active.discard(i)
        last = at
    rows = [
        (kind, shape, microseconds / 1e3 / num_updates)
        for (kind, shape), microseconds in total.most_common()
    ]
    return pd.DataFrame(rows, columns=["kind", "shape", "ms_per_update"])


def main() -> None:
    """Profiles both sizes in both forms."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    frames, update_ms = [], {}
    for size in UPDATES:
        for form in ("plain", "feature-major"):
            milliseconds, rows = profile(size, form == "plain")
            update_ms[f"{size}, {form}"] = round(milliseconds, 2)
            rows.insert(0, "form", form)
            rows.insert(0, "size", size)
            frames.append(rows[rows["ms_per_update"] >= 0.01])
    results_folder.write_frame(folder / "profile.csv", pd.concat(frames))
    manifest = {
        "command": f"python -m benchmarks.speed.profile_update {folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "update_ms": update_ms,
        **describe_environment(),
    }
    results_folder.write_json(folder / "manifest.json", manifest)
    for frame in frames:
        sys.stdout.write(frame.head(12).to_string(index=False) + "\n")
    sys.stdout.write(json.dumps(update_ms, indent=2) + "\n")


if __name__ == "__main__":
    main()
