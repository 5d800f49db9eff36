"""The campaign at the published size: one run after the other, for days.

Run       make paper-campaign
Time      50 hours on 2 CPU cores; it may be stopped at any moment

Each run is a command of its own, at the lowest priority. It continues from the
store if it was stopped. What it found is drawn in `results/paper_size` and
copied to `docs/runs/paper`, without weights. A run that is there is not made
again, so the campaign goes on wherever those files are. `state.json` has
what is done, what is left and how many hours that takes. Order, seeds and the
limit of hours are those of `docs/protocol_paper_size.md`.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from experiments.paper_size import NAME
from tiny_gpt.runtime.checks import check_choice

Cell = tuple[str, int]  # condition, seed
MAIN = ("sparse", "scrambled", "no_route_54", "sparse_54")
ORDER: tuple[Cell, ...] = (
    *((name, seed) for seed in range(300, 305) for name in MAIN),
    *(("alone", seed) for seed in range(300, 310)),
    *((n, s) for n in ("no_a_to_c", "unrelated_54") for s in (300, 301, 302)),
    *((name, seed) for seed in range(305, 310) for name in MAIN),
)
LIMIT_H = 60.0
PACKED = "metrics.csv"
COPIED = ("events.csv", "manifest.json")
LOWEST = 19  # of priorities


def command_of(cell: Cell, folder: Path) -> list[str]:
    """Returns the command of one run into a folder."""
    condition, seed = cell
    return [
        *(sys.executable, "-m", "experiments", NAME, "--preset", "paper"),
        *("--backend", "tensorflow", "--conditions", condition),
        *("--seeds", "1", "--first-seed", str(seed), "--out", str(folder)),
    ]


def run(command: Sequence[str]) -> None:
    """Runs a command at the lowest priority.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    subprocess.run(command, check=True, preexec_fn=lambda: os.nice(LOWEST))


def go_on(
    order: Sequence[Cell],
    results: Path,
    kept: Path,
    execute: Callable[[Sequence[str]], None] = run,
    limit_h: float = LIMIT_H,
    only: Sequence[str] = (),
) -> None:
    """Runs what is not kept yet, until the order ends or the hours are spent.

    Args:
        order: the runs, those that tell most first.
        results: folder for runs in progress.
        kept: folder of what they found.
        execute: runs a command, and raises if it fails.
        limit_h: hours of runs after which none is begun.
        only: conditions that are run now; all if empty.

    Raises:
        ValueError: if one of them is unknown.
    """
    for name in only:
        check_choice("condition", name, tuple(dict(order)))
    for cell in order:
        state = write_state(order, kept)
        if _place(kept, cell).exists() or cell[0] not in (only or cell):
            continue
        if state["hours_spent"] >= limit_h:
            break
        folder = _place(results, cell)
        execute(command_of(cell, folder))
        _keep(folder, _place(kept, cell))
    write_state(order, kept)


def write_state(order: Sequence[Cell], kept: Path) -> dict[str, Any]:
    """Writes which runs are done and left, and the hours of both."""
    hours: dict[Cell, float] = {}
    for cell in order:
        if _place(kept, cell).exists():
            text = (_place(kept, cell) / "manifest.json").read_text()
            hours[cell] = sum(json.loads(text)["wall_s"].values()) / 3600
    left = [cell for cell in order if cell not in hours]
    known = {
        c: mean(h for (n, _), h in hours.items() if n == c)
        for c in {name for name, _ in hours}
    }
    guesses = [known.get(name) for name, _ in left]
    is_known = bool(guesses) and None not in guesses
    state = {
        "done": [f"{name}_{seed}" for name, seed in hours],
        "left": [f"{name}_{seed}" for name, seed in left],
        "hours_spent": round(sum(hours.values()), 2),
        # Of conditions that were run once; the others are not known.
        "hours_left": round(sum(h for h in guesses if h), 2),
        "hours_left_is_whole": is_known or not left,
    }
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "state.json").write_text(json.dumps(state, indent=2) + "\n")
    return state


def _place(folder: Path, cell: Cell) -> Path:
    return folder / f"{cell[0]}_{cell[1]}"


def _keep(folder: Path, place: Path) -> None:
    """Copies what a run found, all of it or nothing."""
    new = place.with_name(f"new_{place.name}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for name in COPIED:
        shutil.copy(folder / name, new)
    packed = gzip.compress((folder / PACKED).read_bytes(), mtime=0)
    (new / f"{PACKED}.gz").write_bytes(packed)
    new.rename(place)


if __name__ == "__main__":
    go_on(
        ORDER,
        Path("results") / NAME,
        Path("docs/runs/paper"),
        only=sys.argv[1:],
    )
