"""The folder of a trial: the results of its command, ways to damage them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults.miniature import OUT, STORE


@dataclass(frozen=True)
class Result:
    """The results of a finished command.

    Attributes:
        frames: bytes of the frames, by name.
        runs: all that the store has of each run, by its file, but when and
            where it was made, and its seconds.
        manifest: what the manifest says of runs and files.
        names: files, except locks and those that were set aside.
    """

    frames: dict[str, bytes]
    runs: dict[str, dict[str, Any]]
    manifest: dict[str, Any]
    names: frozenset[str]

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of the weights of each run."""
        return [run["weights_hash"] for run in self.runs.values()]


def read_result(folder: Path, out: str = OUT) -> Result:
    """Reads the results of a finished command.

    Args:
        folder: of the trial.
        out: name of the results folder in it.
    """
    from tiny_gpt.runtime.files import unseal
    from tiny_gpt.runtime.results_folder import read_manifest

    results, store = folder / out, folder / STORE
    runs = {}
    for path in sorted(store.glob("cells/*/*.json")):
        run = unseal(path)
        del run["made"], run["wall_s"]
        runs[str(path.relative_to(store))] = run
    manifest = read_manifest(results)
    return Result(
        {
            name: (results / name).read_bytes()
            for name in ("metrics.csv", "events.csv")
        },
        runs,
        {name: manifest[name] for name in ("status", "config", "files")},
        frozenset(
            str(path.relative_to(place))
            for place in (results, store)
            for path in place.rglob("*")
            if path.is_file() and not _is_extra(path)
        ),
    )


def _is_extra(path: Path) -> bool:
    return ".damaged" in path.name or path.name.endswith(".lock")


def read_all(folder: Path) -> dict[str, bytes]:
    """Returns the bytes of each file in a folder, except locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


def find_half_written(folder: Path) -> list[str]:
    """Returns the files that have their final name and are not whole."""
    from tiny_gpt.runtime.files import DamagedFileError

    half = []
    for path in folder.rglob("*"):
        if path.name.startswith("saving_") or not path.is_file():
            continue
        try:
            _read(path)
        except (DamagedFileError, OSError, json.JSONDecodeError):
            half.append(path.name)
    return half


def _read(path: Path) -> None:
    """Reads a file of a command, if it can be told whether it is whole."""
    import h5py

    from tiny_gpt.runtime.files import read_checkpoint, unseal
    from tiny_gpt.runtime.results_folder import read_manifest
    from tiny_gpt.sweep.cell import SEED_FILE, read_cell

    seed = SEED_FILE.fullmatch(path.name)
    if path.suffix == ".checkpoint":
        read_checkpoint(path)
    elif path.suffix == ".h5":
        h5py.File(path).close()
    elif path.name == "manifest.json":
        read_manifest(path.parent)
    elif seed:
        read_cell(path, path.parent.name, int(seed[1]))
    elif path.parent.name == "running" and path.suffix == ".json":
        unseal(path)
    elif path.suffix == ".json":
        json.loads(path.read_text())


def damage(path: Path, how: str) -> None:
    """Cuts a file in half, flips one of its bits, or empties it."""
    whole = path.read_bytes()
    half = len(whole) // 2
    if path.suffix == ".h5":  # half of such a file is never read
        half = _place_of_a_weight(path)
    flipped = whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]
    path.write_bytes({"cut": whole[:half], "flip": flipped, "empty": b""}[how])


def _place_of_a_weight(path: Path) -> int:
    import h5py

    found: list[int] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.size > 1:
            found.append(item.id.get_offset())

    with h5py.File(path) as file:
        file.visititems(visit)
    return found[0]
