"""Chooses the quick preset, without looking at A->C.

Candidates differ in window, batch size and learning rate. Each is trained on
`no_a_to_c`, whose stream holds no A->C at all, with seeds that are not among
the default ones, and only A->B and B->C are evaluated.

Rule, committed before the run: a candidate is settled at the first epoch
from which A->B and B->C stay at 0.99 or above, with every seed, for ten
epochs (`accuracy_last_10` averages ten). It then costs that many epochs,
the ten included, times its mean seconds per epoch. The cheapest one becomes
the preset, its epochs rounded up to a multiple of 5.

The starting point (width 64, two pre-norm blocks, one token per word, Adam
3e-3, batch 64, window 30) came from a prototype in which A->C had been seen
at 0.97 after ten epochs: that was known, and nothing else of A->C is used.

Run: KERAS_BACKEND=jax python -m benchmarks.choose_quick docs/quick_preset
"""

import dataclasses
import itertools
import json
import sys
import time
from pathlib import Path

import pandas as pd

from experiments.triangle import build_experiment
from tiny_gpt.devices import describe
from tiny_gpt.train import Experiment, run

SEEDS = (1000, 1001, 1002)
NUM_EPOCHS = 30
STEADY = 10
THRESHOLD = 0.99


def candidates() -> list[Experiment]:
    """Returns the quick preset with other windows, batches and rates."""
    quick = build_experiment("quick", "no_a_to_c")
    return [
        dataclasses.replace(
            quick,
            eval_mappings=("A->B", "B->C"),
            model=dataclasses.replace(quick.model, sequence_length=length),
            train=dataclasses.replace(
                quick.train,
                num_epochs=NUM_EPOCHS,
                batch_size=batch_size,
                learning_rate=learning_rate,
            ),
        )
        for length, batch_size, learning_rate in itertools.product(
            (30, 45), (64, 128), (3e-3, 1e-3)
        )
    ]


def settled_at(metrics: pd.DataFrame) -> int | None:
    """Returns the first epoch from which the worst seed and mapping stays."""
    accuracy = metrics[metrics["metric"] == "accuracy_aligned"]
    worst = accuracy.groupby("epoch")["value"].min()
    for epoch in worst.index[: len(worst) - STEADY + 1]:
        if (worst.loc[epoch : epoch + STEADY - 1] >= THRESHOLD).all():
            return int(epoch)
    return None


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows, frames = [], []
    start = time.perf_counter()
    for experiment in candidates():
        runs = [run(experiment, seed) for seed in SEEDS]
        metrics = pd.concat([r.metrics for r in runs])
        epoch_s = sum(r.wall_s for r in runs) / len(SEEDS) / NUM_EPOCHS
        settled = settled_at(metrics)
        epochs = None if settled is None else settled + STEADY - 1
        row = {
            "sequence_length": experiment.model.sequence_length,
            "batch_size": experiment.train.batch_size,
            "learning_rate": experiment.train.learning_rate,
            "settled_at": settled,
            "epochs": epochs,
            "epoch_s": round(epoch_s, 2),
            "cost_s": None if epochs is None else round(epochs * epoch_s, 1),
        }
        rows.append(row)
        keys = ("sequence_length", "batch_size", "learning_rate")
        frames.append(metrics.assign(**{key: row[key] for key in keys}))
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()
    pd.DataFrame(rows).to_csv(folder / "candidates.csv", index=False)
    pd.concat(frames).to_csv(folder / "metrics.csv.gz", index=False)
    manifest = {
        **describe(),
        "seeds": SEEDS,
        "command": "python -m benchmarks.choose_quick",
        "wall_s": round(time.perf_counter() - start, 1),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
