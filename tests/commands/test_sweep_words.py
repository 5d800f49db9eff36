"""Tests for tiny_gpt/commands/sweeping/words.py: what was fitted, in words."""

import json

import pandas as pd
import pytest

from tests.helpers.scripted_report import scripted_report
from tiny_gpt.analysis.regimes import REGIMES
from tiny_gpt.commands.sweeping.words import describe_fit, load_maps
from tiny_gpt.report.page import render_report

ENDS = {"slope": 1.0, "p_value": None}
FITTED = {
    "axis": "sparse_pairs",
    "thresholds": [
        {
            "at": {"majority_pairs": 100},
            **{"value": 42.04, "low": 30.0, "high": None, "censoring": "none"},
            **ENDS,
        },
        {
            "at": {"majority_pairs": 200},
            **{"value": None, "low": 64.0, "high": None, "censoring": "above"},
            **ENDS,
        },
        {
            "at": {},
            **{"value": None, "low": None, "high": None},
            "censoring": "does not rise",
            **ENDS,
        },
    ],
    "exponent_axis": "majority_pairs",
    "exponents": [
        {
            "at": {"condition": "x"},
            **{"exponent": -0.5, "low": -0.75, "high": -0.25},
            "warnings": ["only 2 thresholds, fewer than 4"],
        },
        {"at": {}, "exponent": None, "warnings": []},
    ],
    "contrasts": [
        {
            "at": {"majority_pairs": 100},
            "over": ["scrambled", "real"],
            "level": 0.975,
            **{"ratio": 2.0, "low": 0.5, "high": None},
        }
    ],
}
LINES = [
    "majority_pairs=100: P(success) reaches one half at 42 sparse_pairs "
    "(30 to ∞)",
    "majority_pairs=200: threshold above the grid of sparse_pairs (64 to ∞)",
    "success does not rise with sparse_pairs",
    "condition=x: threshold ∝ majority_pairs^-0.5 (-0.75 to -0.25)",
    "condition=x: warning: only 2 thresholds, fewer than 4",
    "majority_pairs=100: threshold of scrambled / that of real: 2 (0.5 to ∞), "
    "interval at 97.5 %",
]


def test_each_number_has_a_line():
    assert describe_fit(FITTED) == LINES


@pytest.fixture
def folder(tmp_path):
    """Returns the folder of a sweep as `sweep collect` leaves it."""
    folder = tmp_path / "sweeps" / "small"
    folder.mkdir(parents=True)
    (folder / "thresholds.json").write_text(json.dumps(FITTED))
    sweep = {
        "name": "small",
        "seeds": [0, 1],
        "axes": {"sparse_pairs": [8, 64]},
        "success": {"mapping": "A->C"},
    }
    manifest = {"sweep": sweep, "runs": 8, "command": "python <small>"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    cells = {
        "sparse_pairs": [8, 64],
        **{"runs": 2, "successes": [0, 2], "p_success": [0.0, 1.0]},
        **{"p_low": [0.0, 0.2], "p_high": [0.8, 1.0]},
        "regime": [REGIMES[0], REGIMES[-1]],
        **{"median": [0.1, 0.9], "low": [0.0, 0.8], "high": [0.2, 1.0]},
    }
    pd.DataFrame(cells).to_csv(folder / "cells.csv", index=False)
    return folder


def test_the_report_shows_what_is_there(folder):
    (found,) = load_maps(folder.parent)
    assert (found["name"], found["runs"], found["seeds"]) == ("small", 8, 2)
    assert found["lines"] == LINES
    page = render_report(**scripted_report(), maps=[found])
    assert 'id="page-maps"' in page
    assert len(found["figures"]) == 2  # map and regimes
    for figure in found["figures"]:
        assert figure.startswith("<svg")
        assert figure in page
    assert "data:image" not in page
    assert "P(success) reaches one half at 42 sparse_pairs" in page
    assert "python &lt;small&gt;" in page


def test_without_sweeps_there_is_no_section(tmp_path):
    assert load_maps(tmp_path / "none") == []
    assert "page-maps" not in render_report(**scripted_report())


@pytest.mark.parametrize(
    "name", ["thresholds.json", "manifest.json", "cells.csv"]
)
@pytest.mark.parametrize("text", ["", "{}", "[]"])
def test_what_cannot_be_read_is_refused(folder, name, text):
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match="small, which cannot be read"):
        load_maps(folder.parent)
