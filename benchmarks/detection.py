"""How well drops of a loss and jumps of an accuracy are found.

Question  Which rule finds drops of known size, how late, and how often does
          it find one where there is none?
Run       python -m benchmarks.detection docs/detection
Time      about 2 minutes on one CPU core

Compared: `ChangeDetector`; the plain threshold, `find_loss_drops`, over 5
epochs and over 1; and optimal segmentation with the library ruptures
(Truong et al. 2020; Killick et al. 2012; Arlot et al. 2019), which is given
the whole curve and so sees the future.

Curves: losses that decay exponentially, as a power of the epoch, or are
flat, with up to 3 sigmoid drops of 0.05 to 1 nats over 1 to 10 epochs, normal
noise of sd 0.001 to 0.1, independent or autoregressive (0.5); accuracies of
5, 64 or 256 sentences, flat, with at most one jump; 15, 100 and 400 epochs.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import ruptures
from matplotlib.ticker import MaxNLocator

from tiny_gpt import results
from tiny_gpt.analysis.changes import ChangeDetector, find_changes
from tiny_gpt.analysis.events import find_loss_drops
from tiny_gpt.plots import COLOURS, GREY

CURVES_BY_LENGTH = {15: 160, 100: 40, 400: 20}  # of each kind, twice to judge
THRESHOLDS = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0)
DRIFTS = (0.5, 0.75, 1.0, 1.5)
PENALTIES = {
    "linear": 2.0 ** np.arange(1, 17),
    "rbf": 2.0 ** np.arange(-3, 5, 0.5),
}
MOST_ALARMS = 1.0  # in 1000 epochs
MIN_SIZE = 0.05
RATIOS = (0.0, 3.0, 10.0, 30.0, math.inf)
DETECTOR = "detector"
PUBLISHED = Path("experiments/published/triangle.csv")


@dataclass(frozen=True)
class Drop:
    """A fall or jump that was put into a curve, in epochs from 1."""

    start: float
    end: float
    size: float
    ratio: float  # size over the sd of the noise

    @property
    def middle(self) -> float:
        """Epoch at which half of it is over."""
        return (self.start + self.end) / 2


@dataclass(frozen=True)
class Curve:
    """A simulated curve and what is in it."""

    kind: str
    direction: str
    values: np.ndarray
    drops: tuple[Drop, ...]


Found = list[tuple[float, float]]  # last epoch before it, epoch of the report
Finder = Callable[[np.ndarray, str], Found]


def sigmoid(epochs: np.ndarray, middle: float, width: float) -> np.ndarray:
    """Returns a rise from 0 to 1; 97.6 % of it within `width`."""
    return 0.5 + 0.5 * np.tanh((epochs - middle) * math.log(81) / width)


def draw_loss(rng: np.random.Generator, length: int, num_drops: int) -> Curve:
    """Draws a training loss with drops."""
    epochs = np.arange(1.0, length + 1)
    base = rng.choice(["exponential", "power law", "flat"])
    height = rng.uniform(1, 3)
    values = np.full(length, 2.0)
    if base == "exponential":
        values += height * np.exp(
            (1 - epochs) / length / rng.uniform(0.05, 0.5)
        )
    if base == "power law":
        values += height * epochs ** -rng.uniform(0.3, 1.0)
    sd, memory = 10 ** rng.uniform(-3, -1), rng.choice([0.0, 0.5])
    drops = []
    room = (length - 9) / max(num_drops, 1)
    for i in range(num_drops):
        size = 0.05 * 20 ** rng.uniform()
        width = rng.uniform(1, min(10, room - 1))
        low = 6 + i * room + width / 2
        middle = rng.uniform(low, 6 + (i + 1) * room - width / 2)
        values -= size * sigmoid(epochs, middle, width)
        start, end = middle - width / 2, middle + width / 2
        drops.append(Drop(start, end, size, size / sd))
    noise = rng.normal(size=length)
    for i in range(1, length):
        noise[i] *= math.sqrt(1 - memory**2)
        noise[i] += memory * noise[i - 1]
    kind = f"loss, {base}" + (", autoregressive" if memory else "")
    return Curve(kind, "fall", values + sd * noise, tuple(drops))


def draw_accuracy(
    rng: np.random.Generator, length: int, num_drops: int
) -> Curve:
    """Draws an accuracy that is flat, and then jumps."""
    epochs = np.arange(1.0, length + 1)
    num_sentences = int(rng.choice([5, 64, 256]))
    before = float(
        rng.choice([0.0, 0.02, 0.125, 0.5, 0.9][: 5 - 2 * num_drops])
    )
    chance, drops = np.full(length, before), []
    if num_drops:
        after = rng.uniform(before + 0.1, 1.0)
        width = rng.uniform(1, min(10, length - 10))
        middle = rng.uniform(6 + width / 2, length - 3 - width / 2)
        chance += (after - before) * sigmoid(epochs, middle, width)
        variance = max(p * (1 - p) for p in (before, after))
        sd = math.sqrt(variance / num_sentences)
        start, end, size = (
            middle - width / 2,
            middle + width / 2,
            after - before,
        )
        drops.append(Drop(start, end, size, size / sd))
    values = rng.binomial(num_sentences, chance) / num_sentences
    kind = f"accuracy, {num_sentences} sentences"
    return Curve(kind, "rise", values, tuple(drops))


def draw_curves(seed: int, times: int) -> list[Curve]:
    """Draws curves with and without drops, half losses, half accuracies."""
    rng = np.random.default_rng(seed)
    curves = []
    for length, num_curves in CURVES_BY_LENGTH.items():
        for i in range(times * num_curves):
            most = 1 if length < 50 else 1 + i % 3
            for num_drops in (0, most):
                curves.append(draw_loss(rng, length, num_drops))
                curves.append(draw_accuracy(rng, length, min(num_drops, 1)))
    return curves


def by_detector(threshold: float, drift: float) -> Finder:
    """Returns our method."""

    def find(values: np.ndarray, direction: str) -> Found:
        changes = find_changes(
            values,
            direction=direction,
            min_size=MIN_SIZE,
            threshold=threshold,
            drift=drift,
        )
        return [(c.start, c.time) for c in changes]

    return find


def by_threshold(window: int) -> Finder:
    """Returns the plain threshold at its default size."""

    def find(values: np.ndarray, direction: str) -> Found:
        losses = values if direction == "fall" else -values
        drops = find_loss_drops(list(losses), window=window)
        return [(float(d.epoch - window), float(d.epoch)) for d in drops]

    return find


def by_segments(kernel: str, is_increments: bool, penalty: float) -> Finder:
    """Returns optimal segmentation of the values or of their increments.

    The penalty of a break is `penalty` ln n, times the variance of the noise
    for the linear kernel (squared error). A break counts if the level falls
    by `MIN_SIZE`, or if the new slope falls that far beyond the old one.
    """

    def find(values: np.ndarray, direction: str) -> Found:
        losses = values if direction == "fall" else -values
        steps = np.diff(losses)
        series = steps if is_increments else losses
        cost = penalty * math.log(len(series))
        if kernel == "linear":
            deviations = np.abs(steps - np.median(steps))
            sd = max(1.4826 * np.median(deviations) / 2**0.5, MIN_SIZE / 4)
            cost *= sd**2 * (2 if is_increments else 1)
        fitted = ruptures.KernelCPD(kernel=kernel, min_size=2).fit(series)
        ends = [0, *map(int, fitted.predict(pen=cost))]
        means = [series[a:b].mean() for a, b in pairwise(ends)]
        found: Found = []
        for i in range(1, len(means)):
            fall = means[i - 1] - means[i]
            if is_increments:
                fall *= ends[i + 1] - ends[i]
            if fall >= MIN_SIZE:
                start = float(ends[i] + is_increments)
                found.append((start, start + 1.0))
        return found

    return find


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
    """Applies the rule above to each method that has something to choose."""
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


def read_published() -> dict[tuple[str, str], np.ndarray]:
    """Returns loss and A -> C accuracy of the published runs, in order."""
    frame = pd.read_csv(PUBLISHED).sort_values("epoch")
    curves = {}
    for condition in frame["condition"].unique():
        for task, metric in (("all", "loss"), ("A->C", "accuracy")):
            is_it = (frame["condition"] == condition) & (frame["task"] == task)
            rows = frame[is_it & (frame["metric"] == metric)]
            curves[(condition, metric)] = rows["value"].to_numpy()
    return curves


def find_in_published(finders: dict[str, Finder]) -> pd.DataFrame:
    """Returns what each method finds in the published curves."""
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


def as_table(frame: pd.DataFrame) -> str:
    """Returns a Markdown table of texts."""
    head = [str(name) for name in frame.columns]
    lines = [head, ["---"] * len(head), *frame.astype(str).values.tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_table(
    folder: Path,
    alarms: pd.DataFrame,
    detection: pd.DataFrame,
    published: pd.DataFrame,
) -> None:
    """Writes the tables that people read."""
    rows = []
    for method in alarms["method"].unique():
        quiet = alarms[alarms["method"] == method].set_index("kind")
        mine = detection[detection["method"] == method]
        by_part = mine.set_index(["curves", "part"])
        row = {
            "method": method,
            "false alarms in 1000 epochs": f"{quiet['per_1000']['all']:.2f}",
        }
        for (group, part), found in by_part["found"].items():
            name = f"{group}, {part}".replace(", all", "")
            row[f"found: {name}"] = f"{100 * found:.0f} %"
        for group in ("loss", "accuracy"):
            chance = by_part.loc[(group, "all"), "by_chance"]
            row[f"by chance: {group}"] = f"{100 * chance:.0f} %"
        everything = by_part.loc[("all", "all")]
        row["median delay from the middle"] = f"{everything['delay']:+.1f}"
        row["median error of the start"] = f"{everything['start_error']:+.1f}"
        row["the same, absolute"] = f"{everything['start_error_absolute']:.1f}"
        rows.append(row)
    quality = pd.DataFrame(rows).set_index("method").T.reset_index(names="")
    by_kind = alarms.pivot_table(
        index="kind", columns="method", values="per_1000", sort=False
    )
    epochs = alarms.groupby("kind", sort=False)["epochs"].first()
    by_kind.insert(0, "epochs", epochs)
    by_kind = by_kind.round(2).reset_index()
    events = []
    for condition, metric in read_published():
        for method in alarms["method"].unique():
            is_it = (
                (published["condition"] == condition)
                & (published["metric"] == metric)
                & (published["method"] == method)
            )
            found = published[is_it][["start", "found"]].astype(int)
            pairs = [f"{a} ({b})" for a, b in found.itertuples(index=False)]
            text = ", ".join(pairs[:8]) or "none"
            if len(pairs) > 8:
                text += f", … {len(pairs)} in all"
            events.append((condition, metric, method, text))
    names = ["condition", "curve", "method", "start (reported), epochs"]
    text = f"""# Drops and jumps found in simulated curves

