"""Files that are whole or refused: atomic writing, checksums.

This module needs only NumPy and the standard library, so that callbacks can
use it anywhere.
"""

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_HEADER = b"tiny_gpt checkpoint 1 "
_END = b"\n}\n"


class DamagedFileError(ValueError):
    """The content of a file is not what was written."""


def write_whole(path: Path, data: bytes, writer: str = "") -> None:
    """Writes a file in one move: after a crash it is the old or the new one.

    The data reach the disk before the file gets its name.

    Args:
        path: the file.
        data: its content.
        writer: a name that differs between processes which write the same
            file at the same time. Without it, one may move what the other has
            half written.

    Raises:
        OSError: if it cannot be written; the old file is not changed.
    """
    new = path.with_name(f"saving_{writer}{path.name}")
    try:
        with open(new, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def require_room(path: Path, num_bytes: int) -> None:
    """Makes sure that a file of some size has room, and leaves none.

    For writers that end the process when a disk is full, as HDF5 does.

    Args:
        path: where the file will be.
        num_bytes: how large it will be at most.

    Raises:
        OSError: if there is no room.
    """
    # Without a name, so that nothing is left of it, whatever happens.
    with tempfile.TemporaryFile(dir=path.parent) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, num_bytes)
        else:
            file.write(bytes(num_bytes))
            file.flush()
            os.fsync(file.fileno())


def hash_arrays(arrays: Iterable[np.ndarray]) -> str:
    """Returns the SHA-256 of arrays: their types, shapes and values."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.asarray(array)
        # Little-endian everywhere, so that machines agree.
        array = array.astype(array.dtype.newbyteorder("<"), order="C")
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def write_checkpoint(
    path: Path, arrays: Sequence[np.ndarray], info: dict[str, Any]
) -> None:
    """Writes arrays, and information about them, into one file.

    The file is a line with the SHA-256 of the rest, and a NumPy archive.

    Args:
        path: the file.
        arrays: no Python objects, which would need pickle.
        info: JSON types.

    Raises:
        OSError: if the file cannot be written; the old one is kept.
    """
    archive = io.BytesIO()
    values: dict[str, Any] = {f"value_{i}": a for i, a in enumerate(arrays)}
    np.savez(archive, info=np.array(json.dumps(info)), **values)
    body = archive.getbuffer()
    digest = hashlib.sha256(body).hexdigest().encode()
    write_whole(path, b"".join((_HEADER, digest, b"\n", body)))


def read_checkpoint(path: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Reads a file of `write_checkpoint`.

    Returns:
        The arrays, and the information about them.

    Raises:
        DamagedFileError: if it is not what was written.
        FileNotFoundError: if there is no such file.
    """
    head, _, body = path.read_bytes().partition(b"\n")
    digest = hashlib.sha256(body).hexdigest().encode()
    if head != _HEADER + digest:
        raise _damaged(path)
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            info = json.loads(str(archive["info"]))
            count = len(archive.files) - 1
            return [archive[f"value_{i}"] for i in range(count)], info
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        # Right sum, but no archive of ours: somebody else wrote it.
        raise _damaged(path) from error


def seal(value: dict[str, Any]) -> str:
    """Returns JSON with a value and its SHA-256.

    Raises:
        ValueError: if a number is not finite, which JSON cannot hold.
    """
    text = json.dumps(value, indent=1, allow_nan=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{{"sha256": "{digest}", "value":\n{text}{_END.decode()}'


def unseal(path: Path) -> dict[str, Any]:
    """Reads the value from a file that `seal` made.

    Raises:
        DamagedFileError: if it is not what was written.
        FileNotFoundError: if there is no such file.
    """
    value = json.loads(_unsealed(path))
    if not isinstance(value, dict):
        raise _damaged(path)
    return value


def is_sealed(path: Path, first: dict[str, Any]) -> bool:
    """Tells whether `seal` made a file, without parsing it.

    Args:
        path: the file.
        first: items with which the value begins.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    start = json.dumps(first, indent=1).removesuffix("\n}") + ","
    try:
        return _unsealed(path).startswith(start.encode())
    except DamagedFileError:
        return False


def _unsealed(path: Path) -> bytes:
    head, _, rest = path.read_bytes().partition(b"\n")
    text = rest.removesuffix(_END)
    digest = hashlib.sha256(text).hexdigest()
    is_whole = head == f'{{"sha256": "{digest}", "value":'.encode()
    if not is_whole or text + _END != rest:
        raise _damaged(path)
    return text


def set_aside(path: Path) -> Path:
    """Renames a damaged file, so that it is neither used nor lost.

    Returns:
        Its new path, "<name>.damaged", with a number if that exists.
    """
    for number in range(1, 1000):
        suffix = ".damaged" if number == 1 else f".damaged_{number}"
        aside = path.with_name(path.name + suffix)
        if not aside.exists():
            break
    os.replace(path, aside)
    return aside


def _damaged(path: Path) -> DamagedFileError:
    return DamagedFileError(
        f"A saved file must be whole, as it was written. Received: {path}"
    )


def differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Returns the differences of two configs in a line."""
    old, new = _flatten(old), _flatten(new)
    names = [n for n in {**old, **new} if old.get(n) != new.get(n)]
    shown = (f"{n}: {old.get(n)}, now {new.get(n)}" for n in names[:3])
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return "; ".join(shown) + more


def _flatten(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    flat = {}
    for key, item in value.items():
        flat.update(_flatten(item, f"{name}.{key}" if name else key))
    return flat


def write_text(path: Path, text: str) -> None:
    """Writes a text file in one move, so that nobody reads half of it."""
    write_whole(path, text.encode())


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes JSON in one move.

    Raises:
        ValueError: if a number is not finite, which JSON cannot hold.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
