"""The wheel holds tiny_gpt alone, and works without the lab."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.wheels import build_wheel, install

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_tiny_gpt_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = {
        str(p.relative_to(ROOT)) for p in (ROOT / "tiny_gpt").rglob("*.py")
    }
    packed = {n for n in names if n.endswith(".py")}
    assert packed == modules
    tops = {n.split("/")[0] for n in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"tiny_gpt"}


def test_the_wheel_installs_and_the_callbacks_import(wheel, tmp_path):
    target = install(wheel, tmp_path / "site")
    code = (
        "import tiny_gpt; from tiny_gpt.callbacks import LossDropLogger; "
        "LossDropLogger(); print(tiny_gpt.__file__)"
    )
    environment = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(target))


def test_the_public_address_is_written_once():
    # Badges cannot read a variable, so they must equal the one in setup.cfg.
    (line,) = (
        line
        for line in (ROOT / "setup.cfg").read_text().splitlines()
        if line.startswith("url = ")
    )
    repository = line.removeprefix("url = https://github.com/")
    for path in [ROOT / "README.md", *(ROOT / "notebooks").glob("*.ipynb")]:
        text = path.read_text()
        for start in ("colab.research.google.com/github/", "://github.com/"):
            for rest in text.split(start)[1:]:
                if "tiny_gpt" in rest[:80]:
                    assert rest.startswith(repository), path
