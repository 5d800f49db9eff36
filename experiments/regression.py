"""Regression in context: does a network become the exact predictor?

Question  Windows show noisy linear functions, each a weight vector of a pool,
          or a fresh one. Does the network predict as the ridge regression, as
          the exact predictor that knows the pool, or as neither?
Paper     Names regression as what its results may not cover (sec. 4.1). The
          windows are those of Garg et al. 2022, arXiv 2208.01066; pools and
          their exact predictor, of Raventos et al. 2023, arXiv 2306.15063.
Run       KERAS_BACKEND=jax python -m experiments.regression OUT --seeds 3
          --first-seed 1000 --jobs 2
Time      6 minutes of one core

A window is `x_1 y_1 x_2 y_2 ...`, and is read once; the loss is the squared
error of each y. The tasks of `tiny_gpt/tasks` are texts: token ids and a
cross-entropy. This one is numbers, so it has a training of its own, Keras's
`fit`. Blocks, sizes, learning rate, clipping and batch are those of the quick
preset (`networks`). Nothing was tuned. It is exploratory: no rules.

Each network is asked on windows of its pool and on fresh ones, the same after
each epoch, and so are the exact predictors: "mixture", which knows the prior
that the network is trained on, "ridge", to which all windows are fresh, and
"zero". The same command continues an interrupted one.
"""

import argparse
import functools
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from experiments.regression_curves import draw, write_table
from experiments.regression_training import Condition, Size, train
from tiny_gpt.commands.progress import time_left
from tiny_gpt.commands.reserved import check_reserved
from tiny_gpt.runtime.checks import check_whole
from tiny_gpt.runtime.commits import current_commit
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.runtime.files import (
    DamagedFileError,
    differences,
    seal,
    set_aside,
    unseal,
    write_json,
    write_text,
)
from tiny_gpt.runtime.processes import ProcessPool
from tiny_gpt.runtime.results_folder import write_frame

NAME = "regression"
# Of the frame. Exact predictors do not train: their epoch and step are 0.
COLUMNS = (
    *("condition", "network", "seed", "epoch", "step"),
    *("num_pairs", "set", "reader", "squared_error"),
)
Place = tuple[str, int]  # condition and seed
CONDITIONS = {
    "gpt_pool_1": Condition("gpt", 1),
    "gpt_pool_16": Condition("gpt", 16),
    "gpt_fresh": Condition("gpt"),
    "gru_fresh": Condition("gru"),
}


def read_or_train(
    path: Path, condition: Condition, size: Size, seed: int
) -> tuple[dict[str, Any], bool]:
    """Returns a run, and whether it was there.

    Args:
        path: file of the run; a damaged one is set aside.
        condition: what is trained.
        size: sizes of the windows and of the training.
        seed: of the run.

    Raises:
        ValueError: if the file holds a run of another configuration.
    """
    config = {"condition": asdict(condition), "size": asdict(size)}
    try:
        kept = unseal(path)
        if kept["config"] != config:
            raise ValueError(
                "A folder holds the runs of one configuration; choose another. "
                f"Received: {path}, whose configuration differs: "
                f"{differences(kept['config'], config)}"
            )
        return kept, True
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    except DamagedFileError:
        set_aside(path)
    run = {"config": config, **train(condition, size, seed)}
    write_text(path, seal(run))
    return run, False


def run_all(
    folder: Path,
    names: Sequence[str],
    seeds: Sequence[int],
    size: Size,
    num_jobs: int = 1,
) -> dict[Place, dict[str, Any]]:
    """Trains what is not there yet, all conditions of a seed in turn.

    Args:
        folder: of the results.
        names: of `CONDITIONS`.
        seeds: of the runs.
        size: sizes of the windows and of the training.
        num_jobs: runs at once; with 1, in this process.

    Returns:
        The runs, see `train`, by condition and seed.
    """
    places = [(name, seed) for seed in seeds for name in names]
    work = functools.partial(_run_one, folder, size)
    runs, num_done, start = {}, 0, time.perf_counter()
    console = Console(highlight=False, soft_wrap=True)
    with ProcessPool(num_jobs) as pool:
        results = (
            pool.map(work, places)
            if num_jobs > 1
            else ((place, work(place)) for place in places)
        )
        for place, (run, was_there) in results:
            runs[place] = run
            num_done += not was_there
            seconds = time.perf_counter() - start
            left = time_left(num_done, len(places) - len(runs), seconds)
            state = "was finished before" if was_there else f"finished  {left}"
            console.print(f"{place[0]}  seed {place[1]}  {state}")
    return {place: runs[place] for place in places}


def _run_one(
    folder: Path, size: Size, place: Place
) -> tuple[dict[str, Any], bool]:
    name, seed = place
    path = folder / "runs" / f"{name}_seed_{seed}.json"
    return read_or_train(path, CONDITIONS[name], size, seed)


def frame_of(runs: Mapping[Place, Mapping[str, Any]]) -> pd.DataFrame:
    """Returns the frame of all runs, columns `COLUMNS`."""
    rows = [
        (name, CONDITIONS[name].network, seed, *row)
        for (name, seed), run in runs.items()
        for row in run["metrics"]
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def main(arguments: Sequence[str], size: Size | None = None) -> None:
    """Trains, and writes the frames, the manifest, the table and the figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--conditions",
        nargs="+",
        choices=tuple(CONDITIONS),
        default=list(CONDITIONS),
    )
    given, size = parser.parse_args(arguments), size or Size()
    check_whole("seeds", given.seeds, 1)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    check_reserved(seeds, NAME, "quick")
    runs = run_all(given.out, given.conditions, seeds, size, given.jobs)
    metrics = frame_of(runs)
    events = [
        {"condition": name, "seed": seed, **event}
        for (name, seed), run in runs.items()
        for event in run["events"]
    ]
    write_frame(given.out / "metrics.csv", metrics)
    write_frame(given.out / "events.csv", pd.DataFrame(events))
    write_json(
        given.out / "manifest.json",
        {
            "command": f"python -m experiments.{NAME} {' '.join(arguments)}",
            "seeds": list(seeds),
            "conditions": {n: asdict(CONDITIONS[n]) for n in given.conditions},
            "size": asdict(size),
            "commit": current_commit(),
            **{
                unit: round(sum(run[unit] for run in runs.values()), 1)
                for unit in ("wall_s", "cpu_s")
            },
            **describe_environment(),
        },
    )
    write_text(given.out / "table.md", write_table(metrics))
    draw(metrics).savefig(given.out / f"{NAME}.png", dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
