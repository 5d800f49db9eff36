"""The power of the rules: how often they find the smallest effect of interest.

Question  With the seeds of a protocol, how often does each rule conclude what
          is true, if the truth is the smallest effect that would matter?
Run       KERAS_BACKEND=jax python -m benchmarks.choices.power docs/runs/power
          [docs/protocol_composition.md]
Time      two minutes

The rules are those of a protocol, by default docs/protocol.md. The spread over
seeds is that of the exploratory runs (`SEEN`). The effects in them are not
used: numbers are shifted to the smallest effect of interest, which each claim
names.
"""

import json
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.reproduction import REPRODUCTION
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.claims.power import simulate_power
from tiny_gpt.metrics.columns import COLUMNS

RUNS = Path("docs/runs")
# By protocol; folders in one tuple have seeds in common.
SEEN = {
    "protocol.md": (
        ("reproduce_quick", "theory"),
        ("reproduce_quick_fresh", "theory_fresh"),
        ("pilot",),
    ),
    "protocol_composition.md": (("composition_pilot",),),
    "protocol_networks.md": (("networks_pilot",),),
    "protocol_hangul.md": (("hangul_pilot",),),
}
NUM_SAMPLES = 1000


def evidence_seen(names: tuple[str, ...]) -> Iterator[Evidence]:
    """Yields the evidence of committed frames.

    Experiments that have the same seeds are together.
    """
    frames = [
        pd.read_csv(RUNS / name / "metrics.csv.gz", low_memory=False)
        for name in names
    ]
    metrics = pd.concat(frames).drop_duplicates(
        [column for column in COLUMNS if column not in ("step", "value")]
    )
    published = [s.published for s in REPRODUCTION.studies if s.published]
    curves = pd.concat(map(pd.read_csv, published))
    experiments: dict[tuple[int, ...], list[str]] = {}
    for name, rows in metrics.groupby("experiment"):
        seeds = tuple(sorted(map(int, set(rows["seed"]))))
        experiments.setdefault(seeds, []).append(str(name))
    for seeds, some in experiments.items():
        rows = metrics[metrics["experiment"].isin(some)]
        yield Evidence(rows, seeds, None, curves, 0.95)


def all_seen(names: Sequence[tuple[str, ...]]) -> list[Evidence]:
    """Returns the evidence of all runs of some folders."""
    return [found for each in names for found in evidence_seen(each)]


def save(
    table: pd.DataFrame,
    folder: Path,
    name: str,
    module: str,
    source: str,
    page: Path,
    names: Sequence[tuple[str, ...]],
    arguments: Sequence[str] = (),
) -> None:
    """Writes a table, and a manifest that calls the frames `source`.

    Args:
        table: one row a measure or an outcome.
        folder: where to.
        name: of the table's file.
        module: that made it.
        source: key of the folders of the frames.
        page: protocol of the rules.
        names: folders of the frames.
        arguments: of the command, after the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{name}.csv", index=False)
    families = REPRODUCTION.families_of(page)
    manifest = {
        "command": f"python -m {module} {folder}"
        + f" docs/{page.name}" * (bool(arguments) or page != REPRODUCTION.page)
        + "".join(f" {argument}" for argument in arguments),
        "samples": NUM_SAMPLES,
        "seeds": max(family.num_seeds for family in families),
        source: [f"docs/runs/{n}" for together in names for n in together],
        "python": platform.python_version(),
        "versions": {n: version(n) for n in ("numpy", "scipy", "pandas")},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    sys.stdout.write(f"{table.to_string()}\n")


def page_of(arguments: Sequence[str]) -> Path:
    """Returns the protocol that is named after the folder, or the own one."""
    page = REPRODUCTION.page
    return page.parent / Path(arguments[1]).name if arguments[1:] else page


def main(folder: Path, page: Path) -> None:
    """Writes the table and its manifest."""
    names = SEEN[page.name]
    seen = all_seen(names)
    tables = [
        simulate_power(
            claim,
            seen,
            family.num_seeds,
            NUM_SAMPLES,
            np.random.default_rng(n),
        )
        for family, claims in REPRODUCTION.families_of(page).items()
        for n, claim in enumerate(claims)
    ]
    table = pd.concat(tables, ignore_index=True)
    save(table, folder, "power", __spec__.name, "spread_of", page, names)


if __name__ == "__main__":
    main(Path(sys.argv[1]), page_of(sys.argv[1:]))
