"""Learning rates of the networks, without seeing A->C.

Question  At which rate does each network learn the majority first?
Run       KERAS_BACKEND=jax python -m benchmarks.choices.choose_network_rates
          docs/runs/network_rates
Time      not measured yet

Rule, written before the run. Each network reads the text of
`controls/sparse_a_to_c` without its A->C pairs, for 30 epochs, with seeds 1000
to 1002; A->B and B->C are asked. As in `choose_quick`, a rate is settled at
the first epoch from which both stay at 0.99 or above, with every seed, for ten
epochs. The rate that settles first is the network's. Of two that settle in the
same epoch, the one nearer to the preset's (3e-3, in factors) is taken, and of
two as near the smaller one. A rate at the edge of the grid that wins extends
it by a factor of about three, until an inner one wins. If none settles, the
rate with the highest accuracy wins (of the worst seed and mapping, mean of the
last ten epochs).

Afterwards, and for show alone, each network reads the same text with its 50
A->C pairs at every rate, with the epochs of the preset and the same seeds
(`shown.csv`).
"""

import dataclasses
import json
import math
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.choices.choose_quick import SEEDS, STEADY, settled_at
from benchmarks.choices.choose_rates import without_a_to_c
from experiments.composition import Change, build
from experiments.networks import SAYS, network
from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.train import run_all
from tiny_gpt.training.run_setup import Job

RATES = (1e-3, 3e-3, 1e-2)
PRESET_RATE = 3e-3
NUM_EPOCHS = 30
COLUMNS = ("network", "learning_rate", "settled_at", "last_accuracy")


def majority_alone(name: str, rate: float) -> Experiment:
    """Returns a network that reads no A->C."""
    experiment = without_a_to_c(
        "sparse_a_to_c",
        f"{name}_{rate:g}",
        learning_rate=rate,
        num_epochs=NUM_EPOCHS,
    )
    return dataclasses.replace(experiment, model=network(name))


def with_a_to_c(name: str, rate: float) -> Experiment:
    """Returns a network that reads 50 pairs of A->C."""
    condition = f"{name}_{rate:g}"
    experiment = build("choice", condition, Change("", held_out=0))
    train = dataclasses.replace(experiment.train, learning_rate=rate)
    return dataclasses.replace(experiment, model=network(name), train=train)


def next_rate(rates: Iterable[float], up: bool) -> float:
    """Returns the next rate of 1, 3, 10, 30, ... beyond a grid."""
    edge = max(rates) if up else min(rates)
    power = math.floor(math.log10(edge) + 1e-9)
    is_one = round(edge / 10**power) == 1
    if up:
        return float(f"{3 if is_one else 10}e{power}")
    return float(f"{3 if is_one else 1}e{power - is_one}")


def choose(rows: pd.DataFrame) -> float:
    """Returns the rate of one network.

    Args:
        rows: its rows of the table, columns `COLUMNS`; `settled_at` is inf
            for a rate that does not settle.
    """
    best = rows[rows["settled_at"] == rows["settled_at"].min()]
    if math.isinf(best["settled_at"].iloc[0]):
        best = rows[rows["last_accuracy"] == rows["last_accuracy"].max()]
    distance = (best["learning_rate"] / PRESET_RATE).map(math.log).abs()
    # Rates of 1, 3, 10 are not quite equally far apart.
    nearest = best[distance.round(0) == distance.round(0).min()]
    return float(nearest["learning_rate"].min())


def train(experiments: Iterable[Experiment]) -> dict[str, pd.DataFrame]:
    """Returns the frames of all seeds, by condition."""
    frames: dict[str, list[pd.DataFrame]] = {}
    jobs = [Job(each, seed) for each in experiments for seed in SEEDS]
    for job, run in run_all(jobs):
        name = job.experiment.condition
        frames.setdefault(name, []).append(run.metrics)
        sys.stdout.write(f"{name}  seed {job.seed}\n")
        sys.stdout.flush()
    return {name: pd.concat(found) for name, found in frames.items()}


def row_of(name: str, rate: float, frame: pd.DataFrame) -> tuple[Any, ...]:
    """Returns one row of the table, `COLUMNS`."""
    settled = settled_at(frame)
    asked = frame[
        (frame["metric"] == "accuracy_aligned") & (frame["tier"] == "all")
    ]
    last = asked[asked["epoch"] > asked["epoch"].max() - STEADY]
    by_mapping = last.groupby(["seed", "mapping"])["value"].mean()
    accuracy = round(float(by_mapping.min()), 4)
    return name, rate, math.inf if settled is None else settled, accuracy


def choose_all(names: Iterable[str]) -> pd.DataFrame:
    """Trains at all rates, and at further ones where the edge wins."""
    names, rows = list(names), []
    wanted = [(name, rate) for name in names for rate in RATES]
    while wanted:
        places = {f"{name}_{rate:g}": (name, rate) for name, rate in wanted}
        frames = train(majority_alone(*place) for place in wanted)
        rows += [row_of(*places[key], frame) for key, frame in frames.items()]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        wanted = []
        for name in names:
            own = table[table["network"] == name]
            rate, rates = choose(own), own["learning_rate"]
            if rate in (rates.min(), rates.max()):
                wanted.append((name, next_rate(rates, rate == rates.max())))
    return table.sort_values(list(COLUMNS[:2]))


def show(table: pd.DataFrame) -> pd.DataFrame:
    """Returns A->C's accuracy at the end, by network, rate and seed."""
    places = {
        f"{name}_{rate:g}": (name, rate)
        for name, rate in zip(
            table["network"], table["learning_rate"], strict=True
        )
    }
    frames = train(with_a_to_c(*place) for place in places.values())
    parts = []
    for key, frame in frames.items():
        name, rate = places[key]
        last = frame[
            (frame["metric"] == "accuracy_aligned")
            & (frame["tier"] == "unseen_sentences")
            & (frame["prompt"] == "2_demonstrations")
            & (frame["epoch"] == frame["epoch"].max())
        ][["mapping", "seed", "value"]]
        parts.append(last.assign(network=name, learning_rate=rate))
    columns = ["network", "learning_rate", "mapping", "seed"]
    return pd.concat(parts)[[*columns, "value"]].sort_values(columns)


def main(folder: Path) -> None:
    """Writes both tables and the manifest, and prints what is chosen."""
    start = time.perf_counter()
    table = choose_all(SAYS)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "rates.csv", index=False)
    chosen = {name: choose(table[table["network"] == name]) for name in SAYS}
    show(table).to_csv(folder / "shown.csv", index=False)
    manifest = {
        "command": f"python -m {__spec__.name} {folder}",
        "seeds": list(SEEDS),
        "chosen": chosen,
        "wall_s": round(time.perf_counter() - start, 1),
        **describe_environment(),
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (folder / "manifest.json").write_text(text)
    sys.stdout.write(f"{table.to_string()}\n{chosen}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
