"""Numbers of earlier runs that no rule uses stand in beside.csv."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.pages.controls_beside import LEVEL, rows_of
from tiny_gpt.claims.evidence import Evidence

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "docs" / "runs"
NUMBERS = (ROOT / "docs" / "reading_numbers.md").read_text()
FILES = {
    "fresh": RUNS / "reproduce_quick_fresh" / "beside.csv",
    "first": RUNS / "reproduce_quick" / "beside.csv",
    "all": RUNS / "reproduce_quick" / "beside_pooled.csv",
}


def found(seeds, topic, what):
    frame = pd.read_csv(FILES[seeds]).set_index(["topic", "what"])
    return frame.loc[(topic, what), ["value", "low", "high"]].to_list()


@pytest.mark.parametrize("name", ["reproduce_quick", "reproduce_quick_fresh"])
def test_the_rows_follow_from_the_frame(name):
    folder = RUNS / name
    seeds = json.loads((folder / "claims.json").read_text())["seeds"]
    metrics = pd.read_csv(folder / "metrics.csv.gz", low_memory=False)
    evidence = Evidence(metrics, tuple(seeds), None, pd.DataFrame(), LEVEL)
    expected = pd.read_csv(folder / "beside.csv")
    again = pd.DataFrame(list(rows_of(evidence)), columns=expected.columns)
    pd.testing.assert_frame_equal(again, expected, atol=1e-6, rtol=0)


def test_equal_seeds_allow_as_many_others_as_the_page_says():
    topic, what = "suppressed", "seeds with any word right"
    _, _, high = found("all", topic, what)
    assert f"twenty up to {100 * high:.0f} %" in NUMBERS
    _, _, high = found("first", topic, what)
    assert f"allow up to {100 * high:.0f} %" in NUMBERS


def test_an_exact_interval_of_no_success():
    # P(no success in n) = (1 - p)^n = alpha / 2.
    alpha = 1 - LEVEL
    _, _, high = found("all", "suppressed", "seeds with any word right")
    assert high == pytest.approx(1 - (alpha / 2) ** (1 / 20), abs=1e-6)
    assert math.isclose(
        found("all", "suppressed", "seeds with any word right")[1], 0
    )
