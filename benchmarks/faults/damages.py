"""Trials of damaged and foreign files, and of the weights that are kept."""

import functools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.bench import Bench, count_epochs
from benchmarks.faults.fault import Fault
from benchmarks.faults.folder import damage, read_all
from benchmarks.faults.miniature import NUM_EPOCHS, OUT, SEEDS, STORE

# No command reads them again.
NEVER_READ = ("running/RUN.previous.checkpoint", "running/RUN.jsonl")


class Damages(Bench):
    """Damages files of a command, and starts it again."""

    def damage(
        self, names: Sequence[str], how: str, stage: str, seed: int
    ) -> bool:
        """Damages files of a command.

        Args:
            names: paths inside the folder; "RUN" stands for the first run
                of the last seed, "CELL" for its cell.
            how: one of `DAMAGES`.
            stage: "midway", when the run has saved three times; "ending",
                while it is put into the store; or "finished", when the
                command has ended.
            seed: of the row.

        Returns:
            Whether nothing is lost, as all trials return.
        """
        start = time.perf_counter()
        folder = self._copy(self._folders[stage])
        paths = [folder / self._in_full(name) for name in names]
        for path in paths:
            damage(path, how)
        detected: bool | None = None
        if names[0].endswith(".h5"):  # no command reads them
            detected = self._commands.load([folder]).was_refused
            paths[0].unlink()
            survived = self._finish(folder)
        elif names[0].endswith("store.json"):
            detected = self._run(folder).was_refused
            paths[0].unlink()
            survived = self._finish(folder)
        else:
            survived = self._finish(folder)
            if not names[0].endswith(NEVER_READ):
                detected = all(map(self._is_right, paths, names))
        if stage == "finished":  # nothing else is made again
            is_lost = "CELL" in names[0]
            survived &= count_epochs(self.last) == NUM_EPOCHS * is_lost
        fault = Fault("", "", f"{' and '.join(names)}, {how}")
        return self._add(
            f"damaged, {stage}", fault, seed, survived, detected, start
        )

    def _in_full(self, name: str) -> str:
        key = self._keys[0]
        run = name.replace("RUN", f"{key}_seed_{SEEDS[-1]}")
        return run.replace("CELL", f"{key}/seed_{SEEDS[-1]}")

    def _is_right(self, path: Path, name: str) -> bool:
        """Tells whether a file was set aside, and said, or written again."""
        if f"set aside as {path.name}.damaged" in self.last.output:
            return True
        whole = self._whole / self._in_full(name)
        return whole.exists() and path.read_bytes() == whole.read_bytes()

    @functools.cached_property
    def _folders(self) -> dict[str, Path]:
        key, seed = self._keys[0], SEEDS[-1]
        folders = {"finished": self._whole}
        saved = f"renamed store/running/{key[:8]}_seed_{seed}.checkpoint"
        kept = f"half written store/cells/{key[:8]}/saving_seed_{seed}.json"
        for stage, name, occurrence in (
            ("midway", saved, 2),
            ("ending", kept, 0),
        ):
            is_alone = self.path.startswith("fit")
            folder = self._start_folder(key if is_alone else None)
            self._run(folder, Fault("kill", "writing", name, occurrence))
            folders[stage] = folder
        return folders

    def other_version(self, is_drawn: bool, seed: int) -> bool:
        """Starts the command on a store that another version has written.

        It must say so in a line, and change nothing.

        Args:
            is_drawn: whether the results folder is there.
            seed: of the row.
        """
        start = time.perf_counter()
        folder = self._copy(self._whole)
        mark = folder / STORE / "store.json"
        ours = json.loads(mark.read_text())
        mark.write_text(json.dumps({"format": ours["format"] + 1}))
        if not is_drawn:
            for path in (folder / OUT).iterdir():
                path.unlink()
            (folder / OUT).rmdir()
        before = read_all(folder)
        ended = self._run(folder)
        detected = (
            ended.code == 2
            and ended.was_refused
            and len(ended.output.splitlines()) == 1
        )
        is_unchanged = read_all(folder) == before
        if not (detected and is_unchanged):
            sys.stderr.write(f"{folder} {ended.code} {ended.output}\n")
        mark.write_text(json.dumps(ours))
        survived = is_unchanged and self._finish(folder)
        survived &= count_epochs(self.last) == 0
        what = "drawn before" if is_drawn else "no results folder"
        fault = Fault("", "", f"store of another version, {what}")
        return self._add("refused", fault, seed, survived, detected, start)

    def load_all(self, seed: int) -> bool:
        """Loads the kept weights of every run of every finished folder."""
        start = time.perf_counter()
        folders = [
            path
            for path in self._folder.iterdir()
            if (path / OUT / "metrics.csv").exists()
        ]
        is_right = True
        for i in range(0, len(folders), 8):
            ended = self._commands.load(folders[i : i + 8])
            if ended.code:
                sys.stderr.write(f"{ended.code} {ended.output}\n")
            is_right &= ended.code == 0
        fault = Fault("", "", f"all of {len(folders)} folders")
        return self._add("weights loaded", fault, seed, is_right, None, start)
