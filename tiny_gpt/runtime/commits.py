"""Commits of the checkout that this package lies in."""

import subprocess
from pathlib import Path

UNKNOWN = "unknown"  # outside a checkout


def current_commit() -> str:
    """Returns the commit of the checkout, marked if it was changed."""
    return _git("describe", "--always", "--dirty", "--abbrev=12") or UNKNOWN


def last_commit(folder: Path) -> str:
    """Returns the last commit of a folder, marked if it was changed since."""
    path = str(folder)
    commit = _git("log", "-1", "--format=%h", "--abbrev=12", "--", path)
    is_changed = bool(_git("status", "--porcelain", "--", path))
    return f"{commit or UNKNOWN}{'-dirty' if is_changed else ''}"


def _git(*arguments: str) -> str:
    """Returns the output of git; empty outside a checkout."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
