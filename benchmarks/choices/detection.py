"""The detection of drops of a loss and jumps of an accuracy, compared.

Question  Which rule finds drops of known size, how late, and how often does
          it find one where there is none?
Run       python -m benchmarks.choices.detection docs/runs/detection
Time      about 2 minutes on one CPU core

Three methods are compared: `ChangeDetector`; the plain threshold,
`find_loss_drops`, over 5 epochs and over 1; and optimal segmentation with the
library ruptures (Truong et al. 2020; Killick et al. 2012; Arlot et al. 2019),
which is given the whole curve and therefore sees the future.

The curves are losses and accuracies of 15, 100 and 400 epochs. Losses decay
exponentially, as a power of the epoch, or are flat. They have up to 3 sigmoid
drops of 0.05 to 1 nats over 1 to 10 epochs, and normal noise of sd 0.001 to
0.1, independent or autoregressive (0.5). Accuracies are of 5, 64 or 256
sentences and flat, with at most one jump.

A drop lasts from 1.2 % to 98.8 % of its sigmoid. It is found if a change is
reported from one epoch before its start to 5 epochs after its end; each
report counts for one drop. A report on a curve without a drop is a false
alarm.

Rule, written before the curves it is judged on were drawn: h and k of the
detector, and the penalty of each segmentation, are those of the grids below
that find most drops, then soonest, among those with at most 1 false alarm in
1000 epochs, on the curves of seed 0; if none is so quiet, the quietest. They
are judged on the curves of seed 1. The threshold stays at its defaults. Every
method must see a change of `MIN_SIZE` at least, the threshold its own 0.1.
The form of the detector and its window of 16 were settled on other curves of
this kind, and on the published curves, before.
"""

import inspect
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.choices.detection_curves import (
    Curve,
    draw_curves,
    read_published,
)
from benchmarks.choices.detection_methods import (
    Finder,
    by_detector,
    by_segments,
    by_threshold,
)
from benchmarks.choices.detection_pages import (
    DETECTOR,
    MOST_ALARMS,
    draw_figure,
    write_table,
)
from tiny_gpt.analysis.changes import ChangeDetector
from tiny_gpt.runtime import results_folder

THRESHOLDS = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0)
DRIFTS = (0.5, 0.75, 1.0, 1.5)
PENALTIES = {
    "linear": 2.0 ** np.arange(1, 17),
    "rbf": 2.0 ** np.arange(-3, 5, 0.5),
}
RATIOS = (0.0, 3.0, 10.0, 30.0, math.inf)


def judge(find: Finder, curves: Sequence[Curve]) -> tuple[pd.DataFrame, ...]:
    """Returns one row per curve without a drop, and one per drop."""
    quiet, drops = [], []
    for curve in curves:
        found = find(curve.values, curve.direction)
        group = curve.kind.split(",")[0]
        length = len(curve.values)
        if not curve.drops:
            quiet.append((curve.kind, group, length, len(found)))
        for drop in curve.drops:
            mine = [f for f in found if drop.start - 1 <= f[1] <= drop.end + 5]
            window = drop.end + 5 - (drop.start - 1)
            row = (group, length, drop.ratio, window, bool(mine))
            if mine:
                found.remove(mine[0])
                delay, error = mine[0][1] - drop.middle, mine[0][0] - drop.start
                drops.append((*row, delay, error))
            else:
                drops.append((*row, math.nan, math.nan))
    return (
        pd.DataFrame(quiet, columns=["kind", "group", "epochs", "alarms"]),
        pd.DataFrame(
            drops,
            columns=[
                "group",
                "length",
                "ratio",
                "window",
                "found",
                "delay",
                "error",
            ],
        ),
    )


def alarm_rate(quiet: pd.DataFrame) -> float:
    """Returns false alarms in 1000 epochs."""
    return float(1000 * quiet["alarms"].sum() / quiet["epochs"].sum())


def calibrate(
    curves: Sequence[Curve],
) -> tuple[pd.DataFrame, dict[str, Finder]]:
    """Applies the module's rule to each method that has a choice."""
    grids: dict[str, dict[str, Finder]] = {
        DETECTOR: {
            f"h = {h:g}, k = {k:g}": by_detector(h, k)
            for k in DRIFTS
            for h in THRESHOLDS
        }
    }
    for kernel, name in (("linear", "l2"), ("rbf", "rbf")):
        for is_increments in (False, True):
            of = "increments" if is_increments else "values"
            grids[f"ruptures {name}, {of}"] = {
                f"penalty {p:.4g}": by_segments(kernel, is_increments, float(p))
                for p in PENALTIES[kernel]
            }
    rows, chosen = [], {}
    for method, grid in grids.items():
        settings = []
        for setting, find in grid.items():
            quiet, drops = judge(find, curves)
            rate = alarm_rate(quiet)
            share, delay = drops["found"].mean(), drops["delay"].median()
            is_loud = rate > MOST_ALARMS
            order = (is_loud, rate if is_loud else -share, delay)
            settings.append((order, setting))
            rows.append((method, setting, rate, share, delay))
        best = min(settings)[1]
        chosen[f"{method} ({best})"] = grid[best]
    columns = ["method", "setting", "alarms_per_1000", "found", "delay"]
    return pd.DataFrame(rows, columns=columns), chosen


