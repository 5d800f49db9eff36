"""docs/sweeps.md says what the committed runs of the maps say."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tiny_gpt.commands.sweeping.file import load_sweep
from tiny_gpt.commands.sweeping.results import describe_sweep, fit
from tiny_gpt.commands.sweeping.words import FIGURES, describe_fit
from tiny_gpt.sweep.collect import summarise_cells
from tiny_gpt.sweep.rows import MADE_COLUMNS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/sweeps.md").read_text()
SWEEPS = [
    path
    for path in sorted((ROOT / "experiments/sweeps").glob("*.toml"))
    if (ROOT / "docs/runs/sweeps" / path.stem).exists()  # has been run
]


def test_the_example_in_python_is_that_of_the_file(tmp_path):
    text = re.search(r"^```toml\n(.*?)^```", PAGE, re.M | re.S)[1]
    (tmp_path / "mine.toml").write_text(text)
    code = re.search(r"^```python\n(.*?)^store = ", PAGE, re.M | re.S)[1]
    names = {}
    exec(compile(code, "sweeps.md", "exec"), names)
    asked, sweep = load_sweep(tmp_path / "mine.toml"), names["sweep"]
    assert [(c.values, c.experiment) for c in sweep.cells] == [
        (c.values, c.experiment) for c in asked.cells
    ]
    assert tuple(sweep.seeds) == tuple(asked.seeds)
    assert sweep.success == asked.success


@pytest.fixture(scope="module", params=SWEEPS, ids=lambda path: path.stem)
def sweep(request):
    return load_sweep(request.param)


@pytest.fixture(scope="module")
def folder(sweep):
    return ROOT / "docs/runs/sweeps" / sweep.name


def test_every_run_is_there_once(sweep, folder):
    runs = pd.read_csv(folder / "runs.csv")
    assert len(runs) == len(sweep.cells) * len(sweep.seeds)
    assert not runs.duplicated([*sweep.axes, "seed"]).any()
    assert not set(MADE_COLUMNS) & set(runs)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["sweep"] == json.loads(json.dumps(describe_sweep(sweep)))
    assert manifest["runs"] == len(runs)


def test_what_was_fitted_follows_from_the_runs(sweep, folder):
    runs = pd.read_csv(folder / "runs.csv")
    found = json.loads((folder / "thresholds.json").read_text())
    again = json.loads(json.dumps(fit(sweep, runs)))
    assert describe_fit(again) == describe_fit(found)
    cells = pd.read_csv(folder / "cells.csv")
    pd.testing.assert_frame_equal(
        summarise_cells(sweep, runs), cells, check_dtype=False
    )


def test_the_page_has_every_line_and_figure(sweep, folder):
    fitted = json.loads((folder / "thresholds.json").read_text())
    for line in describe_fit(fitted):
        assert f"- {line}\n" in PAGE, line
    assert f"](runs/sweeps/{sweep.name}/map.png)" in PAGE
    has_law = any(t["censoring"] == "none" for t in fitted["thresholds"])
    for name in FIGURES:
        is_drawn = has_law or name != "thresholds"
        assert (folder / f"{name}.png").exists() == is_drawn
