"""Copies of callbacks that write files, each into a place of its own."""

import copy
from pathlib import Path
from typing import Any


def copy_of(callback: Any, memo: dict[int, Any]) -> Any:
    """Returns a deep copy of a callback, which knows that it is one."""
    new = object.__new__(type(callback))
    memo[id(callback)] = new
    for name, value in vars(callback).items():
        setattr(new, name, copy.deepcopy(value, memo))
    new._is_copy = True
    return new


def own_path(callback: Any, path: Path, suffix: str | None = None) -> Path:
    """Returns where a callback writes: a copy finds a free path, once.

    Args:
        callback: has the attribute `_is_copy`, false but for copies.
        path: where the original writes.
        suffix: see `free_path`.
    """
    if not callback._is_copy:
        return path
    callback._is_copy = False
    return free_path(path, suffix)


def free_path(path: Path, suffix: str | None = None) -> Path:
    """Returns a path at which nothing is: itself, or with "_2", "_3", ...

    Args:
        path: the path.
        suffix: where the number goes before; by default the last suffix.
    """
    suffix = path.suffix if suffix is None else suffix
    stem, number, free = path.name.removesuffix(suffix), 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{stem}_{number}{suffix}")
    return free
