"""docs/composition.md says what the verdicts on the kept seeds say."""

import json
from pathlib import Path

import pytest

from benchmarks.pages.composition_page import DOCS, FOLDER, filled, kept
from benchmarks.pages.judge import evidence_of, judge, read_frames
from tiny_gpt.report.typeset import format_effect

RUNS = DOCS / "runs" / "composition"
LEDGER = json.loads((RUNS / "claims.json").read_text())
CLAIMS = {claim["name"]: claim for claim in LEDGER["claims"]}
PAGE = (DOCS / "composition.md").read_text()
SAID = {
    "bridge": (
        "2 words held out, B->B added",
        "2 words held out, B->B - D->D",
        "B->B added: real - no route",
    ),
    "shared_answer": (
        "4 words held out, A->E and B->E added",
        "4 words held out, A->E and B->E - B->E and D->E",
    ),
    "pivot_carries": (
        "A->C follows, B->B added: another B word - a D word",
        "A->C follows another B word: B->B - D->D",
    ),
}


def effects(name):
    return {e["name"]: format_effect(e) for e in CLAIMS[name]["effects"]}


@pytest.mark.parametrize("name", SAID)
def test_numbers_are_those_of_the_verdicts(name):
    for what in SAID[name]:
        assert effects(name)[what] in PAGE, what
    readme = (Path(DOCS).parent / "README.md").read_text()
    assert effects("bridge")["2 words held out, B->B added"] in readme


def test_verdicts_are_those_of_the_ledger():
    for claim in LEDGER["claims"]:
        title = claim["title"].replace("->", " → ")
        (row,) = (x for x in PAGE.splitlines() if x.startswith(f"| {title} |"))
        assert f"**{claim['observation']}**" in row
        assert (claim["explanation"] or "") in row


def test_tables_are_those_of_the_frames():
    assert FOLDER == RUNS
    assert filled(PAGE, kept()) == PAGE


def test_verdicts_follow_from_the_frames():
    page = DOCS / "protocol_composition.md"
    again = judge(evidence_of(read_frames([RUNS])), page)
    for claim, expected in zip(LEDGER["claims"], again["claims"], strict=True):
        for key in ("name", "observation", "explanation", "because", "hash"):
            assert claim[key] == expected[key]


def test_the_seeds_are_those_that_were_kept():
    (run,) = json.loads((RUNS / "manifest.json").read_text())["runs"].values()
    assert run["seeds"] == list(range(220, 240))
    assert run["status"] == "finished"
    assert not run["commit"].endswith("-dirty")
    assert LEDGER["kind"] == "confirmatory"
