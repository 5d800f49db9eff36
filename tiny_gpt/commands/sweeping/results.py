"""Results of a sweep: frames, thresholds and maps."""

import gzip
import io
import json
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console

from tiny_gpt.commands.sweeping.figures import FIGURES, draw_figures
from tiny_gpt.commands.sweeping.words import describe_fit
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.runtime.files import write_whole
from tiny_gpt.sweep.collect import (
    axes_of_map,
    collect_metrics,
    collect_runs,
    describe_exponent,
    describe_threshold,
    fit_exponents,
    fit_thresholds,
    summarise_cells,
)
from tiny_gpt.sweep.contrasts import describe_contrast, fit_contrasts
from tiny_gpt.sweep.grid import Sweep
from tiny_gpt.sweep.remote_store import writer
from tiny_gpt.sweep.rows import MADE_COLUMNS
from tiny_gpt.sweep.store import Store

MANIFEST, RUNS, CELLS = "manifest.json", "runs.csv", "cells.csv"
MADE, METRICS = "made.csv", "metrics.csv.gz"
THRESHOLDS = "thresholds.json"
FORMAT = 1


def write_frames(
    sweep: Sweep,
    store: Store,
    folder: Path,
    command: str,
    commit: str,
    console: Console,
    has_metrics: bool = False,
) -> None:
    """Writes frames and thresholds of the finished runs.

    Files of an earlier collection of the same sweep are replaced: they follow
    from the store.

    Args:
        sweep: the sweep.
        store: where its runs are.
        folder: where `RUNS`, `MADE`, `CELLS`, `THRESHOLDS` and `MANIFEST` are
            written (`check_folder`).
        command: for the manifest.
        commit: for the manifest.
        console: where to show the thresholds.
        has_metrics: whether `METRICS` is written: all that `collect_metrics`
            returns, the one large file.

    Raises:
        ValueError: if there is no finished run.
    """
    runs = collect_runs(sweep, store)
    if runs.empty:
        raise ValueError(
            "There must be a finished run to collect. "
            f"Received: {store.folder}, which has none of {sweep.name!r}"
        )
    fitted = fit(sweep, runs)
    folder.mkdir(parents=True, exist_ok=True)
    # First, so that the folder has an owner if this is killed, and whole last.
    described = {"format": FORMAT, "sweep": describe_sweep(sweep)}
    _write_json(folder / MANIFEST, described)
    made = [*sweep.axes, "seed", *MADE_COLUMNS]
    _write_frame(folder / RUNS, runs.drop(columns=list(MADE_COLUMNS)))
    _write_frame(folder / MADE, runs[made])
    (folder / METRICS).unlink(missing_ok=True)  # of an earlier collection
    if has_metrics:
        text = collect_metrics(sweep, store).to_csv(index=False)
        _write(folder / METRICS, gzip.compress(text.encode(), mtime=0))
    _write_frame(folder / CELLS, summarise_cells(sweep, runs))
    _write_json(folder / THRESHOLDS, fitted)
    _write_json(
        folder / MANIFEST,
        {
            **described,
            "runs": len(runs),
            "runs_wanted": len(sweep.cells) * len(sweep.seeds),
            "wall_s": round(float(runs["wall_s"].sum()), 1),
            "command": command,
            "commit": commit,
            "made_on": sorted(set(runs["made_on"])),
            "collected": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **describe_environment(),
            "precision": store.precision,
        },
    )
    for line in describe_fit(fitted):
        console.print(line, highlight=False, soft_wrap=True)
    wanted = len(sweep.cells) * len(sweep.seeds)
    console.print(
        f"{len(runs)} of {wanted} runs collected. Frames: {folder}",
        highlight=False,
        soft_wrap=True,
    )


def describe_sweep(sweep: Sweep) -> dict[str, Any]:
    """Returns the fields of a sweep in JSON types."""
    return {
        "name": sweep.name,
        "bases": list(sweep.bases),
        "axes": {axis: list(values) for axis, values in sweep.axes.items()},
        "fixed": dict(sweep.fixed),
        "seeds": list(sweep.seeds),
        "success": vars(sweep.success),
    }


