"""The parts of an update on one core: each is left out in turn.

Question  How much faster could an update of the quick model become?
Run       KERAS_BACKEND=jax NPROC=1 taskset --cpu-list 0
          python -m benchmarks.speed.ablate_update docs/runs/ablation
Time      about 2 minutes

An update without a part computes something else, and its time says what the
part costs inside the fused program. What is left without all of them is
products with weights, loss and optimizer. One thread, as each run of an
experiment has. The forms are measured in turn, `ROUNDS` times; a round is the
fastest of three epochs.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from experiments.controls import build_experiment
from tiny_gpt.models import fast_cpu
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.commits import current_commit
from tiny_gpt.runtime.environment import describe_environment, set_precision
from tiny_gpt.training.epoch_program import EpochProgram
from tiny_gpt.training.run_files import state_of
from tiny_gpt.training.update import compile_gpt

ROUNDS = 5
NUM_BATCHES = 26
# What stands in place of a part: as cheap as can be, of the same shape.
PARTS: dict[str, Callable[..., Any]] = {
    "gelu": lambda z: jnp.maximum(z, 0),
    "attend": lambda qkv, length, scale: qkv[0] + qkv[1] + qkv[2],
    "layer_norm": lambda z, scale, shift, epsilon: (
        z * scale[:, None] + shift[:, None]
    ),
}


class Form:
    """A compiled epoch, some of whose parts are left out.

    Args:
        without: names in `fast_cpu`.
    """

    def __init__(self, without: tuple[str, ...]):
        experiment = build_experiment("quick", "sparse_a_to_c")
        config, size = experiment.model, experiment.train.batch_size
        rng = np.random.default_rng(0)
        shape = (2, NUM_BATCHES, size, config.sequence_length)
        tokens = rng.integers(0, config.vocabulary_size, shape, "int32")
        ones = np.ones((NUM_BATCHES, size), "float32")
        self._args = (*tokens, ones, NUM_BATCHES)
        with contextlib.ExitStack() as stack:
            for name in without:
                stack.callback(setattr, fast_cpu, name, getattr(fast_cpu, name))
                setattr(fast_cpu, name, PARTS[name])
            model = config.build()
            compile_gpt(model, experiment.train)
            self._program = EpochProgram(model)
            self._state, _ = self._program(state_of(model), *self._args)

    def update_ms(self) -> float:
        """Returns milliseconds of an update, the least of three epochs."""
        found = []
        for _ in range(3):
            start = time.perf_counter()
            self._state, _ = self._program(self._state, *self._args)
            jax.block_until_ready(self._state)
            found.append(time.perf_counter() - start)
        return 1000 * min(found) / NUM_BATCHES


def main() -> None:
    """Measures all forms, and writes a row for each form and round."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    set_precision("float32")
    load = os.getloadavg()
    forms = {
        "whole": Form(()),
        **{f"without {name}": Form((name,)) for name in PARTS},
        "without all": Form(tuple(PARTS)),
    }
    rows = [
        (name, number, round(form.update_ms(), 3))
        for number in range(ROUNDS)
        for name, form in forms.items()
    ]
    frame = pd.DataFrame(rows, columns=["form", "round", "update_ms"])
    results_folder.write_frame(folder / "ablation.csv", frame)
    manifest = {
        "command": "KERAS_BACKEND=jax NPROC=1 taskset --cpu-list 0 python -m "
        f"benchmarks.speed.ablate_update {folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": current_commit(),
        "load_at_start": load,
        **describe_environment(),
    }
    results_folder.write_json(folder / "manifest.json", manifest)
    table = frame.groupby("form", sort=False)["update_ms"].median()
    sys.stdout.write(f"{table.to_string()}\n")


if __name__ == "__main__":
    main()
