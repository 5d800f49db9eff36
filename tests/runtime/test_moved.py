"""Old import paths work for one release, and warn."""

import importlib
import subprocess
import sys

import pytest

from tiny_gpt.runtime.moved import MOVED

# What README, docs and notebooks printed before the moves.
PRINTED = {
    "epoch_program": "EpochProgram",
    "model": "GPTConfig",
    "multi_seed": "run_seeds",
    "devices": "describe",
    "placement": "choose_devices",
    "report_figures": "plot_strip",
    "plots": "plot_accuracy",
    "results": "read_manifest",
    "sweep.work": "in_process",
    "report": "render_report",
    "metrics": "word_accuracy",
}


@pytest.mark.parametrize(("module", "name"), PRINTED.items())
def test_what_was_printed_still_imports_and_warns(module, name):
    old = importlib.import_module(f"tiny_gpt.{module}")
    with pytest.warns(DeprecationWarning, match=r"goes with version 0\.2"):
        found = getattr(old, name)
    assert found.__module__ != f"tiny_gpt.{module}"
    with pytest.raises(AttributeError, match="no_such"):
        _ = old.no_such


@pytest.mark.parametrize("module", MOVED)
def test_every_old_path_leads_to_modules_that_are_there(module):
    importlib.import_module(f"tiny_gpt.{module}")
    for place in MOVED[module]:
        importlib.import_module(f"tiny_gpt.{place}")


def test_a_path_that_never_was_is_still_an_error():
    with pytest.raises(ModuleNotFoundError, match=r"tiny_gpt\.no_such"):
        importlib.import_module("tiny_gpt.no_such")


def test_a_module_of_a_package_is_no_old_name():
    code = (
        "import sys; from tiny_gpt.plots import curves; "
        "from tiny_gpt.metrics import columns; "
        "assert 'tiny_gpt.evaluation' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_old_paths_import_nothing_before_they_are_used():
    code = (
        "import sys, tiny_gpt, tiny_gpt.model; "
        "assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
