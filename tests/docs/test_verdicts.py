"""The pages say what the verdicts on the kept seeds say."""

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.pages.controls_table import PAGES, filled, kept
from tiny_gpt.report.typeset import format_effect

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "docs" / "runs"
CLAIMS = {
    claim["name"]: claim
    for claim in json.loads((RUNS / "verdicts" / "claims.json").read_text())[
        "claims"
    ]
}
# Claim and effect of each number that a page has.
SAID = {
    "docs/controls.md": (
        ("composition", "rank of the right C word, real - scrambled"),
        ("composition", "rank of the right C word, real - no route"),
        ("composition", "accuracy_aligned, real - scrambled"),
        ("composition", "accuracy_aligned, real - no route"),
        ("composition", "accuracy_in_language, real - scrambled"),
        ("composition", "accuracy_in_language, real - no route"),
        ("out_of_distribution", "the same words in A->B"),
        ("out_of_distribution", "the same words in B->C"),
        ("out_of_distribution", "held-out words in A->C"),
        ("suppressed", "rank of the composed C word, no A->C read"),
        ("suppressed", "the same, prompts name the language"),
        ("fig_2a", "as many updates, cut moved"),
        ("fig_2a", "as many updates, one cut"),
        ("assumption_2", "beside A->B and B->C"),
        ("assumption_2", "beside D->E and E->F"),
        ("assumption_2", "alone"),
        ("assumption_2", "balanced - alone"),
        ("assumption_2", "related - unrelated majority, balanced"),
        ("parameters_width", "double width - quarter width"),
        ("parameters_width", "quarter width: A->B"),
        ("parameters_depth", "four blocks - one block"),
        ("fig_2b", "two real steps A->B->C"),
    ),
    "docs/triangle.md": (
        ("fig_2c", "seeds above 50 %, 50 pairs beside the majority"),
        ("fig_2c", "unseen sentences"),
        ("fig_2b", "seeds below 1 %, A->C"),
        ("fig_2a", "alone, as published"),
        ("fig_2a", "as many updates, cut moved"),
    ),
    "docs/four_languages.md": (
        ("table_1", "D->B"),
        ("table_1", "D->C"),
        ("table_1", "B->C"),
        ("table_1", "seeds above 50 % in all three"),
        ("table_1_composition", "rank of the right word, real - scrambled"),
        ("table_1_composition", "rank of the right word, real - no route"),
        (
            "table_1_composition",
            "seeds above chance + 5 points, 12 pairs each",
        ),
    ),
    "docs/reading_numbers.md": (("fig_2c", "unseen sentences"),),
    "README.md": (
        ("composition", "rank of the right C word, real - scrambled"),
        ("suppressed", "rank of the composed C word, no A->C read"),
    ),
}


@pytest.mark.parametrize("page", SAID)
def test_numbers_are_those_of_the_verdicts(page):
    text = (ROOT / page).read_text()
    for name, what in SAID[page]:
        (effect,) = (e for e in CLAIMS[name]["effects"] if e["name"] == what)
        said = format_effect(effect).replace(" percentage points", "")
        assert said in text, (name, what)


def test_the_table_of_controls_is_that_of_the_frames():
    evidence = kept()
    for path in PAGES:
        assert filled(path, evidence) == path.read_text()


def test_the_seeds_are_those_that_were_kept_all_of_them():
    manifest = json.loads((RUNS / "verdicts" / "manifest.json").read_text())
    for each in manifest["runs"].values():
        assert each["seeds"] == list(range(200, 220))
        assert each["status"] == "finished"
        assert not each["commit"].endswith("-dirty")
    assert manifest["verdicts"]["protocol"]["kind"] == "confirmatory"


def test_pilots_on_the_page_are_those_of_their_frame():
    frame = pd.read_csv(RUNS / "pilot" / "metrics.csv.gz", low_memory=False)
    page = (ROOT / "docs" / "controls.md").read_text()
    for name in ("no_positions", "sinusoidal"):
        rows = frame[
            (frame["condition"] == f"a_to_c_alone_{name}")
            & (frame["metric"] == "accuracy_aligned")
            & (frame["tier"] == "unseen_sentences")
            & (frame["prompt"] == "2_demonstrations")
        ]
        last = 100 * rows[rows["epoch"] == rows["epoch"].max()]["value"]
        said = f"{last.mean():.1f} ({last.min():.1f}–{last.max():.1f}) %"
        assert said in page
