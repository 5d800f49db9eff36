"""Learning rates by condition, optimizer and positions, without seeing A->C.

Question  Is the preset's learning rate the right one for each condition, and
          which one has plain SGD? Do networks with other positions learn the
          majority at all?
Run       KERAS_BACKEND=jax python -m benchmarks.choices.choose_rates
          docs/runs/condition_rates
Time      about 8 minutes

Each candidate is trained without any A->C pair, with seeds 1000 to 1002, and
only its majority mappings are asked. Rule, written before the run: a seed has
settled at the first epoch from which both mappings stay at 90 % or more; the
rate at which the slowest seed settles first is the one of the condition. Of
two that settle in the same epoch, the one nearer to the preset's is taken.
"""

import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import controls
from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.train import run_all
from tiny_gpt.training.run_setup import Job

SEEDS = (1000, 1001, 1002)
SETTLED = 0.9
RATES = (1e-3, 3e-3, 1e-2)
SGD_RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
CONDITIONS = ("sparse_a_to_c", "no_route_to_c", "unrelated_majority")
POSITIONS = ("learned", "sinusoidal", "none")


def without_a_to_c(condition: str, name: str, **train: Any) -> Experiment:
    """Returns a control without its A->C pairs, which asks its majority."""
    experiment = controls.build_experiment("quick", condition)
    mixture = experiment.task.mixture
    components = tuple(
        dataclasses.replace(c, num_pairs=c.num_pairs * (c.mapping != "A->C"))
        for c in mixture.components
    )
    task = dataclasses.replace(
        experiment.task,
        mixture=dataclasses.replace(mixture, components=components),
        eval_mappings=controls.CONTROLS[condition].majority,
        pivots=(),
    )
    evaluation = dataclasses.replace(
        experiment.evaluation,
        exact_demonstrations=(),
        is_asked_after_others=False,
    )
    return dataclasses.replace(
        experiment,
        name="choice",
        condition=name,
        task=task,
        train=dataclasses.replace(experiment.train, **train),
        evaluation=evaluation,
    )


def candidates() -> dict[str, dict[float, Experiment]]:
    """Returns experiments by what is chosen for, and by learning rate."""
    by_condition = {
        condition: {
            rate: without_a_to_c(
                condition, f"{condition}_{rate:g}", learning_rate=rate
            )
            for rate in RATES
        }
        for condition in CONDITIONS
    }
    sgd = {
        rate: without_a_to_c(
            "sparse_a_to_c",
            f"sgd_{rate:g}",
            optimizer="sgd",
            learning_rate=rate,
            clipnorm=None,
        )
        for rate in SGD_RATES
    }
    base = without_a_to_c("sparse_a_to_c", "positions")
    positions = {
        f"positions {kind}": {
            base.train.learning_rate: dataclasses.replace(
                base,
                condition=f"positions_{kind}",
                model=dataclasses.replace(base.model, positions=kind),
            )
        }
        for kind in POSITIONS
    }
    return {**by_condition, "plain SGD": sgd, **positions}


def settles(curves: pd.DataFrame) -> float:
    """Returns the first epoch from which all mappings stay high; else inf.

    Args:
        curves: accuracy by epoch (rows) and mapping (columns).
    """
    is_high = (curves >= SETTLED).all(axis=1)
    low = is_high.index[~is_high]
    if not len(low):
        return float(is_high.index[0])
    later = is_high.index[is_high.index > low[-1]]
    return float(later[0]) if len(later) else math.inf


def main(folder: Path) -> None:
    """Trains all candidates, and writes table and manifest."""
    start, rows = time.perf_counter(), []
    chosen = candidates()
    places = {
        experiment.condition: (what, rate, experiment)
        for what, by_rate in chosen.items()
        for rate, experiment in by_rate.items()
    }
    jobs = [Job(e, seed) for *_, e in places.values() for seed in SEEDS]
    for job, run in run_all(jobs):
        what, rate, experiment = places[job.experiment.condition]
        frame = run.metrics
        asked = frame[
            (frame["metric"] == experiment.evaluation.accuracy)
            & (frame["tier"] == "all")
        ]
        curves = asked.pivot_table(
            index="epoch", columns="mapping", values="value"
        )
        last = float(curves.iloc[-1].min())
        rows.append((what, rate, job.seed, settles(curves), round(last, 4)))
    columns = ["what", "learning_rate", "seed", "settled", "last_accuracy"]
    table = pd.DataFrame(rows, columns=columns).sort_values(columns[:3])
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "rates.csv", index=False)
    manifest = {
        "command": f"python -m {__spec__.name} {folder}",
        "seeds": list(SEEDS),
        "wall_s": round(time.perf_counter() - start, 1),
        **describe_environment(),
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (folder / "manifest.json").write_text(text)
    slowest = table.groupby(columns[:2])["settled"].max()
    sys.stdout.write(f"{slowest.to_string()}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
