"""docs/tasks.md says what the verdicts and the frames say."""

import json

import pytest

from benchmarks.pages import tasks_page as page
from benchmarks.pages.judge import evidence_of, judge, read_frames
from experiments import arithmetic, arithmetic_few, hangul

PAGE = page.PAGE.read_text()
SEEDS = {
    "hangul": range(260, 270),
    "arithmetic": range(270, 280),
    "arithmetic_few": range(290, 300),
}
CONDITIONS = {
    "hangul": hangul.CONDITIONS,
    "arithmetic": arithmetic.CONDITIONS,
    "arithmetic_few": arithmetic_few.STUDY.conditions,
}
tasks = pytest.mark.parametrize("task", SEEDS)


def _read(task, file):
    return json.loads((page.RUNS / task / file).read_text())


def test_tables_are_those_of_the_frames():
    assert page.filled(PAGE) == PAGE


@tasks
def test_verdicts_follow_from_the_frames(task):
    protocol = page.DOCS / f"protocol_{task}.md"
    again = judge(evidence_of(read_frames([page.RUNS / task])), protocol)
    ledger = _read(task, "claims.json")
    for claim, expected in zip(ledger["claims"], again["claims"], strict=True):
        for key in ("name", "observation", "explanation", "because", "hash"):
            assert claim[key] == expected[key]
    assert ledger["kind"] == "confirmatory"


@tasks
def test_every_condition_has_the_seeds_that_were_kept(task):
    seeds = page.read(task).groupby("condition")["seed"]
    found = seeds.agg(lambda x: sorted(set(x)))
    for condition in CONDITIONS[task]:
        assert found[condition] == list(SEEDS[task])


@tasks
def test_runs_were_made_by_clean_commits(task):
    for run in _read(task, "manifest.json")["runs"].values():
        assert not run["commit"].endswith("-dirty")
        assert run["status"] == "finished"


@pytest.mark.parametrize("name", hangul.SAYS)
def test_who_reads_a_to_c_alone_guesses(name):
    """Syllables are balanced: a guess of any kind is right in 1 of 6."""
    found = page.letters(page.read("hangul"), f"{name}_alone")
    assert abs(found.mean() - 1 / 6) < 0.03
