"""Differences between one device and several virtual ones, after 20 updates.

Question  Does the number of devices change anything but rounding?
Run       python -m benchmarks.pages.many_devices docs/runs/devices
Time      two minutes on 2 CPU cores

The cases are those of `tests/training/test_many_devices.py`, which compares
them with limits; this script writes the differences. Gradients are clipped
hard, so that it shows where they are clipped.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.pages.device_cases import train_all
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.commits import current_commit
from tiny_gpt.runtime.environment import describe_environment

# Backend, case and what it is compared with.
COMPARED = (
    *(("jax", f"eight_seeds:{n}", "eight_seeds:1") for n in (2, 4, 8)),
    *(("jax", f"one_seed:{n}", "one_seed:1") for n in (2, 4, 8)),
    ("jax", "fit:4", "fit:1"),
    ("jax", "fit:4", "one_seed:1"),
    ("tensorflow", "fit:2", "fit:1"),
    ("tensorflow", "fit_continued:2", "fit:1"),
    ("tensorflow", "fit_per_replica:2", "fit:1"),
)


def main() -> None:
    """Trains all cases, and writes the table and its manifest."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    commit, start = current_commit(), time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        found = train_all(Path(temporary))
    lines: list[tuple[str, ...]] = [
        ("backend", "case", "against", "losses, relative", "logits, absolute"),
        ("---", "---", "---", "---:", "---:"),
    ]
    for backend, case, other in COMPARED:
        arrays = found[backend]
        losses, logits = (
            (arrays[f"{case}:{name}"], arrays[f"{other}:{name}"])
            for name in ("losses", "logits")
        )
        differences = (
            np.max(abs(losses[0] - losses[1]) / losses[1]),
            np.max(abs(logits[0] - logits[1])),
        )
        lines.append((backend, case, other, *(f"{d:.1e}" for d in differences)))
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    results_folder.write_text(folder / "table.md", table)
    unused = ("backend", "precision")  # of this process, which only compares
    manifest = {
        "command": f"python -m benchmarks.pages.many_devices {folder}",
        "commit": commit,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_s": round(time.perf_counter() - start, 1),
        "precision": "float32",
        "seeds": "0 to 7, and 0",
        **{k: v for k, v in describe_environment().items() if k not in unused},
    }
    results_folder.write_json(folder / "manifest.json", manifest)
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
