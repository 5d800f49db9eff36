"""The page of devices says what the committed compilations found."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "docs" / "runs" / "accelerators"
PAGE = (ROOT / "docs" / "where_it_runs.md").read_text()
FOLDERS = {"tpu": RUNS, "gpu": RUNS, "colab": RUNS / "colab"}


def rows_between(start, end):
    text = PAGE.split(start)[1].split(end)[0]
    return [x for x in text.splitlines() if x.startswith("| ")]


def test_every_row_of_the_table_is_one_of_the_compilations():
    rows = rows_between("## Compiled for, not run on", "\n## ")
    rows = [row for row in rows if re.search(r"\| 3\.\d, ", row)]
    lines = {
        line
        for kind in ("tpu", "gpu")
        for line in (RUNS / f"{kind}.md").read_text().splitlines()
    }
    assert len(rows) > 10
    assert set(rows) <= lines


@pytest.mark.parametrize("where", FOLDERS)
def test_nothing_was_wrong_with_a_compilation(where):
    kind = "gpu" if where == "gpu" else "tpu"
    table = pd.read_csv(FOLDERS[where] / f"{kind}.csv", keep_default_na=False)
    assert len(table) > 10
    assert set(table["fault"]) == {""}
    assert (table["margin_percent"] > 0).all()
    manifest = json.loads((FOLDERS[where] / f"{kind}.json").read_text())
    assert all(manifest["controls"].values())
    assert len(manifest["controls"]) == (1 if kind == "gpu" else 5)
    assert "dirty" not in manifest["commit"]
    drawn = (FOLDERS[where] / f"{kind}.md").read_text()
    assert drawn.count("\n") == 2 + len(table)


def test_the_roundings_on_the_page_are_those_of_the_runs():
    rows = rows_between("### The rounding of GPUs and TPUs", "\n## ")
    lines = (ROOT / "docs/runs/precision/table.md").read_text().splitlines()
    assert len(rows) > 5
    assert set(rows) <= set(lines)
