"""The power of the contrasts at the published size, before any run.

Question  How far may seeds differ, so that few of them still decide whether
          A->C needs the route through B?
Run       python -m benchmarks.choices.paper_size_power
          docs/runs/paper_size_power
Time      seconds

Differences of paired seeds are drawn from a normal distribution, whose mean is
the effect. `docs/protocol_paper_size.md` has the rules and the margin.
"""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from tiny_gpt.analysis.statistics import corrected_level

NUM_SAMPLES = 20_000
NUM_SEEDS = (3, 5, 10)
DEVIATIONS = (5, 10, 15, 20, 30)  # of the differences, in points
MARGIN = 25.0  # the smallest effect of interest, in points
WHOLE = 50.0  # all of what is learned, from chance to the published 65 %
NUM_CONTRASTS = 3


def measure() -> pd.DataFrame:
    """Returns the share of samples that each rule decides rightly."""
    level = corrected_level(0.95, NUM_CONTRASTS)
    rng = np.random.default_rng(0)
    rows = []
    for seeds in NUM_SEEDS:
        noise = rng.normal(size=(NUM_SAMPLES, seeds))
        factor = stats.t.ppf((1 + level) / 2, seeds - 1) / np.sqrt(seeds)
        half = factor * noise.std(axis=1, ddof=1)
        mean = noise.mean(axis=1)
        for deviation in DEVIATIONS:
            shares = [
                (effect + deviation * (mean - half) > 0).mean()
                for effect in (MARGIN, WHOLE)
            ]
            shares.append((deviation * (mean + half) < MARGIN).mean())
            rows.append((seeds, deviation, *np.round(shares, 3)))
    columns = ["seeds", "deviation", "helps_25", "helps_50", "no_help_0"]
    return pd.DataFrame(rows, columns=columns)


def main(folder: Path) -> None:
    """Writes the table and its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = measure()
    frame.to_csv(folder / "power.csv", index=False)
    manifest = {
        "command": f"python -m benchmarks.choices.paper_size_power {folder}",
        "samples": NUM_SAMPLES,
        "seed": 0,
        "python": platform.python_version(),
        "versions": {n: version(n) for n in ("numpy", "scipy", "pandas")},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    sys.stdout.write(f"{frame.to_string(index=False)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
