"""The verdicts on committed frames, by the rules of today.

Question  What do the rules say about runs whose frames are committed, and may
          have been made by several commands?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.judge FOLDER FRAMES ...
          [--page docs/protocol_composition.md]
          e.g. docs/runs/exploratory docs/runs/reproduce_quick \
          docs/runs/reproduce_quick_fresh docs/runs/theory{,_fresh}
Time      a minute

FOLDER gets claims.json, verdicts.md and manifest.json; FRAMES are folders with
a metrics.csv.gz each. All seeds that are in any of them are judged together.
A condition that lacks one of them leaves its claims undecided. Nothing is
trained.
"""

import argparse
import dataclasses
import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.reproduction import REPRODUCTION
from tiny_gpt.claims.claim import LEVEL, decide_all
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.claims.protocol import protocol_of
from tiny_gpt.commands.reporting.verdicts import (
    command_of,
    describe_family,
    summarise,
    verdict_table,
)
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.report.entries import lacks_runs
from tiny_gpt.report.schema import FORMAT
from tiny_gpt.runtime.files import write_text


def read_frames(folders: Sequence[Path]) -> pd.DataFrame:
    """Returns the metrics of several folders, each number once."""
    frames = [
        pd.read_csv(folder / "metrics.csv.gz", low_memory=False)
        for folder in folders
    ]
    names = [name for name in COLUMNS if name not in ("step", "value")]
    return pd.concat(frames, ignore_index=True).drop_duplicates(names)


def evidence_of(metrics: pd.DataFrame, level: float = LEVEL) -> Evidence:
    """Returns the evidence of a frame, for all its seeds."""
    published = [s.published for s in REPRODUCTION.studies if s.published]
    return Evidence(
        metrics,
        tuple(sorted(map(int, set(metrics["seed"])))),
        pd.read_csv(REPRODUCTION.paper_metrics),
        pd.concat(map(pd.read_csv, published)),
        level,
    )


def judge(evidence: Evidence, page: Path = REPRODUCTION.page) -> dict[str, Any]:
    """Returns the verdicts: a ledger without conditions.

    Args:
        evidence: frames of the runs.
        page: the protocol whose claims are decided.
    """
    entries, families = [], REPRODUCTION.families_of(page)
    for family, decided in families.items():
        level = family.interval_level
        of_family = dataclasses.replace(evidence, level=level)
        command = command_of(family.target, "quick", evidence.seeds)
        entries += decide_all(decided, of_family, command)
    protocol = protocol_of(page, REPRODUCTION.rules, families, evidence.seeds)
    kind = protocol["kind"]
    found = [entry for entry in entries if not lacks_runs(entry)]
    return {
        "format": FORMAT,
        "preset": "quick",
        "seeds": list(evidence.seeds),
        "kind": kind,
        "level": LEVEL,
        "protocol": protocol,
        "families": [describe_family(family) for family in families],
        "summary": summarise(found, "quick", evidence.seeds, kind),
        "claims": entries,
    }


def main(folder: Path, frames: Sequence[Path], page: str | None) -> None:
    """Writes verdicts, table and manifest."""
    path = REPRODUCTION.page
    path = path.parent / Path(page or path).name
    ledger = judge(evidence_of(read_frames(frames)), path)
    folder.mkdir(parents=True, exist_ok=True)
    for entry in ledger["claims"]:
        entry["figure"] = None  # the report of the runs has them
    text = json.dumps(ledger, indent=1, ensure_ascii=False)
    write_text(folder / "claims.json", text + "\n")
    write_text(folder / "verdicts.md", verdict_table({"verdict": ledger}))
    manifest = {
        "command": f"python -m {__spec__.name} {folder} "
        + " ".join(map(str, frames))
        + (f" --page {page}" if page else ""),
        "seeds": ledger["seeds"],
        "protocol": ledger["protocol"],
        "python": platform.python_version(),
        "versions": {n: version(n) for n in ("numpy", "scipy", "pandas")},
    }
    path = folder / "manifest.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    if "runs" in before:  # of `keep_runs`
        manifest = {"runs": before["runs"], "verdicts": manifest}
    text = json.dumps(manifest, indent=1)
    write_text(path, text + "\n")
    sys.stdout.write(f"{ledger['summary']}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("frames", type=Path, nargs="+")
    parser.add_argument("--page", help="a protocol other than docs/protocol.md")
    main(**vars(parser.parse_args()))
