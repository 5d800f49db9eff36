"""The wheel holds tiny_gpt alone, and works without the lab."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    # Built from a copy: setuptools leaves its build folder in the source.
    source = tmp_path_factory.mktemp("source") / "checkout"
    ignored = shutil.ignore_patterns(".*", "results", "build", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=ignored)
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(out), str(source)], check=True)
    (path,) = out.glob("*.whl")
    return path


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
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True)
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
