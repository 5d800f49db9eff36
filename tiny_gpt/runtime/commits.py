"""Commits of the checkout that this package lies in."""

import subprocess
from pathlib import Path

UNKNOWN = "unknown"  # outside a checkout


def current_commit() -> str:
    """Returns the commit of the checkout, marked if it was changed."""
    return _git("describe", "--always", "--dirty", "--abbrev=12") or UNKNOWN


def last_commit(place: Path) -> str:
    """Returns the last commit of a file or folder, marked if it was changed."""
    path = str(place.resolve())
    at = place if place.is_dir() else place.parent
    commit = _git("log", "-1", "--format=%h", "--abbrev=12", "--", path, at=at)
    is_changed = bool(_git("status", "--porcelain", "--", path, at=at))
    return f"{commit or UNKNOWN}{'-dirty' if is_changed else ''}"


def _git(*arguments: str, at: Path = Path(__file__).parent) -> str:
    """Returns the output of git in a folder; empty outside a checkout."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=at,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
