"""Frames of results folders, packed for docs/runs.

Question  Which frames and manifests are committed?
Run       python -m benchmarks.pages.keep_runs docs/runs/pilot
          results/pilot/controls results/pilot/four_languages_controls
Time      seconds

Values have six digits. One manifest holds those of all folders. Events and
figures are drawn again from the frames at any time.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tiny_gpt.runtime.files import write_text

KEPT = (
    *("command", "commit", "finished", "seeds", "precision", "wall_s"),
    *("made_on", "backend", "devices", "versions", "python", "processor"),
    *("protocol", "status"),
)


def main(folder: Path, sources: Sequence[Path]) -> None:
    """Packs frames and manifests of several folders into one."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = [pd.read_csv(s / "metrics.csv", low_memory=False) for s in sources]
    metrics = pd.concat(frames, ignore_index=True)
    path = folder / "metrics.csv.gz"
    compression = {"method": "gzip", "mtime": 0}
    metrics.to_csv(
        path, index=False, float_format="%.6g", compression=compression
    )
    manifests = {}
    for source in sources:
        manifest = json.loads((source / "manifest.json").read_text())
        kept = {key: manifest[key] for key in KEPT if key in manifest}
        kept["conditions"] = sorted(manifest["config"]["conditions"])
        manifests[source.name] = kept
    text = json.dumps({"runs": manifests}, indent=1)
    write_text(folder / "manifest.json", f"{text}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
