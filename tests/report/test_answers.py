"""Tests of the page: lists of answers, cards and their filters."""

import re

import pytest

from tests.helpers.scripted_report import Page, scripted_report
from tiny_gpt.report.page import render_report
from tiny_gpt.report.schema import EXPLANATIONS


@pytest.fixture(scope="module")
def html():
    return render_report(**scripted_report())


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def answers_of(html):
    """Returns the names of the claims in each list of answers."""
    lists = {}
    for part in html.split('<ul class="answers ')[1:]:
        lists[part.split('"')[0]] = re.findall(
            r'href="#(\w+)"', part.split("</ul>")[0]
        )
    return lists


def test_answers_come_first_and_lead_to_their_cards(html, page):
    # Claims have the observations confirmed, not confirmed and undecided in
    # turn, and each explanation once; the third is contradicted.
    assert answers_of(html) == {
        "yes": ["claim_0"],
        "no": ["claim_1", "claim_2", "claim_4"],
        "open": ["claim_3"],
    }
    for n in range(len(EXPLANATIONS)):
        answer, card = (
            html.index(f'href="#claim_{n}"'),
            html.index(f'<details class="card claim" id="claim_{n}"'),
        )
        assert answer < card < html.index('id="page-made"')
        assert f"Claim number {n} of A → C" in page.text
    assert "lead" in html[: html.index('id="page-claims"')]


def test_an_answer_has_the_number_that_decides_it(page):
    answers = page.text[: page.text.index("Claim by claim Observation")]
    # Not confirmed: the number of the observation. Contradicted: that of the
    # explanation.
    assert "−3.1 percentage points (−6.0 to +1.0) lead" in answers
    said = "Undecided, and its explanation is contradicted: “It composes.”"
    assert f"{said} 50.0 % one seed" in answers


def test_the_lists_are_the_rules_of_the_verdicts():
    report = scripted_report()
    claims = report["ledger"]["claims"]
    for claim in claims:
        claim.update(observation="confirmed", explanation=None)
    claims[1]["observation"] = "undecided"
    claims[2]["because"] = "Runs are missing: triangle/unrun: seeds 0, 1."
    html = render_report(**report)
    assert answers_of(html) == {
        "yes": ["claim_0", "claim_3", "claim_4"],
        "open": ["claim_1", "claim_2"],
    }
    text = Page(html).text
    assert "What does not" not in text
    assert "Its runs are missing." in text
    assert "runs are missing (1)" in text  # a choice of the filter


def test_a_claim_without_a_cause_has_no_explanation():
    report = scripted_report()
    for claim in report["ledger"]["claims"]:
        claim["explanation"], claim["cause"] = None, ""
        del claim["rules"]["explanation"]
    page = Page(render_report(**report))
    assert "explanation" not in page.text.lower()
    assert "explanation" not in page.values("name")


def test_claims_stand_below_their_family(html, page):
    assert "each at 98.75 %" in page.text.replace("\xa0", " ")
    heading = html.index("5 claims; 4 intervals")
    assert heading < html.index('id="claim_0"')


def test_filters_are_hidden_and_count_what_they_find(html, page):
    assert '<form id="page-filters" hidden>' in html
    # One section and no network: nothing to choose.
    assert page.values("name") == [
        *("viewport", "color-scheme", "observation", "explanation")
    ]
    assert "confirmed (2)" in page.text
    report = scripted_report()
    for condition, network in zip(
        report["ledger"]["conditions"], ("GPT", "GRU"), strict=True
    ):
        condition["network"] = network
    first = report["ledger"]["claims"][0]
    first["conditions"] = ["triangle/unrun", "triangle/sparse_a_to_c"]
    page = Page(render_report(**report))
    assert page.values("name")[-1] == "network"
    assert "GPT (5)" in page.text
    assert "GRU (1)" in page.text
    assert page.values("data-network") == ["GPT|GRU", *["GPT"] * 4]


def test_everything_is_closed_and_needs_no_script_to_open(html, page):
    assert page.tags.count("details") > 15
    assert "open" not in [key for key, _ in page.attributes]
    assert page.tags.count("summary") == page.tags.count("details")
    for part in html.split("<details")[1:]:
        assert part.split(">", 1)[1].lstrip().startswith("<summary>")


def test_conditions_have_one_order_everywhere():
    report = scripted_report()
    names = ["triangle/sparse_a_to_c", "triangle/unrun"]
    report["ledger"]["conditions"][1]["question"] = "Another?"
    for order in (names, names[::-1]):
        report["ledger"]["claims"][0]["conditions"] = order
        html = render_report(**report)
        card = html[html.index('id="claim_0"') : html.index('id="claim_1"')]
        links = re.findall(r'href="#page-(triangle-\w+)"', card)
        assert links == ["triangle-sparse_a_to_c", "triangle-unrun"]


def test_titles_are_words(page):
    shown = page.text.replace("accuracy_aligned", "")
    assert "Are 50 sentences of A → C enough?" in page.text
    assert "scrambled A → C 12 matched" in shown.replace("\xa0", " ")
    assert "scrambled_a_to_c" not in shown
