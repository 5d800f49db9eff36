"""docs/prefix_lm.md says what the committed runs say."""

import json

from benchmarks.pages import prefix_lm_page as page
from benchmarks.pages.markdown import DOCS, read
from experiments.prefix_lm import CONDITIONS

PAGE = (DOCS / "prefix_lm.md").read_text()
FRAME = read("prefix_lm")


def test_tables_are_those_of_the_frames():
    assert page.filled(PAGE, FRAME) == PAGE


def test_every_condition_has_ten_exploratory_seeds():
    seeds = FRAME.groupby("condition")["seed"].agg(lambda x: sorted(set(x)))
    assert set(seeds.index) == set(CONDITIONS)
    for found in seeds:
        assert found == list(range(1000, 1010))


def test_runs_were_made_by_a_clean_commit():
    manifest = json.loads((page.FOLDER / "manifest.json").read_text())
    for run in manifest["runs"].values():
        assert not run["commit"].endswith("-dirty")
        assert run["status"] == "finished"
