"""The shared place of finished runs, for machines without a common disk.

    URL/cells/KEY/seed_3.json   the file of a finished run, as in a store
    URL/cells/KEY/seed_3.weights.h5   its weights, from a store that keeps them

It is any URL of fsspec. Files are found by content, sealed and never changed.
Any number of machines may write there without locks: two that make one run
write the same file.
"""

import os
import platform
import time
import warnings
from typing import Any

from tiny_gpt.runtime.checks import check_installed
from tiny_gpt.sweep.cell import SEED_FILE

RUN, WEIGHTS = ".json", ".weights.h5"  # the files of a run


class Shared:
    """Finished runs at a URL.

    Args:
        url: any that fsspec knows: "s3://bucket/sweeps", "file:///mnt/x".

    Raises:
        ValueError: if fsspec, or a package that it needs for this URL, is not
            installed, or the URL cannot be reached or written.
    """

    def __init__(self, url: str):
        check_installed("fsspec")
        import fsspec

        self.url = url
        try:
            # Others write there: what was listed before is out of date.
            self._system, root = fsspec.core.url_to_fs(
                url, use_listings_cache=False
            )
            self._cells = f"{root.rstrip('/')}/cells"
            self._system.makedirs(self._cells, exist_ok=True)
        except Exception as error:  # of any library behind fsspec
            raise ValueError(
                "A shared store must be a URL that fsspec can reach and "
                f"write. Received: shared={url!r} "
                f"({type(error).__name__}: {error})"
            ) from error

    def path(self, key: str, seed: int, file: str = RUN) -> str:
        """Returns the path of a file of a run at the URL."""
        return f"{self._cells}/{key}/seed_{seed}{file}"

    def seeds(self, key: str) -> set[int]:
        """Returns the seeds of a cell that are at the URL.

        No seed, with a warning, if the URL cannot be reached.
        """
        try:
            paths: list[Any] = self._system.ls(
                f"{self._cells}/{key}", detail=False
            )
        except FileNotFoundError:
            return set()
        except Exception as error:  # of any library behind fsspec
            warnings.warn(
                f"{self.url}, run {key}: cannot be listed ({error}).",
                stacklevel=2,
            )
            return set()
        matches = [SEED_FILE.fullmatch(path.split("/")[-1]) for path in paths]
        return {int(match[1]) for match in matches if match}

    def fetch(self, key: str, seed: int, file: str = RUN) -> bytes | None:
        """Returns a file of a run, unchecked.

        Returns:
            Its bytes; None if there is no such file, or it cannot be read,
            with a warning.
        """
        try:
            return self._system.cat_file(self.path(key, seed, file))
        except FileNotFoundError:
            return None
        except Exception as error:  # of any library behind fsspec
            self.warn(key, seed, f"cannot be read ({error})")
            return None

    def send(self, key: str, seed: int, data: bytes, file: str = RUN) -> None:
        """Writes a file of a run, in one move if the file system has one.

        Warns if it cannot. Nothing is lost: the run is sent again later.
        """
        path = self.path(key, seed, file)
        folder, _, name = path.rpartition("/")
        new = f"{folder}/saving_{writer()}{name}"
        try:
            self._system.makedirs(folder, exist_ok=True)
            self._system.pipe_file(new, data)
            self._system.mv(new, path)
        except Exception as error:  # of any library behind fsspec
            self.warn(key, seed, f"cannot be written ({error})")

    def warn(self, key: str, seed: int, what: str) -> None:
        """Warns of a problem with the file of a run."""
        warnings.warn(
            f"{self.url}, run {key}, seed {seed}: {what}.", stacklevel=3
        )


def writer() -> str:
    """Returns a name that no other writer has, on any host."""
    return f"{platform.node()}_{os.getpid()}_{time.monotonic_ns()}_"
