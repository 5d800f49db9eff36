"""A stranger's own experiment, with the wheel and without the checkout."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.wheels import build_wheel, install
from tiny_gpt.metrics.columns import COLUMNS

ROOT = Path(__file__).parents[2]
RING = (ROOT / "examples" / "ring.py").read_text()
# The same with fewer pairs.
SMALL = RING.replace("(1000, 1000, 1000, 1000,", "(90, 90, 90, 90,")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    return install(wheel, tmp_path_factory.mktemp("installed") / "site")


@pytest.fixture(scope="module")
def tiny_gpt(site, tmp_path_factory):
    """Returns what runs `tiny-gpt` in a folder of the stranger's."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "mine.py").write_text(SMALL)
    # Nothing of the checkout: the path is that of the installation alone.
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "KERAS_BACKEND": "jax",
        "COLUMNS": "100",
    }

    def run(*arguments):
        script = [sys.executable, str(site / "bin" / "tiny-gpt")]
        return subprocess.run(
            [*script, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    run.folder = folder
    return run


def test_the_example_is_short():
    code = ast.parse(RING)
    docstring, *statements = code.body
    assert sum(x.end_lineno - x.lineno + 1 for x in statements) <= 18
    assert {"Question", "Run"} <= set(docstring.value.value.split())


@pytest.mark.slow
def test_it_runs_draws_and_reports(tiny_gpt):
    done = tiny_gpt("run", "mine.py", "--seeds", "1")
    assert done.returncode == 0, done.stderr
    out = tiny_gpt.folder / "results" / "ring"
    last = done.stdout.splitlines()[-1]
    assert last == "Figure: results/ring/curves.png"
    assert (out / "curves.png").stat().st_size > 10_000
    metrics = pd.read_csv(out / "metrics.csv")
    assert tuple(metrics.columns) == COLUMNS
    assert {"A->B", "B->C", "C->D", "D->E", "E->A"} <= set(metrics["mapping"])
    assert (out / "events.csv").exists()
    table = (out / "table_1.md").read_text()
    assert "sparse_12" in table
    assert "E->A" in table.replace(" → ", "->")

    done = tiny_gpt("report", "results/ring")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Open in a browser: results/ring/report.html\n"
    page = (out / "report.html").read_text().replace("\u00a0", " ")
    assert "<h1>ring</h1>" in page
    assert "12 E → A pairs, 1000 of each other mapping" in page
    assert page.count("<svg") > 2  # loss and accuracy by epoch
    for word in ("Sinha", "Verdicts", "Claims"):
        assert word not in page
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["file"] == "mine.py"


@pytest.mark.slow
def test_a_reproduction_needs_a_folder_of_experiments(tiny_gpt):
    done = tiny_gpt("reproduce")
    assert done.returncode == 2
    assert "--experiments PATH" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_missing_constant_is_refused_before_the_training(tiny_gpt):
    without = SMALL.replace('    sparse=("E->A",),\n', "")
    assert without != SMALL
    (tiny_gpt.folder / "wrong.py").write_text(without)
    done = tiny_gpt("run", "wrong.py", "--out", "results/wrong")
    assert done.returncode == 2
    assert "argument: 'sparse'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tiny_gpt.folder / "results" / "wrong").exists()
