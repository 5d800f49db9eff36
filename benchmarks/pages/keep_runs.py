"""Frames of results folders, packed for docs/runs.

Question  Which frames and manifests are committed?
Run       python -m benchmarks.pages.keep_runs docs/runs/pilot
          results/pilot/controls results/pilot/four_languages_controls
Time      seconds

Values have six digits. One manifest holds those of all folders. A folder that
was packed before may be a source, too, so that runs are added to it; of the
theory, measurements come with it. Events and figures are drawn again from the
frames at any time.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    frames: list[pd.DataFrame] = []
    manifests: dict[str, Any] = {}
    for source in sources:
        manifest = json.loads((source / "manifest.json").read_text())
        paths = [source / "metrics.csv", source / "measured.csv"]
        if "runs" in manifest:  # packed before
            paths = [source / "metrics.csv.gz"]
            manifests |= manifest["runs"]
        else:
            kept = {key: manifest[key] for key in KEPT if key in manifest}
            # That of a reproduction names none.
            kept["conditions"] = sorted(
                manifest["config"].get("conditions", ())
            )
            manifests[source.name] = kept
        frames += [
            pd.read_csv(path, low_memory=False)
            for path in paths
            if path.exists()
        ]
    metrics = pd.concat(frames, ignore_index=True)
    path = folder / "metrics.csv.gz"
    compression = {"method": "gzip", "mtime": 0}
    metrics.to_csv(
        path, index=False, float_format="%.6g", compression=compression
    )
    text = json.dumps({"runs": manifests}, indent=1)
    write_text(folder / "manifest.json", f"{text}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