def measure(
    finders: dict[str, Finder], curves: Sequence[Curve]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns false alarms by kind of curve, and drops by size over noise."""
    alarms, detection = [], []
    for method, find in finders.items():
        quiet, drops = judge(find, curves)
        for kind, rows in [("all", quiet), *quiet.groupby("kind")]:
            counts = int(rows["epochs"].sum()), int(rows["alarms"].sum())
            alarms.append((method, kind, *counts, alarm_rate(rows)))
        labels = [f"{a:g} to {b:g}" for a, b in pairwise(RATIOS)]
        labels[-1] = f"above {RATIOS[-2]:g}"
        rates = quiet.groupby("group")[["alarms", "epochs"]].sum()
        per_epoch = drops["group"].map(rates["alarms"] / rates["epochs"])
        drops["chance"] = 1 - np.exp(-per_epoch * drops["window"])
        drops["bin"] = pd.cut(drops["ratio"], RATIOS, labels=labels)
        parts = [("all", "all", drops)]
        for group, rows in drops.groupby("group"):
            parts.append((str(group), "all", rows))
            for length, part in rows.groupby("length"):
                parts.append((str(group), f"{length} epochs", part))
            for label, part in rows.groupby("bin", observed=True):
                parts.append((str(group), f"ratio {label}", part))
        for group, label, rows in parts:
            detection.append(
                (
                    method,
                    group,
                    label,
                    len(rows),
                    rows["found"].mean(),
                    rows["chance"].mean(),
                    rows["delay"].median(),
                    rows["error"].median(),
                    rows["error"].abs().median(),
                )
            )
    return (
        pd.DataFrame(
            alarms,
            columns=["method", "kind", "epochs", "alarms", "per_1000"],
        ),
        pd.DataFrame(
            detection,
            columns=[
                "method",
                "curves",
                "part",
                "drops",
                "found",
                "by_chance",
                "delay",
                "start_error",
                "start_error_absolute",
            ],
        ),
    )


def find_in_published(finders: dict[str, Finder]) -> pd.DataFrame:
    """Returns the events that each method finds in the published curves."""
    rows = []
    for (condition, metric), values in read_published().items():
        direction = "fall" if metric == "loss" else "rise"
        for method, find in finders.items():
            rows += [
                (condition, metric, method, start, report)
                for start, report in find(values, direction)
            ]
    columns = ["condition", "metric", "method", "start", "found"]
    return pd.DataFrame(rows, columns=columns)


def read_commit() -> str:
    """Returns the commit, with "-dirty" where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main(folder: Path) -> None:
    """Calibrates, judges, and writes tables, figure and manifest."""
    start = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    calibration, chosen = calibrate(draw_curves(0, 1))
    finders = {
        **{m: f for m, f in chosen.items() if m.startswith(DETECTOR)},
        "threshold 0.1 over 5 epochs": by_threshold(5),
        "threshold 0.1 over 1 epoch": by_threshold(1),
        **{m: f for m, f in chosen.items() if not m.startswith(DETECTOR)},
    }
    alarms, detection = measure(finders, draw_curves(1, 2))
    published = find_in_published(finders)
    results_folder.write_frame(folder / "calibration.csv", calibration)
    results_folder.write_frame(folder / "false_alarms.csv", alarms)
    results_folder.write_frame(folder / "detection.csv", detection)
    results_folder.write_frame(folder / "published.csv", published)
    write_table(folder, alarms, detection, published)
    draw_figure(folder, alarms, detection)
    defaults = inspect.signature(ChangeDetector).parameters
    h, k = defaults["threshold"].default, defaults["drift"].default
    default = f"{DETECTOR} (h = {h:g}, k = {k:g})"
    manifest = {
        "command": f"python -m benchmarks.choices.detection {folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": read_commit(),
        "seeds": {"calibration": 0, "judged": 1},
        "chosen": list(chosen),
        "is_default_as_calibrated": default in chosen,
        "cores_used": 1,
        "cores": os.cpu_count(),
        "wall_s": round(time.perf_counter() - start, 1),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {
            name: version(name)
            for name in ("numpy", "pandas", "ruptures", "matplotlib")
        },
    }
    results_folder.write_json(folder / "manifest.json", manifest)
    sys.stdout.write(f"{json.dumps(manifest, indent=2)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