def check_folder(sweep: Sweep, folder: Path) -> None:
    """Checks that the results of a sweep may be written into a folder.

    Raises:
        ValueError: if it holds something else.
    """
    # Another command may be about to write its first file.
    if not folder.exists() or all(
        path.name.startswith("saving_") for path in folder.iterdir()
    ):
        return
    owner = _collected(folder).get("name")
    if owner != sweep.name:
        raise ValueError(
            "What is collected goes into a new or empty folder, or one that "
            "has the same sweep. "
            f"Received: {folder}, for {sweep.name!r}, which holds "
            f"{'other files' if owner is None else repr(owner)}"
        )


def _collected(folder: Path) -> dict[str, Any]:
    """Returns the description of the sweep in a folder; empty if none."""
    try:
        found = json.loads((folder / MANIFEST).read_text())["sweep"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def fit(sweep: Sweep, runs: pd.DataFrame) -> dict[str, Any]:
    """Fits thresholds, exponents and contrasts; the content of `THRESHOLDS`.

    Args:
        sweep: the sweep.
        runs: frame of `collect_runs`, or the content of `RUNS`.
    """
    numbers, _ = axes_of_map(sweep.axes)
    thresholds = fit_thresholds(sweep, runs)
    exponents = fit_exponents(sweep, thresholds)
    others = [axis for axis in sweep.axes if axis not in numbers[:1]]
    rest = [axis for axis in others if axis not in numbers[:2]]
    return {
        "axis": numbers[0] if numbers else None,
        "thresholds": [
            {
                "at": dict(zip(others, _plain(point), strict=True)),
                **describe_threshold(found),
            }
            for point, found in thresholds.items()
        ],
        "exponent_axis": numbers[1] if len(numbers) > 1 else None,
        "exponents": [
            {
                "at": dict(zip(rest, _plain(point), strict=True)),
                **describe_exponent(found),
            }
            for point, found in exponents.items()
        ],
        "contrasts": [
            describe_contrast(c) for c in fit_contrasts(sweep, thresholds)
        ],
    }


def _plain(point: tuple[Any, ...]) -> list[Any]:
    """Returns numbers of numpy as numbers of Python."""
    return [v.item() if hasattr(v, "item") else v for v in point]


def plot(sweep: Sweep, folder: Path, console: Console) -> None:
    """Draws the maps of the collected results.

    Raises:
        ValueError: if there are none.
    """
    check_folder(sweep, folder)
    asked = json.loads(json.dumps(describe_sweep(sweep)))
    if not (folder / THRESHOLDS).exists() or asked != _collected(folder):
        raise ValueError(
            "Maps are drawn from what was collected of the same sweep; "
            "collect it first: sweep collect FILE. "
            f"Received: {folder}, which has none of it"
        )
    cells = pd.read_csv(folder / CELLS)
    fitted = json.loads((folder / THRESHOLDS).read_text())
    figures = draw_figures(asked, cells, fitted)
    for name in FIGURES.keys() - figures.keys():  # of an earlier collection
        (folder / f"{name}.png").unlink(missing_ok=True)
    for name, figure in reversed(figures.items()):  # the map last of all
        path = folder / f"{name}.png"
        _save(figure, path)
        console.print(f"Figure: {path}", highlight=False, soft_wrap=True)


def _save(figure: Figure, path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, dpi=150, format="png")
    plt.close(figure)
    _write(path, picture.getvalue())


def _write_frame(path: Path, frame: pd.DataFrame) -> None:
    _write(path, frame.to_csv(index=False).encode())


def _write_json(path: Path, value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=2, allow_nan=False)
    _write(path, f"{text}\n".encode())


def _write(path: Path, data: bytes) -> None:
    """Writes in one move: drivers that share a store may end together."""
    write_whole(path, data, writer())
