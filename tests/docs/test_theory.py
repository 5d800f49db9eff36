"""The pages of the theory say what frames, earlier rules and power say."""

import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.earlier_ledgers import earlier_table

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("theory.md", "theory_details.md")
PAGE = "\n".join((DOCS / name).read_text() for name in PAGES)
FOLDERS = ("theory", "theory_fresh")
LEDGERS = {
    name: json.loads((DOCS / "runs" / name / "claims.json").read_text())
    for name in FOLDERS
}
LEDGER, FRESH = LEDGERS.values()


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request):
    return request.param


def test_the_page_says_the_same():
    columns = {
        f"seeds {ledger['seeds'][0]} to {ledger['seeds'][-1]}": ledger
        for ledger in LEDGERS.values()
    }
    assert earlier_table(columns) in PAGE
    verdicts = {c["name"]: c["verdict"] for c in LEDGER["claims"]}
    changed = [
        c for c in FRESH["claims"] if c["verdict"] != verdicts[c["name"]]
    ]
    assert len(changed) == 3
    assert "fourteen verdicts are the same, three" in PAGE
    for claim in [*LEDGER["claims"], *changed]:
        title, because = (
            re.sub(r"(?<=[A-Z])->(?=[A-Z])", " → ", claim[key])
            for key in ("title", "because")
        )
        assert f"**{title}: {claim['verdict']}.** {because}" in PAGE
    before, after = (
        sum(c["verdict"] == "undecided" for c in ledger["claims"])
        for ledger in LEDGERS.values()
    )
    assert f"{NUMBERS[before]} of seventeen stay undecided" in PAGE
    assert f"{NUMBERS[after].lower()} on seeds 100 to 109" in PAGE
    assert len(LEDGER["claims"]) == 17
    assert "55 intervals" in PAGE  # as the rules of then compared


def test_distances_by_epoch_are_those_of_the_frame(folder):
    frame = pd.read_csv(DOCS / "runs" / folder / "metrics.csv.gz")
    is_it = (
        (frame["condition"] == "contexts_by_epoch")
        & (frame["metric"] == "kl_from_bayes")
        & (frame["prompt"] == "2_demonstrations_of_A->C")
    )
    by_epoch = frame[is_it].pivot(index="epoch", columns="seed", values="value")
    assert by_epoch.shape == (15, 10)
    for values in (by_epoch.loc[1], by_epoch.max(), by_epoch.loc[15]):
        low, high = values.min(), values.max()
        said = rf"{values.mean():.2f} (nats )?\({low:.2f} to {high:.2f}\)"
        assert re.search(said, PAGE), said


def test_the_first_sentence_counts_the_verdicts():
    claims = json.loads((DOCS / "runs/verdicts/claims.json").read_text())
    claims = [c for c in claims["claims"] if c["family"] == "section_2"]
    parts = [
        Counter(claim[part] for claim in claims)
        for part in ("observation", "explanation")
    ]
    assert parts == [
        {"confirmed": 9, "not confirmed": 4, "undecided": 6},
        {
            "supported": 4,
            "contradicted": 4,
            "not needed": 2,
            "undecided": 1,
            None: 8,
        },
    ]
    text = (DOCS / "theory.md").read_text()
    assert f"We test {len(claims)} claims" in text
    for said in (
        "nine observations of the theory are confirmed, four are not, and six",
        "four are supported, four contradicted, two not needed, and one is",
    ):
        assert said in text


def test_what_was_not_decidable_is_that_of_the_power_table():
    power = pd.read_csv(DOCS / "runs" / "power" / "power.csv")
    power = power[power["family"] == "section_2"]
    power = power.set_index(["claim", "outcome"])["power"]
    text = (DOCS / "theory.md").read_text()
    for claim, outcome, said in (
        ("assumption_1_bayes", "confirmed", "decidable (79.7 %)"),
        ("proposition_2_prior", "supported", "decidable (64.1 %)"),
        ("assumption_2_parts", "not confirmed", "decidable (73.2 %)"),
        ("assumption_2_pivot", "not needed", "decidable (0.9 %)"),
        ("assumption_2_pivot", "contradicted", '"contradicted" (74.5 %)'),
        ("assumption_2_layers", "supported", "decidable (59.0 %)"),
        ("assumption_2_layers", "not needed", '"not needed" (5.9 %)'),
        ("lemma_2", "confirmed", "equation 3 holds (24.1 %)"),
        ("lemma_2_delta", "not needed", "(7.6 to 46.9 %)"),
        ("lemma_2_delta", "contradicted", "46.9 %)"),
    ):
        (value,) = power.loc[[(claim, outcome)]]
        assert value < 0.8
        assert f"{100 * value:.1f}" in said
        assert said in text, said


NUMBERS = {3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven"}


def test_its_pictures_and_links_are_there():
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert len(links) > 10
    for link in links:
        assert (DOCS / link).exists(), link
