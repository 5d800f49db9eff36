"""docs/theory.md says what the committed frame says by the rules."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from experiments.claims.claim import decide_all, num_intervals
from experiments.claims.evidence import Evidence
from experiments.claims.theory_ledger import THEORY
from experiments.drawing import PUBLISHED

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "theory.md").read_text()
LEDGER = json.loads((DOCS / "theory" / "claims.json").read_text())


@pytest.fixture(scope="module")
def decided():
    evidence = Evidence(
        pd.read_csv(DOCS / "theory" / "metrics.csv.gz"),
        tuple(LEDGER["seeds"]),
        None,
        pd.read_csv(PUBLISHED / "triangle.csv"),
        1 - 0.05 / num_intervals(THEORY),
    )
    return {e["name"]: e for e in decide_all(THEORY, evidence, "")}


def test_verdicts_follow_from_the_frame(decided):
    assert list(decided) == [c["name"] for c in LEDGER["claims"]]
    for claim in LEDGER["claims"]:
        again = decided[claim["name"]]
        assert again["verdict"] == claim["verdict"], claim["name"]
        assert again["because"] == claim["because"]
        assert again["rule"] == claim["rule"]


def test_the_page_says_the_same():
    assert (DOCS / "theory" / "verdicts.md").read_text() in PAGE
    for claim in LEDGER["claims"]:
        title, because = (
            re.sub(r"(?<=[A-Z])->(?=[A-Z])", " → ", claim[key])
            for key in ("title", "because")
        )
        assert f"**{title}: {claim['verdict']}.** {because}" in PAGE
    undecided = [c for c in LEDGER["claims"] if c["verdict"] == "undecided"]
    assert f"{NUMBERS[len(undecided)]} of seventeen stay undecided" in PAGE
    assert len(LEDGER["claims"]) == 17
    assert f"{num_intervals(THEORY)} intervals" in PAGE


NUMBERS = {4: "Four", 5: "Five", 6: "Six", 7: "Seven"}


def test_its_pictures_and_links_are_there():
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert len(links) > 10
    for link in links:
        assert (DOCS / link).exists(), link
