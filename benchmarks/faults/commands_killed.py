"""Killed commands: what survives kills, stops, errors and damaged files.

Question  Does the same command, started again, end with the same bytes as one
          that was never stopped?
Run       python -m benchmarks.faults.commands_killed docs/runs/faults
Time      41 minutes on 2 CPU cores, shared with other work

The benchmark runs the real command line, `python -m experiments triangle`, on
a miniature of two conditions, two seeds and `NUM_EPOCHS` epochs, saved after
each, with a results folder and a store that keeps weights. The command
announces each step through a pipe. There it is killed, stopped, or given an
error. Then the same command is started again.

- Survived: the exit code is 0; the bytes of `metrics.csv` and `events.csv`,
  and all that the store has of every run, its logs, exact evaluation and hash
  of the weights, are those of a command that was never stopped; the saved
  weights have that hash; and no other file is left over.
- Detected: the command said what was wrong, or a damaged file was set aside or
  written again; empty if there is nothing to detect.
- Lost: it did not survive, was not detected, or left a file with its final
  name that is not whole.

Kills are SIGKILL at a random moment of each phase, and at each kind of write
into the store. In the phase "writing" the process is held between two system
calls while it is killed. A few are killed again in the next attempt. A full
disk is an injected ENOSPC at each kind of write, and a limit on the size of
files, which cuts a write in the middle.

Two commands at once share the runs: no epoch is trained twice. If one of them
is killed or stopped, the other finishes everything, and trains at most one
epoch of each run again.

A damaged run is made again, and no other. Damaged weights are found by the
command that loads them. Then they are removed, and their run is made again. A
store whose mark is damaged is refused; then the mark is removed. A store of
another version is refused in a line, and nothing is changed.

`fit` has no compiled programs to keep, and is slow to start. Its command
therefore finds three of the four runs finished, as if it had been killed
before. The command line uses `fit` on TensorFlow alone; on JAX it replaces the
compiled path.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.faults.catalogue import try_all
from benchmarks.faults.commands import Commands
from benchmarks.faults.miniature import PATHS
from benchmarks.faults.trials import Trials

COLUMNS = (
    "path",
    "kind",
    "phase",
    "point",
    "seed",
    "survived",
    "detected",
    "lost",
    "seconds",
)


def main() -> None:
    """Tries all paths, or those of one backend in this process."""
    folder = Path(sys.argv[1])
    if len(sys.argv) == 3:
        rows = []
        with tempfile.TemporaryDirectory() as temporary:
            commands = Commands(Path(temporary))
            for i, path in enumerate(PATHS):
                if PATHS[path] == sys.argv[2]:
                    of_path = Path(temporary) / str(i)
                    of_path.mkdir()
                    trials = Trials(path, commands, of_path)
                    try_all(trials)
                    rows += trials.rows
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    # Side by side, on a core each.
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.faults.commands_killed",
                str(folder),
                backend,
            ],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KERAS_BACKEND": backend},
        )
        for backend in dict.fromkeys(PATHS.values())
    ]
    outputs = [process.communicate()[0] for process in running]
    rows = [row for text in outputs for row in json.loads(text)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    _write(folder, frame, time.perf_counter() - start)


def _write(folder: Path, frame: pd.DataFrame, seconds: float) -> None:
    from tiny_gpt.runtime import results_folder
    from tiny_gpt.runtime.environment import describe_environment

    results_folder.write_frame(folder / "faults.csv", frame)
    table = tabulate(frame)
    results_folder.write_text(folder / "table.md", table)
    unused = ("backend", "precision")
    manifest = {
        "command": f"python -m benchmarks.faults.commands_killed {folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_s": round(seconds, 1),
        "load": os.getloadavg(),
        "backends": list(dict.fromkeys(PATHS.values())),
        # Of this process, which computed nothing.
        **{k: v for k, v in describe_environment().items() if k not in unused},
    }
    results_folder.write_json(folder / "manifest.json", manifest)
    sys.stdout.write(table)


def tabulate(frame: pd.DataFrame) -> str:
    """Returns a Markdown table: injected, survived, lost by path and kind."""
    headings = ("path", "fault", "injected", "survived", "lost")
    rulers = ("---", "---", "---:", "---:", "---:")
    is_kill = frame["kind"] == "killed"
    kinds = frame["kind"].where(~is_kill, "killed, " + frame["phase"])
    lines: list[Sequence[str]] = [headings, rulers]
    for names, rows in frame.groupby(["path", kinds], sort=False):
        counts = len(rows), rows["survived"].sum(), rows["lost"].sum()
        lines.append([*map(str, names), *map(str, counts)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
