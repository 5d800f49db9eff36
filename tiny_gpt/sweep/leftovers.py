"""What unfinished runs and killed processes have left in a store."""

import re
from collections.abc import Iterator
from pathlib import Path

from tiny_gpt.sweep.locks import names_in
from tiny_gpt.sweep.store import Store

RECORD_FILE = re.compile(r"([0-9a-f]{64})_seed_(\d+)\..*")


def tidy(store: Store) -> None:
    """Removes the leftovers of processes killed at the end of a run."""
    for key, seed in _begun(store):
        if store.is_finished(key, seed):
            lease = store.lease(key, seed)
            if lease is not None:
                store.clear(key, seed)
                lease.release()


def partial(store: Store) -> Iterator[tuple[str, int]]:
    """Yields key and seed of runs that were started but not finished."""
    for key, seed in _begun(store):
        if not store.is_finished(key, seed):
            yield key, seed


def damaged(store: Store) -> list[Path]:
    """Returns the files that were set aside."""
    return sorted((store.folder / "cells").glob("*/*.damaged*"))


def _begun(store: Store) -> list[tuple[str, int]]:
    names = names_in(store.folder / "running")
    matches = [RECORD_FILE.fullmatch(name) for name in names]
    return sorted({(m[1], int(m[2])) for m in matches if m})
