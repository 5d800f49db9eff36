"""The coverage of intervals over a few seeds: how often they are right.

Question  Student's t or the percentile bootstrap, for 5 to 20 seeds whose
          accuracies may fall into two groups?
Run       python -m benchmarks.choices.interval_coverage
          docs/runs/interval_coverage
Time      about a minute

A right interval holds the true mean. Decisions use the kind that covers better
(`analysis.statistics.t_interval`).
"""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from tiny_gpt.analysis.statistics import t_interval

NUM_SAMPLES = 2000
NUM_RESAMPLES = 2000
NUM_SEEDS = (5, 10, 20)
LEVELS = (0.95, 0.998)  # of one interval, and corrected for 24
DISTRIBUTIONS = {
    "normal": lambda rng, shape: rng.normal(0.5, 0.1, shape),
    # Seeds that succeed or fail, as often one as the other, and 4 of 5.
    "0 or 1, half": lambda rng, shape: (rng.random(shape) < 0.5) * 1.0,
    "0 or 1, 4 of 5": lambda rng, shape: (rng.random(shape) < 0.8) * 1.0,
    "0.2 or 0.95, noisy": lambda rng, shape: (
        np.where(rng.random(shape) < 0.5, 0.95, 0.2)
        + rng.normal(0.0, 0.03, shape)
    ),
    "log-normal": lambda rng, shape: rng.lognormal(0.0, 1.0, shape),
}
MEANS = (0.5, 0.5, 0.8, 0.575, np.exp(0.5))


def measure() -> pd.DataFrame:
    """Returns the share of samples whose interval holds the true mean."""
    rows = []
    for (name, draw), mean in zip(DISTRIBUTIONS.items(), MEANS, strict=True):
        for num_seeds in NUM_SEEDS:
            rng = np.random.default_rng(num_seeds)
            samples = draw(rng, (NUM_SAMPLES, num_seeds))
            for level in LEVELS:
                students = [t_interval(list(row), level) for row in samples]
                by_t = [(i.low, i.high) for i in students]
                resampled = stats.bootstrap(
                    (samples,),
                    np.mean,
                    axis=1,
                    confidence_level=level,
                    n_resamples=NUM_RESAMPLES,
                    method="percentile",
                    batch=50,
                    rng=rng,
                ).confidence_interval
                ends_of_all = np.column_stack((resampled.low, resampled.high))
                by_bootstrap = [tuple(ends) for ends in ends_of_all]
                for method, ends in (
                    ("t", by_t),
                    ("bootstrap", by_bootstrap),
                ):
                    covers = [
                        low - 1e-9 <= mean <= high + 1e-9 for low, high in ends
                    ]
                    share = float(np.mean(covers))
                    rows.append((name, num_seeds, level, method, share))
    columns = ["distribution", "seeds", "level", "interval", "coverage"]
    return pd.DataFrame(rows, columns=columns)


def main(folder: Path) -> None:
    """Writes the table and its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = measure()
    table = frame.pivot_table(
        index=["distribution", "seeds"],
        columns=["level", "interval"],
        values="coverage",
        sort=False,
    )
    frame.to_csv(folder / "coverage.csv", index=False)
    manifest = {
        "command": f"python -m benchmarks.choices.interval_coverage {folder}",
        "samples": NUM_SAMPLES,
        "resamples": NUM_RESAMPLES,
        "python": platform.python_version(),
        "versions": {n: version(n) for n in ("numpy", "scipy", "pandas")},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    sys.stdout.write(f"{table.to_string()}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
