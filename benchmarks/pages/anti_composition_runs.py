"""Runs and measurements of `experiments/anti_composition.py`.

Question  What do the networks of anti-composition say, in numbers?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.anti_composition_runs
          docs/runs/anti_composition
Time      52 minutes of runs and 3 of measurements on 2 CPU cores, beside other
          work; it goes on where it stopped. With --measure, nothing is trained

Trained weights stay in results/anti_composition, so that a network can be
measured again. The folder gets the rows in which the page is interested.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pandas as pd

from experiments import anti_composition as study
from experiments.measurements.anti_composition import measure_network
from tiny_gpt.experiment import config_of
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.probes import Reader
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.commits import current_commit
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.training.finished import load_finished
from tiny_gpt.training.many_seeds import run_jobs
from tiny_gpt.training.run_files import Record
from tiny_gpt.training.run_setup import Job, draw_phases

WORK = Path("results/anti_composition")
# Of the exact evaluation.
KEPT = (
    "rank",
    "accuracy_in_language",
    "log_probability_in_language",
    "accuracy_aligned",
)
TIERS = ("all_sentences", "unseen_sentences")
# Measured in full; the others in brief, if A->C is not read.
FULL = (
    *(study.BASE, "tagged", "chain", "no_route", "no_positions"),
    *("frozen_head", "frozen_ends", "b_to_c_last", "a_to_b_last"),
)


def train(work: Path) -> None:
    """Trains what is missing, one condition after the other."""
    for condition in study.CHANGES:
        experiment = study.STUDY.build("quick", condition)
        jobs = []
        for seed in study.seeds_of(condition):
            record = work / condition / f"seed_{seed}"
            if not Record(experiment, seed, record).is_finished:
                jobs.append(Job(experiment, seed, record))
        for job, run in run_jobs(jobs):
            sys.stdout.write(f"{condition} {job.seed}: {run.wall_s:.0f} s\n")


def measure(work: Path, folder: Path) -> None:
    """Writes the frame and the manifest of all runs that are finished.

    Raises:
        ValueError: if a run is missing.
    """
    rows: list[tuple[Any, ...]] = []
    wall_s = {}
    for condition in study.CHANGES:
        frame, seconds = _exact(work, condition)
        rows += frame.itertuples(index=False, name=None)
        rows += _measured(work, condition)
        wall_s[condition] = round(seconds, 1)
        sys.stdout.write(f"{condition}: {len(rows)} rows\n")
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(
        folder / "metrics.csv.gz",
        index=False,
        float_format="%.5g",
        compression={"method": "gzip", "mtime": 1},
    )
    manifest = {
        "command": "python -m benchmarks.pages.anti_composition_runs "
        "docs/runs/anti_composition",
        "commit": current_commit(),
        "preset": "quick",
        "seeds": {c: list(study.seeds_of(c)) for c in study.CHANGES},
        "wall_s": wall_s,
        "conditions": {
            c: config_of(study.STUDY.build("quick", c)) for c in study.CHANGES
        },
        "environment": describe_environment(),
    }
    results_folder.write_text(
        folder / "manifest.json", json.dumps(manifest, indent=1) + "\n"
    )


def _exact(work: Path, condition: str) -> tuple[pd.DataFrame, float]:
    """Returns rows of the exact evaluation, and seconds of the runs."""
    experiment = study.STUDY.build("quick", condition)
    frames, total = [], 0.0
    for seed in study.seeds_of(condition):
        run = load_finished(experiment, seed, work / condition / f"seed_{seed}")
        if run is None:
            raise ValueError(
                f"A run is missing. Received: {condition}, seed {seed}"
            )
        metrics, _, seconds = run
        total += seconds
        is_kept = metrics["metric"].isin(KEPT) & metrics["tier"].isin(TIERS)
        if not study.CHANGES[condition].num_sparse:
            is_kept &= metrics["tier"] == TIERS[0]
        frames.append(metrics.loc[is_kept, list(COLUMNS)])
    return pd.concat(frames), total


def _measured(work: Path, condition: str) -> Iterator[tuple[Any, ...]]:
    """Yields rows of `measure_network`, if no A->C is read."""
    change = study.CHANGES[condition]
    if change.num_sparse:
        return
    experiment = study.STUDY.build("quick", condition)
    languages = "ABCD" if "C->D" in change.majority else "ABC"
    reader = Reader(experiment.model.build())
    for seed in study.seeds_of(condition):
        weights = work / condition / f"seed_{seed}.weights.h5"
        reader.model.load_weights(weights)
        stream = draw_phases(experiment, seed)[-1].stream
        place = study.NAME, condition, seed, change.num_epochs, 0
        for row in measure_network(
            reader, stream, languages, seed, condition not in FULL
        ):
            yield *place, *row


def main() -> None:
    """Trains and measures, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    if not options.measure:
        train(options.work)
    measure(options.work, options.folder)


if __name__ == "__main__":
    main()
