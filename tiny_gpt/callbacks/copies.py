"""Copies of callbacks that write files, each into a place of its own."""

import copy
from pathlib import Path
from typing import Any


class WritesFiles:
    """What callbacks that write files share: copies have places of their own.

    A tuner trains each trial with a deep copy. A copy that begins at the first
    epoch writes where nothing is; one that continues goes on where the
    original is.
    """

    _is_copy = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        new = object.__new__(type(self))
        memo[id(self)] = new
        for name, value in vars(self).items():
            setattr(new, name, copy.deepcopy(value, memo))
        new._is_copy = True
        return new

    def own_path(
        self, path: Path, epoch: int, suffix: str | None = None
    ) -> Path:
        """Returns where a training writes.

        Args:
            path: where the original writes.
            epoch: first epoch of the training, counted from 0.
            suffix: see `free_path`.
        """
        is_new_copy = self._is_copy and epoch == 0
        return free_path(path, suffix) if is_new_copy else path


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
