"""Figure of patching A->B's residual stream into A->C, place by place.

Question  Which positions and layers carry the answer?
Run       python -m benchmarks.pages.draw_inside docs/runs/theory
Time      seconds; it draws the rows of `experiments/measurements/inside.py`
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

TITLES = {
    "own_words": "The four right C words of A → C",
    "donor_words": "The four B words of the run that is put in",
}


def main() -> None:
    """Draws `inside.png`."""
    folder = Path(sys.argv[1])
    frame = pd.read_csv(folder / "metrics.csv.gz", low_memory=False)
    frame = frame[frame["condition"] == "inside"]
    places = frame[frame["metric"] == "place"]
    named = {
        int(v): str(p).replace("_", " ")
        for p, v in places.groupby("prompt")["value"].first().items()
    }
    is_place = ~frame["prompt"].str.contains("head")
    figure, axes = plt.subplots(
        2, 1, figsize=(11, 6.4), layout="constrained", sharex=True
    )
    for ax, (metric, title) in zip(axes, TITLES.items(), strict=True):
        rows = frame[(frame["metric"] == metric) & is_place]
        split = rows["prompt"].str.rsplit(".", n=1, expand=True)
        rows = rows.assign(point=split[0], position=split[1].astype(int))
        mean = rows.groupby(["point", "position"], sort=False)["value"].mean()
        table = mean.unstack("position")
        table = table[sorted(table.columns)]
        most = table.abs().to_numpy().max()
        image = ax.imshow(
            table, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto"
        )
        labels = [p.replace(".", ", ").replace("_", " ") for p in table.index]
        ax.set_yticks(range(len(labels)), labels)
        ax.invert_yaxis()  # the embedding below
        for y, x in zip(*table.abs().gt(0.5).to_numpy().nonzero(), strict=True):
            value = table.iloc[y, x]
            ax.text(
                *(x, y, f"{value:.0f}"),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if abs(value) > 0.6 * most else "black",
            )
        ax.set_title(title, loc="left")
        figure.colorbar(image, ax=ax, label="Change of log p, nats")
    ticks = range(table.shape[1])
    axes[1].set_xticks(
        ticks, [named.get(t, str(t)) for t in ticks], rotation=90
    )
    axes[1].set_xlabel("Position of the prompt that is patched")
    seeds = sorted(frame["seed"].unique())
    figure.suptitle(
        "The residual stream of an A → B run put into A → C, one place at a "
        f"time\nmean over seeds {seeds[0]} to {seeds[-1]}"
    )
    figure.savefig(folder / "inside.png", dpi=110)


if __name__ == "__main__":
    main()
