"""A wheel of this checkout, and an installation of it."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build_wheel(folder):
    """Builds the wheel into an empty folder and returns its path."""
    # Built from a copy: setuptools leaves its build folder in the source.
    source = folder / "source"
    ignored = shutil.ignore_patterns(".*", "results", "build", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=ignored)
    run_pip("wheel", "--wheel-dir", folder, source)
    (path,) = folder.glob("*.whl")
    return path


def install(wheel, target):
    """Installs a wheel without what it needs, and returns the folder."""
    run_pip("install", "--target", target, wheel)
    return target


def run_pip(command, *arguments):
    pip = [sys.executable, "-m", "pip", command, "--quiet", "--no-deps"]
    subprocess.run([*pip, *map(str, arguments)], check=True)
