"""Updates per second of each network, relative to the GPT's.

Question  What does an update of each network cost?
Run       KERAS_BACKEND=jax NPROC=1 taskset --cpu-list 0
          python -m benchmarks.speed.networks docs/runs/networks_speed
Time      five minutes beside other work

Networks of `experiments.networks`, in the size of the quick preset: one batch
of 64 windows of 30 tokens, `compile_gpt` and `train_on_batch`. Networks take
turns, so that ratios hold on a machine with other work. Operations are counted
(`count_operations`), not measured.
"""

import sys
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from experiments.networks import REFERENCE, SAYS, network
from tiny_gpt.commands.quick import TRAIN
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.runtime.files import write_json
from tiny_gpt.training.update import compile_gpt

NUM_ROUNDS, NUM_STEPS = 9, 10


def measure() -> pd.DataFrame:
    """Returns a row per network: size, state, operations, time of an update.

    Columns network, parameters, state, operations, update_ms and
    time_over_gpt, the median over rounds of the ratio within a round.
    """
    trainers: dict[str, tuple[keras.Model, np.ndarray]] = {}
    step_s: dict[str, list[float]] = {name: [] for name in SAYS}
    for name in SAYS:
        config = network(name)
        model = config.build()
        initialise_weights(model, np.random.default_rng(0))
        compile_gpt(model, TRAIN)
        shape = TRAIN.batch_size, config.sequence_length + 1
        tokens = np.random.default_rng(1).integers(
            1, config.vocabulary_size, shape
        )
        trainers[name] = model, tokens.astype("int32")
    for number in range(NUM_ROUNDS + 1):
        for name, (model, tokens) in trainers.items():
            start = time.perf_counter()
            for _ in range(NUM_STEPS):
                model.train_on_batch(tokens[:, :-1], tokens[:, 1:])
            if number > 0:  # the first round compiles
                seconds = (time.perf_counter() - start) / NUM_STEPS
                step_s[name].append(seconds)
    rows = []
    reference = np.array(step_s[REFERENCE])
    for name, (model, _) in trainers.items():
        config, taken = network(name), np.array(step_s[name])
        rows.append(
            {
                "network": name,
                "parameters": model.count_params(),
                "state": config.count_state(),
                "operations": config.count_operations(TRAIN.batch_size),
                "update_ms": round(1000 * float(np.median(taken)), 2),
                "time_over_gpt": round(float(np.median(taken / reference)), 2),
            }
        )
    return pd.DataFrame(rows)


def main(folder: Path) -> None:
    """Writes the table and its manifest."""
    table = measure()
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "speed.csv", index=False)
    manifest = {
        "command": f"python -m {__spec__.name} {folder}",
        "rounds": NUM_ROUNDS,
        "steps": NUM_STEPS,
        **describe_environment(),
    }
    write_json(folder / "manifest.json", manifest)
    sys.stdout.write(f"{table.to_string()}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
