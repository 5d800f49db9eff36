"""The tables and the figure of the detection benchmark."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from benchmarks.choices.detection_curves import read_published
from tiny_gpt.analysis.changes import find_changes
from tiny_gpt.plots.curves import COLOURS, GREY
from tiny_gpt.runtime import results_folder

DETECTOR = "detector"
MOST_ALARMS = 1.0  # in 1000 epochs


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
    """Writes the tables as Markdown."""
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
    results_folder.write_text(folder / "table.md", text)


def draw_figure(
    folder: Path, alarms: pd.DataFrame, detection: pd.DataFrame
) -> None:
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
