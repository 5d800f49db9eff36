"""Learning rate and weight decay of arithmetic, without any row of h.

Question  With which of them does a network learn the operation f, and not its
          table by heart?
Run       KERAS_BACKEND=jax python -m benchmarks.choices.choose_arithmetic
          docs/runs/arithmetic_rates
Time      14 minutes, 2 cores, partly beside other work

Rule, written before the first run. Each network reads three quarters of the
rows of f, the whole of g, and empty windows in place of those of h, for 200
epochs, with seeds 1000 to 1002, at each rate and decay of the grid. Those are
chosen with which it answers most rows of f that it has not read: mean over
seeds, after the last epoch. Of two alike, the smaller decay is taken, then the
smaller rate. If this mean is below 0.9 for a network, both are trained for 400
epochs instead, and the rule is applied once more; what it then chooses stands,
whatever its mean. The study trains as many epochs, and reads all rows of f.
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

RATES, DECAYS = (1e-3, 3e-3), (0.0, 0.1, 1.0)
NUM_EPOCHS, ENOUGH = (200, 400), 0.9
COLUMNS = ("network", "num_epochs", "learning_rate", "weight_decay")


def without_h(
    name: str, num_epochs: int, rate: float, decay: float
) -> Experiment:
    """Returns a network that reads three quarters of f, and g."""
    base = STUDY.build("quick", f"{name}_real")
    num_held_out = base.task.num_rows // 4
    return dataclasses.replace(
        base,
        condition=f"{name}_{num_epochs}_{rate:g}_{decay:g}",
        task=dataclasses.replace(
            base.task, num_shown=0, num_held_out=num_held_out
        ),
        train=dataclasses.replace(
            base.train,
            num_epochs=num_epochs,
            learning_rate=rate,
            weight_decay=decay,
        ),
        evaluation=dataclasses.replace(base.evaluation, every=num_epochs),
    )


def tabulate(num_epochs: int) -> pd.DataFrame:
    """Trains all networks, and returns their accuracies on f, a row a seed."""
    grid = itertools.product(NETWORKS, (num_epochs,), RATES, DECAYS)
    experiments = {place: without_h(*place) for place in grid}
    frames = train(experiments.values())
    rows = []
    for place, experiment in experiments.items():
        frame = frames[experiment.condition]
        asked = frame[
            (frame["mapping"] == "f")
            & (frame["metric"] == "accuracy_aligned")
            & (frame["epoch"] == num_epochs)
        ]
        by_tier = asked.pivot_table("value", "seed", "tier")
        for seed, row in by_tier.iterrows():
            accuracies = row["seen_sentences"], row["unseen_sentences"]
            rows.append((*place, seed, *accuracies))
    return pd.DataFrame(rows, columns=[*COLUMNS, "seed", "read", "unread"])


def choose(table: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Returns rate, decay and mean accuracy by network, see the rule."""
    means = table.groupby([*COLUMNS])["unread"].mean().round(6).reset_index()
    order = ["unread", "weight_decay", "learning_rate"]
    means = means.sort_values(order, ascending=[False, True, True])
    best = means.drop_duplicates("network").set_index("network")
    return {
        str(name): (row["learning_rate"], row["weight_decay"], row["unread"])
        for name, row in best.iterrows()
    }


def main(folder: Path) -> None:
    """Writes the table and the manifest, and prints what is chosen."""
    tables, chosen, used = [], {}, 0
    for num_epochs in NUM_EPOCHS:
        used = num_epochs
        tables.append(tabulate(num_epochs))
        chosen = choose(tables[-1])
        if min(mean for *_, mean in chosen.values()) >= ENOUGH:
            break
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.concat(tables)
    table.to_csv(folder / "rates.csv", index=False, float_format="%.6g")
    manifest = {
        "command": f"python -m {__spec__.name} {folder}",
        "seeds": list(SEEDS),
        "chosen": chosen,
        "num_epochs": used,
        **describe_environment(),
    }
    write_json(folder / "manifest.json", manifest)
    sys.stdout.write(f"{table.to_string()}\n{json.dumps(manifest, indent=2)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
