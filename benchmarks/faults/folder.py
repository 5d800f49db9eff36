"""The folder of a command: its results, and ways to damage them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Result:
    """The files of a finished command.

    Attributes:
        frames: bytes of the frames and of the logs of each run, by name.
        hashes: SHA-256 of the weights of each run, by its record.
        names: files, except those that were set aside.
    """

    frames: dict[str, bytes]
    hashes: dict[str, str]
    names: frozenset[str]


def read_result(folder: Path) -> Result:
    """Reads the files of a finished command."""
    from tiny_gpt.runtime.files import unseal

    names = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".damaged" not in path.name
    }
    return Result(
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in (
                folder / "metrics.csv",
                folder / "events.csv",
                *folder.glob("runs/*/*.jsonl"),
            )
        },
        {
            str(path.relative_to(folder)): unseal(path)["weights_hash"]
            for path in sorted(folder.glob("runs/*/*.json"))
        },
        frozenset(names),
    )


def find_half_written(folder: Path) -> list[str]:
    """Returns the files that have their final name and are not whole."""
    from tiny_gpt.runtime.files import DamagedFileError, read_checkpoint, unseal
    from tiny_gpt.runtime.results_folder import read_manifest

    half = []
    for path in folder.rglob("*"):
        if path.name.startswith("saving_") or not path.is_file():
            continue
        try:
            if path.suffix == ".checkpoint":
                read_checkpoint(path)
            elif path.name == "manifest.json":
                read_manifest(folder)
            elif path.suffix == ".json" and path.parent != folder:
                unseal(path)
        except DamagedFileError:
            half.append(path.name)
    return half


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
