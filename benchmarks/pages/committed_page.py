"""The page of a committed reproduction, made again from its frames.

Question  What does today's report show of runs whose frames are committed,
          with the theory and the maps of the sweeps?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.committed_page \
              docs/runs/reproduce_quick docs/runs/theory docs/runs/sweeps
Time      a minute

Verdicts and numbers are those of claims.json. The logs of each run are read
from metrics.csv.gz, six digits each, and its events are found in them again:
events.csv, which the runs wrote, is older than some kinds of events. That file
is not changed, and nothing is trained.
"""

import json
import math
import sys
from pathlib import Path

import pandas as pd

from experiments.reproduction import REPRODUCTION
from tiny_gpt.commands.reporting.verdicts import summarise
from tiny_gpt.commands.sweeping.words import load_maps
from tiny_gpt.metrics.frames import columns_of, events_frame
from tiny_gpt.report.page import render_report
from tiny_gpt.runtime.files import write_text

THEORY = REPRODUCTION.theory
STUDIES = {s.name: s for s in (*REPRODUCTION.studies, THEORY)}


def logs_of(experiment, rows: pd.DataFrame) -> list[dict[str, float]]:
    """Returns the logs of one run, by epoch, from its metrics."""
    labels = ["mapping", "tier", "prompt", "metric"]
    keys = {place: key for key, place in columns_of(experiment).items()}
    logs: dict[int, dict[str, float]] = {}
    for epoch, *place, value in rows[["epoch", *labels, "value"]].itertuples(
        index=False
    ):
        if tuple(place) in keys:
            empty = dict.fromkeys(keys.values(), math.nan)
            logs.setdefault(epoch, empty)[keys[tuple(place)]] = value
    return [logs[epoch] for epoch in sorted(logs)]


def events_of(metrics: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Returns the events frame of all runs of a metrics frame."""
    frames = []
    runs = metrics.groupby(["experiment", "condition", "seed"], sort=False)
    for (name, condition, seed), rows in runs:
        study = STUDIES[str(name)]
        experiment = study.build(preset, str(condition))
        logs = logs_of(experiment, rows)
        frames.append(events_frame(experiment, int(str(seed)), logs))
    return pd.concat(frames, ignore_index=True)


def main() -> None:
    """Writes the page."""
    folder, of_theory, maps = map(Path, sys.argv[1:])
    ledger, studied = (
        json.loads((each / "claims.json").read_text())
        for each in (folder, of_theory)
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    metrics, measured = (
        pd.read_csv(each / "metrics.csv.gz", low_memory=False)
        for each in (folder, of_theory)
    )
    # The controls that it shares are in the other frame.
    measured = measured[measured["experiment"] == THEORY.name]
    runs = measured[measured["condition"].isin(THEORY.conditions)]
    preset = manifest["config"]["preset"]
    events = events_of(pd.concat([metrics, runs]), preset)
    for key in ("claims", "conditions"):
        ledger[key] += studied[key]
    ledger["families"] += studied["families"]
    seeds = tuple(ledger["seeds"])
    ledger["summary"] = summarise(
        ledger["claims"], preset, seeds, ledger["kind"]
    )
    page = render_report(
        ledger,
        pd.concat([metrics, measured]),
        events,
        manifest,
        load_maps(maps),
    )
    write_text(folder / "report.html", page)


if __name__ == "__main__":
    main()
