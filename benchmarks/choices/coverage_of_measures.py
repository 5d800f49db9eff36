"""The coverage of every interval that a rule compares, on numbers of our runs.

Question  How often does the interval of each measure hold the truth, with the
          seeds of its protocol, if they are distributed as those seen?
Run       KERAS_BACKEND=jax python -m benchmarks.choices.coverage_of_measures
          docs/runs/measure_coverage [docs/protocol_networks.md [networks]]
Time      two minutes

The seeds that were seen before the rules (0 to 9, 100 to 109, and pilots from
1000 on), or those of the folders of docs/runs that are named, are taken as all
there are. The truth is their mean, their median, or their share of successes,
as of the measure. As many as the protocol has are drawn from them with
replacement, again and again. The level is that of the measure's family, and a
right interval holds the truth as often.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.choices.power import (
    NUM_SAMPLES,
    SEEN,
    all_seen,
    page_of,
    save,
)
from experiments.reproduction import REPRODUCTION
from tiny_gpt.claims.claim import Claim
from tiny_gpt.claims.evidence import Evidence, MissingRunsError
from tiny_gpt.claims.measure import (
    CONSTANT,
    MEDIAN,
    RATIO,
    SHARE,
    Measure,
)

COLUMNS = ("family", "claim", "measure", "seen", "level", "coverage", "beyond")


def coverage(
    measure: Measure,
    values: np.ndarray,
    level: float,
    rng: np.random.Generator,
    num_samples: int = NUM_SAMPLES,
    num_seeds: int = 20,
) -> float:
    """Returns the share of samples whose interval holds the truth.

    Args:
        measure: its interval is used.
        values: all seeds that there are.
        level: confidence of the interval.
        rng: source of randomness.
        num_samples: how many samples.
        num_seeds: seeds of a sample.
    """
    middle = np.median if measure.kind == MEDIAN else np.mean
    truth = float(middle(values))
    if measure.kind == SHARE:
        truth = float(np.mean([measure.is_success(v) for v in values]))
    if measure.kind == RATIO:
        truth = float(np.exp(truth))
    held = 0
    for _ in range(num_samples):
        drawn = rng.choice(values, num_seeds)
        found = measure.interval(dict(enumerate(drawn.tolist())), level)
        held += found.low - 1e-9 <= truth <= found.high + 1e-9
    return held / num_samples


def rows_of(claim: Claim, seen: list[Evidence]) -> list[tuple]:
    """Returns a row for each measure of a claim that was seen."""
    rows = []
    for n, measure in enumerate(claim.measures):
        if measure.kind == CONSTANT:
            continue
        values: list[float] = []
        for evidence in seen:
            try:
                values += measure.values(evidence).values()
            except MissingRunsError:
                continue
        if len(values) < 2:
            continue
        level = claim.family.interval_level
        rng = np.random.default_rng(n)
        num_seeds = claim.family.num_seeds
        found = coverage(
            measure, np.array(values), level, rng, num_seeds=num_seeds
        )
        # Of samples: how far the coverage may be off by chance, two errors.
        error = 2 * (level * (1 - level) / NUM_SAMPLES) ** 0.5
        rows.append(
            (
                *(claim.family.name, claim.name, measure.name, len(values)),
                *(round(level, 5), found, found < level - error),
            )
        )
    return rows


def main(folder: Path, page: Path, folders: Sequence[str]) -> None:
    """Writes the table and its manifest.

    Args:
        folder: where to.
        page: protocol of the rules.
        folders: of docs/runs, in place of those seen before the rules.
    """
    if not folders and page.name not in SEEN:
        sys.exit(f"error: name folders of docs/runs; {page.name} has no pilot")
    names = [tuple(folders)] if folders else SEEN[page.name]
    seen = all_seen(names)
    rows = [
        row
        for claims in REPRODUCTION.families_of(page).values()
        for claim in claims
        for row in rows_of(claim, seen)
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    save(table, folder, "coverage", __spec__.name, "seen", page, names, folders)


if __name__ == "__main__":
    main(Path(sys.argv[1]), page_of(sys.argv[1:]), sys.argv[3:])
