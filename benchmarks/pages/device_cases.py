"""The cases of `device_worker.py`, trained on both backends."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

WORKER = Path(__file__).parent / "device_worker.py"
CASES = {
    "jax": [
        *(f"eight_seeds:{n}" for n in (8, 4, 2, 1)),
        *(f"one_seed:{n}" for n in (1, 2, 4, 8)),
        *(f"fit:{n}" for n in (1, 4)),
    ],
    "tensorflow": [
        *(f"fit:{n}" for n in (1, 2)),
        "fit_continued:2",
        "fit_per_replica:2",
        *(f"fit_sgd:{n}" for n in (1, 2)),
        "fit_unclipped:1",
    ],
}


def train_all(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Trains all cases, both backends at the same time.

    Returns:
        By backend, losses, norms, logits and facts of each case.

    Raises:
        RuntimeError: if a worker fails.
    """
    started = {}
    for backend, cases in CASES.items():
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": str(WORKER.parents[2]),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            # A program is compiled for each device: fast, rather than well,
            # and once for all cases.
            "XLA_FLAGS": "--xla_backend_optimization_level=0 "
            "--xla_llvm_disable_expensive_passes=true",
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        file = str(folder / f"{backend}.npz")
        started[backend] = subprocess.Popen(
            [sys.executable, str(WORKER), file, *cases],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    for process in started.values():
        _, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(errors[-2000:])
    return {b: dict(np.load(folder / f"{b}.npz")) for b in started}
