"""docs/composition_more.md says what the exploratory frames say."""

import json

import pytest

from benchmarks.pages import composition_more_page as more
from experiments.composition_variations import STUDY

PAGE = (more.DOCS / "composition_more.md").read_text()
RUNS = more.RUNS / "composition_variations"


@pytest.fixture(scope="module")
def frame():
    return more.read("composition_variations", "composition_pilot")


def test_tables_are_those_of_the_frames():
    assert more.filled(PAGE) == PAGE


def test_every_condition_has_its_seeds(frame):
    seeds = frame.groupby("condition")["seed"].agg(lambda x: sorted(set(x)))
    for condition in STUDY.conditions:
        number = 3 if condition == "long_decay" else 10
        assert seeds[condition] == list(range(1000, 1000 + number))


def mean(frame, condition, tier=more.HELD):
    return more.last(frame, condition, tier=tier).mean()


def test_only_the_middle_language_turns_composition_on(frame):
    for n in more.HELD_OUT:
        for end in ("", "_decay"):
            for says, name in more.IDENTITIES.items():
                found = mean(frame, f"held_out_{n}_{name}{end}")
                assert (found > 1 / n) == (says == "B → B"), (n, says)


def test_four_pairs_with_the_bridge_are_better_than_25_with_the_placebo(frame):
    few = mean(frame, "sparse_4_bridge", "unseen_sentences")
    assert few > mean(frame, "sparse_25_placebo", "unseen_sentences")
    assert few > mean(frame, "sparse_25_none", "unseen_sentences")


def test_runs_were_made_by_a_clean_commit():
    manifest = json.loads((RUNS / "manifest.json").read_text())
    for run in manifest["runs"].values():
        assert not run["commit"].endswith("-dirty")
        assert run["status"] == "finished"