Curves of seed 1, calibrated on those of seed 0. Ratios are size over the sd
of the noise. "By chance" is how often false alarms alone would fall where a
drop was looked for. Ruptures sees the whole curve, so its delay is where it
puts the break, not when it could have known.

{as_table(quality)}

## False alarms in 1000 epochs, by kind of curve without a drop

{as_table(by_kind)}

## The published curves

One unseeded run each; accuracy is that of A → C on 5 sentences per epoch.
There is no known answer.

{as_table(pd.DataFrame(events, columns=names))}
"""
    results.write_text(folder / "table.md", text)


def draw(folder: Path, alarms: pd.DataFrame, detection: pd.DataFrame) -> None:
    """Draws detection, false alarms, and a published curve."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 8.6), layout="constrained")
    methods = list(alarms["method"].unique())
    colours = dict(zip(methods, (*COLOURS, GREY), strict=False))
    markers = dict(zip(methods, "os^DvP*", strict=False))
    for ax, group in zip(axes[0], ("loss", "accuracy"), strict=True):
        for method in methods:
            is_it = (detection["method"] == method) & (
                detection["curves"] == group
            )
            is_it &= detection["part"].str.startswith("ratio ")
            rows = detection[is_it]
            ax.plot(
                rows["part"].str.removeprefix("ratio "),
                100 * rows["found"],
                marker=markers[method],
                color=colours[method],
                linewidth=2.5 if method.startswith(DETECTOR) else 1.2,
                label=method,
            )
        name = "drops of a loss" if group == "loss" else "jumps of an accuracy"
        ax.set(title=f"Found: {name}", ylim=(-3, 103), ylabel="Found, %")
        ax.set_xlabel("Size / sd of the noise")
        ax.grid(alpha=0.3)
    ax = axes[1, 0]
    everything = alarms[alarms["kind"] == "all"].iloc[::-1]
    bars = ax.barh(
        everything["method"].str.replace(" (", "\n(", regex=False),
        everything["per_1000"],
        color=[colours[m] for m in everything["method"]],
    )
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.axvline(MOST_ALARMS, color="black", linestyle=":", linewidth=1)
    ax.set(title="False alarms without a drop (dotted: calibrated to)")
    ax.set_xlabel("False alarms in 1000 epochs")
    ax.margins(x=0.15)
    ax = axes[1, 1]
    curves = read_published()
    loss = curves[("sparse_a_to_c", "loss")]
    accuracy = curves[("sparse_a_to_c", "accuracy")]
    for values, direction, colour, label in (
        (loss, "fall", COLOURS[0], "loss, nats per token"),
        (accuracy, "rise", COLOURS[2], "A → C accuracy, 5 sentences"),
    ):
        epochs = np.arange(1, len(values) + 1)
        ax.plot(epochs, values, color=colour, label=label, linewidth=1.4)
        for change in find_changes(values, direction=direction):
            ax.axvspan(change.start, change.end, color=colour, alpha=0.2, lw=0)
            ax.axvline(change.time, color=colour, linestyle="--", linewidth=1)
    ax.set(title="Published run, with the detector's changes", xlabel="Epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(-0.05, 3.0)
    ax.plot([], [], color="black", linestyle="--", lw=1, label="reported")
    ax.fill_between([], [], color="black", alpha=0.2, label="start to end")
    ax.legend(loc="upper right")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.savefig(folder / "detection.png", dpi=130)
    plt.close(figure)


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
    results.write_frame(folder / "calibration.csv", calibration)
    results.write_frame(folder / "false_alarms.csv", alarms)
    results.write_frame(folder / "detection.csv", detection)
    results.write_frame(folder / "published.csv", published)
    write_table(folder, alarms, detection, published)
    draw(folder, alarms, detection)
    defaults = inspect.signature(ChangeDetector).parameters
    h, k = defaults["threshold"].default, defaults["drift"].default
    default = f"{DETECTOR} (h = {h:g}, k = {k:g})"
    manifest = {
        "command": f"python -m benchmarks.detection {folder}",
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
    results.write_json(folder / "manifest.json", manifest)
    sys.stdout.write(f"{json.dumps(manifest, indent=2)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
