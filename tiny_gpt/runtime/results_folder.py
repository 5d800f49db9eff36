"""The results folder of one command: a view of the runs in a store.

    metrics.csv    metrics frame of all conditions and seeds
    events.csv     events found in it
    summary.json   accuracies over seeds
    manifest.json  config, versions, device, command, wall seconds

The same command makes it again from the store. Files are written in one move.
The manifest has the checksums of the frames and of itself.
"""

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from tiny_gpt.runtime.checks import check_installed
from tiny_gpt.runtime.files import (
    DamagedFileError,
    differences,
    set_aside,
    write_json,
    write_text,
)

FORMAT = 3  # of 2, runs lay in the folder
MANIFEST = "manifest.json"
LOCK = ".lock"
WAIT_S = 120.0  # for another command, which draws
# What one config leaves beside the manifest.
DATA_FILES = ("metrics.csv", "events.csv", "summary.json")
OWN_FILES = (
    *DATA_FILES,
    "table_1.md",
    "figure_2.png",
    "curves.png",
    "report.html",
    "measured.csv",
    "claims.json",
    "verdicts.md",
)


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Prevents other processes from writing into a folder meanwhile.

    It waits for one that does. The system releases the lock when the process
    ends, however it ends.

    Raises:
        ValueError: if another process holds it for `WAIT_S`, or it cannot be
            written.
    """
    check_installed("filelock")
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=WAIT_S)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            "One command at a time writes into a results folder. "
            f"Received: folder={folder}, which another one has held for "
            f"{WAIT_S:.0f} s"
        ) from error
    except OSError as error:
        raise _not_writable(folder, error) from error
    try:
        yield
    finally:
        if not (folder / MANIFEST).exists():  # refused, and not ours
            with suppress(OSError):
                (folder / LOCK).unlink()
        lock.release()


def reserve_folder(
    folder: Path, config: dict[str, Any], overwrite: bool = False
) -> None:
    """Makes sure that a folder may hold the results of a config.

    A new or empty folder is reserved by a manifest that says "unfinished". A
    folder reserved by the same config is not changed; further seeds and
    conditions may join. With `overwrite`, the results of another config are
    removed, but never files that are not ours; their runs stay in the store.

    Args:
        folder: where results are written; made if missing.
        config: all that the results depend on; JSON types.
        overwrite: whether results of another config may be removed.

    Raises:
        ValueError: if the folder cannot be written, holds something that is
            not ours, or results of another config or format.
    """
    config = json.loads(json.dumps(config))  # as it will be read back
    try:
        _reserve(folder, config, overwrite)
    except OSError as error:
        raise _not_writable(folder, error) from error


def _not_writable(folder: Path, error: OSError) -> ValueError:
    return ValueError(
        f"The results folder must be writable. Received: folder={folder} "
        f"({error.strerror})"
    )


def _reserve(folder: Path, config: dict[str, Any], overwrite: bool) -> None:
    manifest_path = folder / MANIFEST
    if manifest_path.exists() and (manifest := _read_or_set_aside(folder)):
        if manifest["format"] == FORMAT and manifest["config"] == config:
            write_text(manifest_path, manifest_path.read_text())  # can we?
            return
        grows = manifest["format"] == FORMAT and _grows(
            manifest["config"], config
        )
        if not grows and not overwrite:
            raise ValueError(
                "A folder holds the results of one configuration. Choose "
                "another folder (--out) or replace them (--overwrite). "
                f"Received: folder={folder}, whose configuration differs: "
                f"{_difference(manifest, config)}"
            )
        if not grows:
            _remove_own(folder)
    elif _find_others(folder):
        raise ValueError(
            "Results go into a new or empty folder, or one that already holds "
            f"results ({MANIFEST}). Choose another folder (--out). "
            f"Received: folder={folder}, which holds other files"
        )
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"format": FORMAT, "status": "unfinished", "config": config}
    write_manifest(folder, manifest)


def _read_or_set_aside(folder: Path) -> dict[str, Any] | None:
    """Reads a manifest; a damaged one makes room for a new one."""
    try:
        return read_manifest(folder)
    except DamagedFileError:
        if _find_others(folder):
            raise  # not ours
        aside = set_aside(folder / MANIFEST)
        warnings.warn(
            f"The manifest of {folder} is damaged and was set aside as "
            f"{aside.name}; the folder is made again from the store.",
            stacklevel=2,
        )
        return None


def _find_others(folder: Path) -> list[str]:
    """Returns the names of files that no command of ours has written."""
    if not folder.is_dir():
        return []
    ours = (*OWN_FILES, MANIFEST, LOCK)
    return [
        path.name
        for path in folder.iterdir()
        if path.name.partition(".damaged")[0] not in ours
        and not path.name.startswith("saving_")
        and not any(path.rglob(MANIFEST))  # of an experiment, or a sweep
    ]


def _grows(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Tells whether a config only adds seeds or conditions to another."""
    parts = ("seeds", "conditions")
    if "seeds" not in old or "seeds" not in new:
        return False
    common = [name for name in {**old, **new} if name not in parts]
    if any(old.get(name) != new.get(name) for name in common):
        return False
    conditions = new.get("conditions", {})
    return set(old["seeds"]) <= set(new["seeds"]) and all(
        conditions.get(name) == value
        for name, value in old.get("conditions", {}).items()
    )


def _remove_own(folder: Path) -> None:
    for name in OWN_FILES:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)


def hash_files(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of the frames and the summary that are there."""
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in DATA_FILES
        if (folder / name).exists()
    }


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes a manifest with its own checksum and those of the files.

    Args:
        folder: the results folder.
        manifest: JSON types.
    """
    files = hash_files(folder)
    manifest = {k: v for k, v in manifest.items() if k != "sha256"}
    manifest = {**manifest, "files": files} if files else manifest
    digest = _hash_manifest(manifest)
    write_json(folder / MANIFEST, {**manifest, "sha256": digest})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads the manifest of a results folder.

    Raises:
        DamagedFileError: if it cannot be read, or is not what was written.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
        manifest["config"], manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(
            f"{MANIFEST} must be one that this package wrote. "
            f"Received: {path}, which cannot be read"
        ) from error
    if manifest["format"] != FORMAT:
        return manifest
    digest = manifest.pop("sha256", None)
    if digest != _hash_manifest(manifest):
        raise DamagedFileError(
            f"{MANIFEST} must be as it was written. "
            f"Received: {path}, whose checksum does not fit"
        )
    return manifest


def _hash_manifest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()


def _difference(manifest: dict[str, Any], config: dict[str, Any]) -> str:
    if manifest["format"] != FORMAT:
        # Its runs are another version's, and stay where they are.
        return f"format: {manifest['format']}, now {FORMAT}"
    return differences(manifest["config"], config)


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Writes a frame as CSV in one move."""
    write_text(path, frame.to_csv(index=False))
