"""The report of committed verdicts, drawn from their frames.

Question  What did runs show whose frames are committed, claim by claim?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.committed_page FOLDER \
              [FRAMES ...] [--maps docs/runs/sweeps] [--out FILE]
          e.g. docs/runs/verdicts docs/runs/verdicts docs/runs/verdicts_theory
Time      two minutes

FOLDER has the claims.json of `judge`. FRAMES are the folders that were judged,
each as `keep_runs` leaves it: metrics.csv.gz and manifest.json. By default
FOLDER is the only one. The page is FOLDER/report.html.

Figures and conditions, which claims.json lacks, are made from the frames, and
events are found in them again. Verdicts must be those of claims.json. Nothing
is trained.
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.pages.judge import evidence_of, judge, read_frames
from experiments.reproduction import REPRODUCTION, RUNS
from tiny_gpt.claims.claim import QUICK
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.commands.reporting.conditions import describe_condition
from tiny_gpt.commands.sweeping.words import load_maps
from tiny_gpt.metrics.frames import columns_of, events_frame
from tiny_gpt.report.entries import lacks_runs
from tiny_gpt.report.page import render_report
from tiny_gpt.runtime.files import write_text

STUDIES = {s.name: s for s in (*REPRODUCTION.studies, REPRODUCTION.theory)}
POWER = RUNS / "power" / "power.csv"
LABELS = ["mapping", "tier", "prompt", "metric"]
VERDICT = ("name", "observation", "explanation", "because", "hash")


def logs_of(experiment, rows: pd.DataFrame) -> list[dict[str, float]]:
    """Returns the logs of one run, by epoch, from its metrics."""
    keys = {place: key for key, place in columns_of(experiment).items()}
    logs: dict[int, dict[str, float]] = {}
    for epoch, *place, value in rows[["epoch", *LABELS, "value"]].itertuples(
        index=False
    ):
        if tuple(place) in keys:
            empty = dict.fromkeys(keys.values(), math.nan)
            logs.setdefault(epoch, empty)[keys[tuple(place)]] = value
    return [logs[epoch] for epoch in sorted(logs)]


def runs_of(metrics: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of trained conditions; others are measurements."""
    places = pd.MultiIndex.from_frame(metrics[["experiment", "condition"]])
    known = [(s.name, name) for s in STUDIES.values() for name in s.conditions]
    return metrics[places.isin(known)]


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


def claims_of(kept: dict[str, Any], evidence: Evidence) -> list[dict[str, Any]]:
    """Returns the claims of a ledger with the figures that it lacks.

    Raises:
        ValueError: if the frames give other verdicts.
    """
    page = REPRODUCTION.page.parent / kept["protocol"]["page"]
    claims = judge(evidence, page)["claims"]
    power = pd.read_csv(POWER)
    for claim, before in zip(claims, kept["claims"], strict=True):
        changed = [key for key in VERDICT if claim[key] != before[key]]
        if changed:
            raise ValueError(
                "Verdicts are those of claims.json; judge the same frames "
                f"again. Received: other {changed} of {claim['name']!r}"
            )
        name = claim["name"]
        claim["more_figures"] = REPRODUCTION.more_figures(name, evidence)
        simulated = power[(power["claim"] == name) & power["power"].notna()]
        claim["power"] = simulated.to_dict("records")
    return claims


def conditions_of(evidence: Evidence, preset: str) -> list[dict[str, Any]]:
    """Describes the conditions of the frames, in the order of the studies."""
    runs = evidence.metrics.groupby(["experiment", "condition"])["seed"]
    seeds = {place: set(found) for place, found in runs}
    found = []
    for study in STUDIES.values():
        for name in study.conditions:
            if (study.name, name) not in seeds:
                continue
            experiment = study.build(preset, name)
            known = seeds[study.name, name]
            absent = [seed for seed in evidence.seeds if seed not in known]
            found.append(
                describe_condition(study, experiment, absent, evidence)
            )
    return found


def missing_of(claims: Sequence[dict[str, Any]]) -> list[str]:
    """Says for each experiment how many claims wait for its runs."""
    waiting: dict[str, list[str]] = {}
    for claim in filter(lacks_runs, claims):
        where = claim["conditions"][0].split("/")[0]
        if claim["decided_on"] != QUICK:
            where += f", preset {claim['decided_on']}"
        waiting.setdefault(where, []).append(claim["title"])
    return [
        f"{where}, for which {len(titles)} claims wait"
        if len(titles) > 1
        else f"{where}, for which “{titles[0]}” waits"
        for where, titles in waiting.items()
    ]


def manifest_of(folders: Sequence[Path]) -> dict[str, Any]:
    """Joins the manifests of several folders for the page.

    Times are those of each condition; where runs differ, all values are said.
    """
    runs = [
        run
        for folder in folders
        for run in json.loads((folder / "manifest.json").read_text())[
            "runs"
        ].values()
    ]
    joined = {
        key: ", ".join(dict.fromkeys(run[key] for run in runs))
        for key in ("commit", "backend", "precision", "python", "processor")
    }
    wall_s: dict[str, float] = {}
    for run in runs:
        (name,) = {*STUDIES, "reproduce"} & set(shlex.split(run["command"]))
        for condition, seconds in run["wall_s"].items():
            place = condition if "/" in condition else f"{name}/{condition}"
            wall_s[place] = seconds
    return {
        **joined,
        "command": "\n".join(run["command"] for run in runs),
        "finished": max(run["finished"] for run in runs),
        "devices": sorted(
            {device for run in runs for device in run["devices"]}
        ),
        "versions": runs[-1]["versions"],
        "wall_s": wall_s,
    }


def build_page(
    folder: Path, frames: Sequence[Path], maps: Path | None = None
) -> str:
    """Returns the page of a judged folder."""
    kept = json.loads((folder / "claims.json").read_text())
    metrics = read_frames(frames)
    level = REPRODUCTION.family.interval_level
    evidence = evidence_of(metrics, level)
    claims = claims_of(kept, evidence)
    ledger = {
        **kept,
        "claims": claims,
        "conditions": conditions_of(evidence, kept["preset"]),
        "missing": missing_of(claims),
    }
    events = events_of(runs_of(metrics), kept["preset"])
    found = [] if maps is None else load_maps(maps)
    return render_report(ledger, metrics, events, manifest_of(frames), found)


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("frames", type=Path, nargs="*")
    parser.add_argument("--maps", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    frames = options.frames or [options.folder]
    out = options.out or options.folder / "report.html"
    page = build_page(options.folder, frames, options.maps)
    write_text(out, page)
    sys.stdout.write(f"{out}: {len(page.encode()) / 2**20:.2f} MiB\n")


if __name__ == "__main__":
    main()
