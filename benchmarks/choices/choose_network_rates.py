"""Learning rates of the networks, without seeing A->C.

Question  At which rate does each network learn the majority first?
Run       KERAS_BACKEND=jax python -m benchmarks.choices.choose_network_rates
          docs/runs/network_rates [NETWORK ...]
Time      30 minutes beside other work; networks that are named are made anew,
          and the others kept

Rule. Each network reads the text of `controls/sparse_a_to_c` without its A->C
pairs, for 30 epochs, with seeds 1000 to 1002; A->B and B->C are asked. As in
`choose_quick`, a rate is settled at the first epoch from which both stay at
0.99 or above, with every seed, for ten epochs. The rate that settles first is
the network's. If none does, 0.90 takes the place of 0.99. Of two that settle
in the same epoch, the one nearer to the preset's (3e-3, in factors) is taken,
and of two as near the smaller one. A rate at the edge of the grid that wins
extends it by a factor of about three, until an inner one wins. If none
settles at 0.90 either, the rate with the highest accuracy wins (of the worst
seed and mapping, mean of the last ten epochs).

Amended once. The rule was committed before the first run, without the sentence
about 0.90. GRU, LSTM and minGRU then settled at no rate, and the last rule
chose by epochs 21 to 30, which the study, with its 15 epochs, does not have:
3e-4 for the GRU, at which it needs longer than that. The amendment was made
before any A->C of these networks had been looked at, and the three were
trained again.

Afterwards, and for show alone, each network reads the same text with its 50
A->C pairs at every rate, with the epochs of the preset and the same seeds
(`shown.csv`).
"""

import dataclasses
import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.choices.choose_quick import (
    SEEDS,
    STEADY,
    THRESHOLD,
    settled_at,
)
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
COLUMNS = (
    "network",
    "learning_rate",
    "settled_at",
    "settled_at_90",
    "last_accuracy",
)
LOWER = 0.9


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
        rows: its rows of the table, columns `COLUMNS`; `settled_at` and
            `settled_at_90` are inf for a rate that does not settle.
    """
    best = rows[rows["last_accuracy"] == rows["last_accuracy"].max()]
    for column in ("settled_at", "settled_at_90"):
        first = rows[column].min()
        if math.isfinite(first):
            best = rows[rows[column] == first]
            break
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
    settled = [settled_at(frame, x) for x in (THRESHOLD, LOWER)]
    asked = frame[
        (frame["metric"] == "accuracy_aligned") & (frame["tier"] == "all")
    ]
    last = asked[asked["epoch"] > asked["epoch"].max() - STEADY]
    by_mapping = last.groupby(["seed", "mapping"])["value"].mean()
    accuracy = round(float(by_mapping.min()), 4)
    first, lower = (math.inf if x is None else x for x in settled)
    return name, rate, first, lower, accuracy


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


def show(places: dict[str, tuple[str, float]]) -> pd.DataFrame:
    """Returns A->C's accuracy at the end, by network, rate and seed.

    Args:
        places: network and learning rate, by condition.
    """
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
    return pd.concat(parts)[[*columns, "value"]]


def joined(path: Path, new: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Returns a table with the rows of the networks that are not named."""
    if not path.exists():
        return new
    old = pd.read_csv(path)
    found = pd.concat([old[~old["network"].isin(names)], new])
    return found.sort_values(list(found.columns[:2]), kind="stable")


def main(folder: Path, names: Sequence[str]) -> None:
    """Writes both tables and the manifest, and prints what is chosen."""
    start = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    table = joined(folder / "rates.csv", choose_all(names), names)
    table.to_csv(folder / "rates.csv", index=False)
    chosen = {name: choose(table[table["network"] == name]) for name in SAYS}
    sys.stdout.write(f"{table.to_string()}\n{chosen}\n")
    own = table[table["network"].isin(names)]
    rates = zip(own["network"], own["learning_rate"], strict=True)
    found = show({f"{name}_{rate:g}": (name, rate) for name, rate in rates})
    shown = joined(folder / "shown.csv", found, names)
    shown.to_csv(folder / "shown.csv", index=False)
    manifest = {
        "command": f"python -m {__spec__.name} {folder}",
        "made_anew": sorted(names) if set(names) < set(SAYS) else [],
        "seeds": list(SEEDS),
        "chosen": chosen,
        "wall_s": round(time.perf_counter() - start, 1),
        **describe_environment(),
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (folder / "manifest.json").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(SAYS))
