"""A package that is not installed is named in one line, with its extra."""

import importlib
import subprocess
import sys

import pytest

from tiny_gpt.commands.main import main
from tiny_gpt.runtime.checks import EXTRAS, MissingExtraError, check_installed
from tiny_gpt.runtime.results_folder import hold_folder


@pytest.mark.parametrize("package", EXTRAS)
def test_a_missing_package_names_its_extra(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if not installed
    extra = EXTRAS[package]
    with pytest.raises(MissingExtraError) as caught:
        check_installed(package)
    assert f"pip install 'tiny_gpt[{extra}]'" in str(caught.value)
    assert f"without {package}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("plots.curves", "matplotlib"),
        ("report.page", "jinja2"),
        ("claims.claim", "scipy"),
        ("metrics.frames", "pandas"),
        ("train", "pandas"),
        ("sweep.collect", "pandas"),
        ("commands.study", "scipy"),
    ],
)
def test_a_module_names_what_it_needs(module, package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"try:\n    import tiny_gpt.{module}\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pip install 'tiny_gpt[lab]'" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_folder_needs_the_lab(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "filelock", None)
    with (
        pytest.raises(MissingExtraError, match=r"tiny_gpt\[lab\]"),
        hold_folder(tmp_path),
    ):
        pass


def test_completion_needs_the_lab(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["--print-completion", "bash"]) == 2
    assert "pip install 'tiny_gpt[lab]'" in capsys.readouterr().err


def test_completion_knows_commands_and_options(monkeypatch, capsys):
    pytest.importorskip("shtab")
    assert main(["--print-completion", "bash"]) == 0
    script = capsys.readouterr().out
    for word in ("run", "reproduce", "sweep", "--preset", "--store"):
        assert word in script
    assert importlib.util.find_spec("shtab")
