"""docs/tasks.md says what the verdicts and the frames say."""

import json

import pytest

from benchmarks.pages import tasks_page as page
from benchmarks.pages.judge import evidence_of, judge, read_frames
from experiments import hangul

PAGE = page.PAGE.read_text()
FOLDER = page.RUNS / "hangul"
LEDGER = json.loads((FOLDER / "claims.json").read_text())
FRAME = page.read("hangul")


def test_tables_are_those_of_the_frames():
    assert page.filled(PAGE) == PAGE


def test_verdicts_follow_from_the_frames():
    protocol = page.DOCS / "protocol_hangul.md"
    again = judge(evidence_of(read_frames([FOLDER])), protocol)
    for claim, expected in zip(LEDGER["claims"], again["claims"], strict=True):
        for key in ("name", "observation", "explanation", "because", "hash"):
            assert claim[key] == expected[key]
    assert LEDGER["kind"] == "confirmatory"


def test_every_condition_has_the_seeds_that_were_kept():
    seeds = FRAME.groupby("condition")["seed"].agg(lambda x: sorted(set(x)))
    for condition in hangul.CONDITIONS:
        assert seeds[condition] == list(range(260, 270))


def test_runs_were_made_by_clean_commits():
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    for run in manifest["runs"].values():
        assert not run["commit"].endswith("-dirty")
        assert run["status"] == "finished"


@pytest.mark.parametrize("name", hangul.SAYS)
def test_who_reads_a_to_c_alone_guesses(name):
    """Syllables are balanced: a guess of any kind is right in 1 of 6."""
    found = page.last(FRAME, f"{name}_alone", tier="unseen_words")
    assert abs(found.mean() - 1 / 6) < 0.03
