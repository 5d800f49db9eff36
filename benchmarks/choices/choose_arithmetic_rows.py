"""Rows of h of `arithmetic_few`, by who reads h alone.

Question  With how many rows of h does a network fail without f and g?
Run       KERAS_BACKEND=jax python -m benchmarks.choices.choose_arithmetic_rows
          docs/runs/arithmetic_rows
Time      16 minutes beside other work

Rule, written before the first run. Each network reads h alone, as in
`arithmetic`, at each number of rows of the grid, with seeds 1000 to 1002. The
largest number is chosen with which it has fewer than half of the other rows
right: mean over seeds, after the last epoch. If there is none, the smallest of
the grid is taken. No variant in which f or g is read is looked at.
"""

import dataclasses
import itertools
import json
import sys
from pathlib import Path

import pandas as pd

from benchmarks.choices.choose_network_rates import train
from benchmarks.choices.choose_quick import SEEDS
from experiments.arithmetic import NETWORKS, STUDY
from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.runtime.files import write_json

ROWS, FEW = (14, 28, 42, 56, 70, 84, 98), 0.5


def alone(name: str, num_shown: int) -> Experiment:
    """Returns a network that reads rows of h, and nothing beside them."""
    base = STUDY.build("quick", f"{name}_alone")
    return dataclasses.replace(
        base,
        condition=f"{name}_{num_shown}",
        task=dataclasses.replace(base.task, num_shown=num_shown),
    )


def tabulate() -> pd.DataFrame:
    """Trains all networks, and returns their accuracies, a row a seed."""
    places = {
        f"{name}_{rows}": (name, rows)
        for name, rows in itertools.product(NETWORKS, ROWS)
    }
    frames = train(alone(*place) for place in places.values())
    rows = []
    for condition, frame in frames.items():
        last = frame[
            (frame["mapping"] == "h")
            & (frame["metric"] == "accuracy_aligned")
            & (frame["tier"] == "unseen_sentences")
            & (frame["epoch"] == frame["epoch"].max())
        ]
        for seed, value in zip(last["seed"], last["value"], strict=True):
            rows.append((*places[condition], seed, value))
    return pd.DataFrame(rows, columns=["network", "rows", "seed", "unread"])


def choose(table: pd.DataFrame) -> dict[str, int]:
    """Returns the number of rows by network, see the rule."""
    means = table.groupby(["network", "rows"])["unread"].mean().round(6)
    chosen = {}
    for name, own in means.groupby("network"):
        few = own[own < FEW].reset_index()["rows"]
        chosen[str(name)] = int(few.max()) if len(few) else min(ROWS)
    return chosen


def main(folder: Path) -> None:
    """Writes the table and the manifest, and prints what is chosen."""
    folder.mkdir(parents=True, exist_ok=True)
    table = tabulate()
    table.to_csv(folder / "rows.csv", index=False, float_format="%.6g")
    manifest = {
        "command": f"python -m {__spec__.name} {folder}",
        "seeds": list(SEEDS),
        "chosen": choose(table),
        **describe_environment(),
    }
    write_json(folder / "manifest.json", manifest)
    sys.stdout.write(f"{table.to_string()}\n{json.dumps(manifest, indent=2)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
