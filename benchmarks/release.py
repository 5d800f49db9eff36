"""What would be published: does it build, install and work?

Question  Do sdist and wheel have complete metadata, and do the callbacks'
          tests and a triangle pass from each, away from this checkout?
Run       make release-check
Time      7 minutes beside other work

Both are built from a copy of the checkout and stay in build/release. In that
copy the links and the figure of the README, which is the package's page, lead
to the public address of setup.cfg. Each is installed in a fresh environment
with the newest versions of what it requires. The experiments are no part of the
package: their files are copied beside it.
"""

import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.pages.light_import import BESIDE, LIMIT_S, ROOT, Place

BUILT = ROOT / "build" / "release"
TRIANGLE = ("triangle", "--seeds", "1", "--first-seed", "1000", "--out", "out")
LEFT_OUT = (".*", "results", "build", "dist", "*.egg-info", "__pycache__")


def with_addresses(page: str, address: str) -> str:
    """Returns a page in Markdown whose relative links have an address.

    Args:
        page: of the top folder of a repository.
        address: of the repository, without a slash at its end.
    """
    page = re.sub(
        r"(!\[[^\]]*\]\()(?!https?:)", rf"\g<1>{address}/raw/main/", page
    )
    return re.sub(
        r"((?<!!)\[[^\]]*\]\()(?!https?:|#)",
        rf"\g<1>{address}/blob/main/",
        page,
    )


def build(folder: Path) -> list[Path]:
    """Builds sdist and wheel of this checkout, and checks their metadata."""
    source = folder / "checkout"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*LEFT_OUT))
    settings = configparser.ConfigParser()
    settings.read(source / "setup.cfg")
    page, address = source / "README.md", settings["metadata"]["url"]
    page.write_text(with_addresses(page.read_text(), address))
    shutil.rmtree(BUILT, ignore_errors=True)
    python = [sys.executable, "-m"]
    subprocess.run(
        [*python, "build", "--outdir", str(BUILT), str(source)], check=True
    )
    files = sorted(BUILT.iterdir())
    subprocess.run([*python, "twine", "check", "--strict", *files], check=True)
    return files


def check(file: Path, folder: Path) -> str:
    """Installs a file, runs tests and a triangle; returns what they say."""
    place = Place(folder, "jax", file, time.monotonic() + LIMIT_S)
    place.install("pytest", "scikit-learn", "matplotlib", *BESIDE)
    said = place.test()
    place.install(f"tiny_gpt[lab,jax] @ {file.as_uri()}")
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    command = [str(folder / "venv" / "bin" / "tiny-gpt"), "run", *TRIANGLE]
    subprocess.run(command, cwd=folder, env=place.environment, check=True)
    figure = folder / "out" / "figure_2.png"
    if not figure.exists():
        raise FileNotFoundError(figure)
    return said


def main() -> None:
    """Builds, and checks both files one after the other."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file in build(folder):
            size = os.path.getsize(file) / 2**20
            said = check(file, folder / file.suffix.strip("."))
            sys.stdout.write(f"{file.name}, {size:.2f} MiB: {said}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
