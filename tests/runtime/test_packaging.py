"""The wheel holds tiny_gpt alone, and works without the lab."""

import configparser
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.wheels import build_wheel, install

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_every_requirement_of_a_target_has_a_version():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (extras,) = re.findall(
        r"^LOCKED = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(x) for x in lines if not x.startswith("#")]
    versions = {}
    for pin in pins:
        (one,) = pin.specifier
        assert one.operator == "=="
        assert "+" not in one.version  # of one registry alone
        versions[canonicalize_name(pin.name)] = one.version
    # Each of jax, tensorflow and torch needs its own.
    assert not [x for x in versions if x.startswith(("nvidia", "cuda"))]
    required = setup["options"]["install_requires"]
    for extra in extras.split(","):
        required += "\n" + setup["options.extras_require"][extra]
    for line in required.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            version = versions[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), line
