"""Numbers of docs/controls.md that no rule uses stand in beside.csv."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.pages.controls_beside import LEVEL, rows_of
from tiny_gpt.claims.evidence import Evidence

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "docs" / "runs"
PAGE, README, NUMBERS = (
    (ROOT / name).read_text()
    for name in ("docs/controls.md", "README.md", "docs/reading_numbers.md")
)
FILES = {
    "fresh": RUNS / "reproduce_quick_fresh" / "beside.csv",
    "first": RUNS / "reproduce_quick" / "beside.csv",
    "all": RUNS / "reproduce_quick" / "beside_pooled.csv",
}


def found(seeds, topic, what):
    frame = pd.read_csv(FILES[seeds]).set_index(["topic", "what"])
    return frame.loc[(topic, what), ["value", "low", "high"]].to_list()


def written(values, digits, sign="", times=1):
    value, low, high = (f"{times * x:{sign}.{digits}f}" for x in values)
    return f"{value} ({low} to {high})".replace("-", "−")


@pytest.mark.parametrize("name", ["reproduce_quick", "reproduce_quick_fresh"])
def test_the_rows_follow_from_the_frame(name):
    folder = RUNS / name
    seeds = json.loads((folder / "claims.json").read_text())["seeds"]
    metrics = pd.read_csv(folder / "metrics.csv.gz", low_memory=False)
    evidence = Evidence(metrics, tuple(seeds), None, pd.DataFrame(), LEVEL)
    expected = pd.read_csv(folder / "beside.csv")
    again = pd.DataFrame(list(rows_of(evidence)), columns=expected.columns)
    pd.testing.assert_frame_equal(again, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("seeds", FILES)
def test_differences_below_the_ceiling(seeds):
    for kind in ("scrambled", "no route"):
        values = found(
            seeds, "accuracy_aligned, 4 to 25 pairs", f"real - {kind}"
        )
        assert written(values, 1, "+", 100) in PAGE
    if seeds == "fresh":
        topic = "accuracy_aligned, 4 to 25 pairs"
        values = found(seeds, topic, "real - scrambled")
        head, tail = written(values, 1, "+", 100).split(" ", 1)
        assert f"is {head} points {tail}" in README
    ranks = found(seeds, "rank, 4 to 25 pairs", "real - scrambled")
    value, low, high = ranks
    assert f"+{value:.2f} ({low:.2f} to {high:.2f})" in PAGE
    if seeds == "fresh":
        assert f"{value:.1f} ranks lower among 8 ({low:.1f} to {high:.1f})" in (
            README
        )


def test_the_composed_word_is_below_a_guess_before_any_pair_is_read():
    topic = "suppressed"
    fresh, first = (
        written(found(seeds, topic, "rank of the composed word"), 1)
        for seeds in ("fresh", "first")
    )
    assert f"composed C word {fresh} and {first} of 8" in PAGE
    what = "seeds that rank it below a guess"
    assert found("all", topic, what)[0] == 1
    _, _, high = found("all", topic, "seeds with any word right")
    assert f"twenty up to {100 * high:.0f} %" in NUMBERS
    _, _, high = found("first", topic, "seeds with any word right")
    assert f"allow up to {100 * high:.0f} %" in NUMBERS


def test_shares_of_all_seeds():
    pivots = [
        found("all", "answers in B, 16 pairs", kind)[0]
        for kind in ("real", "scrambled", "no route")
    ]
    said = (
        f"{100 * min(pivots):.0f} to {100 * max(pivots):.0f} % of the answers"
    )
    assert said in PAGE
    seen = found("all", "a_to_c_alone_equal_updates", "seen_sentences")
    value, low, high = (100 * x for x in seen)
    assert f"{value:.1f} % ({low:.1f} to {high:.1f})" in PAGE


def test_an_exact_interval_of_no_success():
    # P(no success in n) = (1 - p)^n = alpha / 2.
    alpha = 1 - LEVEL
    _, _, high = found("all", "suppressed", "seeds with any word right")
    assert high == pytest.approx(1 - (alpha / 2) ** (1 / 20), abs=1e-6)
    assert math.isclose(
        found("all", "suppressed", "seeds with any word right")[1], 0
    )
