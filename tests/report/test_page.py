"""Tests for tiny_gpt/report/page.py."""

import configparser
import re
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.scripted_report import Page, scripted_report
from tiny_gpt.report.page import render_report

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def html():
    return render_report(**scripted_report())


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_what_rules_compare_is_apart_from_what_is_shown(page):
    compared, further = page.text.split("Numbers that the rules compare", 2)[1:]
    for text in (compared, further):
        lead, others = text.split("Further numbers, which decide nothing")[:2]
        assert "lead" in lead
        assert "unseen sentences" not in lead
        assert "unseen sentences" in others


def test_low_power_is_said_where_nothing_is_decided():
    report = scripted_report()
    claims = report["ledger"]["claims"]
    low = {"outcome": "not confirmed", "truth": "lead = 0", "power": 0.161}
    high = {"outcome": "confirmed", "truth": "lead = 0.1", "power": 0.93}
    for claim in claims:
        claim["power"] = [{"part": "observation", **p} for p in (high, low)]
    text = Page(render_report(**report)).text.replace("\xa0", " ")
    undecided = [c for c in claims if c["observation"] == "undecided"]
    assert len(undecided) == 1
    said = "were it true, “not confirmed” would be found in 16.1 %"
    assert text.count(said) == len(undecided)
    low, high = "lead = 0.0", "lead = +10.0"  # in percent, as the effect
    said = f"if {low} percentage points 16.1 %, not decidable"
    assert text.count(said) == len(claims) - 1  # the first lists no number
    assert f"if {high} percentage points 93.0 % " in text
    del claims[0]["power"][0]["truth"]
    with pytest.raises(ValueError, match=r"power of claim.*\['truth'\]"):
        render_report(**report)


def test_exploratory_seeds_are_called_so(page):
    assert "These seeds are exploratory" in page.text
    report = scripted_report()
    report["ledger"]["kind"] = "confirmatory"
    text = Page(render_report(**report)).text
    assert "These seeds are confirmatory." in text
    assert "exploratory" not in text


def test_the_page_needs_nothing_but_itself(html, page):
    assert page.tags.count("script") == 1
    assert not page.values("src")
    assert not re.findall(r"https?://|@import|@font-face|<\?xml", html)
    links = page.values("href") + re.findall(r"url\((.*?)\)", html)
    assert all(link.startswith("#") or link == "data:," for link in links)


def test_every_link_has_one_target(html, page):
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = page.values("href") + re.findall(r"url\((#.*?)\)", html)
    assert {link[1:] for link in links if link[0] == "#"} <= set(ids)
    assert len(links) > 20


def test_what_is_missing_stands_on_the_face(html):
    assert html.index("1 part is missing") < html.index('id="page-yes"')
    assert "triangle/unrun: seeds 0, 1" in html
    assert "No runs of this condition yet" in html
    complete = render_report(**scripted_report(is_complete=True))
    assert "missing</h2>" not in complete


def test_numbers_are_written_as_effects_with_intervals(page):
    assert "87.2 % (80.1 to 93.0)" in page.text
    assert "−3.1 percentage points (−6.0 to +1.0)" in page.text
    assert "one seed 50.0 %" in page.text
    assert "nothing —" in page.text
    # Said where no number is listed.
    assert page.text.count("The lead is −3.1 percentage points.") == 1
    assert "95 %, each is at 98.75 %" in page.text.replace("\xa0", " ")


def test_commands_are_left_as_they_are_typed(page):
    assert 'make reproduce ARGS="--only a->c"' in page.text
    assert "2 min 0 s" in page.text  # 100.0 s + 20.5 s = 120.5 s


def test_the_accuracy_is_that_of_the_prompt_asked_in_training(page):
    # Epoch 3: 0.2 * 3 and 0.2 * 4; neither 0.01 of one tier nor 0.02 of a
    # prompt that was asked once.
    assert "A → C sparse 70.0 % (60.0 to 80.0) 12.5 % 15.1 %" in (
        page.text.replace("\xa0", " ")
    )
    assert "prompt: 2 demonstrations" in page.text


def test_figures_say_what_they_show(page):
    labels = [label.replace("\xa0", " ") for label in page.values("aria-label")]
    assert (
        "Are 50 sentences of A → C enough?: training loss in nats per token, "
        "mean 3 after epoch 1, 1 after epoch 3"
    ) in labels
    assert (
        "Claim number 1 of A → C. Accuracy on unseen sentences: sparse A → C "
        "70.0 %; scrambled A → C 12 matched updates of the other —"
    ) in labels
    assert (
        "Claim number 2 of A → C. Accuracy on unseen sentences: A → C 20.0 % "
        "at 4 to 70.0 % at 8; scrambled 20.0 % at 4 to 70.0 % at 8"
    ) in labels
    # Three claims, one of them twice, and two curves.
    assert page.values("role").count("img") == 6


def test_text_cannot_become_markup():
    arguments = scripted_report()
    claim = arguments["ledger"]["claims"][1]
    attack = "<script>alert('$1$')</script>"
    for key in ("title", "because", "command"):
        claim[key] = attack
    claim["figure"]["groups"][0]["label"] = attack
    page = Page(render_report(**arguments))
    assert page.tags.count("script") == 1  # that of the page
    assert page.text.count(attack) >= 4


def test_the_share_of_seeds_is_said_where_some_are_missing():
    arguments = scripted_report()
    first, second, third, *_ = arguments["ledger"]["claims"]
    first["num_seeds"] = 1
    second.update(num_seeds=1, decided_on="paper")  # one is all there are
    third["num_seeds"] = 0  # decided on published numbers
    page = Page(render_report(**arguments))
    seeds = re.findall(r"decided on preset \w+ · ([\w ]+) seeds?", page.text)
    assert seeds[:3] == ["1 of 2", "1", "0"]
    # One seed is said to be no verdict, in the sentence of the ledger.
    assert page.text.count("The lead is −3.1 percentage points.") == 2


@pytest.mark.parametrize(
    ("axis", "unit", "is_percent"),
    [
        ("A->C, words of unseen sentences", None, True),
        ("Loss of answer words (nats)", None, False),
        ("Accuracy gained", "epochs", False),
        ("Share", "fraction", True),
    ],
)
def test_fractions_are_shown_in_percent(axis, unit, is_percent):
    arguments = scripted_report()
    figure = arguments["ledger"]["claims"][1]["figure"]
    figure["axis"] = axis
    if unit:
        figure["unit"] = unit
    html = render_report(**arguments)
    figure = html.split('id="claim_1"')[1].split("Rules and measures")[0]
    assert (">chance 12.5 %<" in figure) == is_percent
    assert (">chance 0.125<" in figure) != is_percent


def test_the_same_arguments_give_the_same_page(html):
    assert render_report(**scripted_report()) == html


def test_a_manifest_without_anything_is_dashes():
    arguments = scripted_report()
    page = Page(render_report(**{**arguments, "manifest": {}}))
    assert "Command — Commit —" in page.text


def test_nan_in_what_is_drawn_is_an_error():
    arguments = scripted_report()
    metrics = arguments["metrics"]
    metrics.loc[metrics["tier"] == "unseen", "value"] = np.nan
    render_report(**arguments)  # not drawn
    metrics.loc[metrics["metric"] == "loss", "value"] = np.nan
    with pytest.raises(
        ValueError, match=r"finite.*loss=nan in triangle/sparse"
    ):
        render_report(**arguments)


@pytest.mark.parametrize("name", ["metrics", "events"])
def test_a_frame_without_a_column_is_an_error(name):
    arguments = scripted_report()
    arguments[name] = arguments[name].drop(columns="epoch")
    with pytest.raises(ValueError, match=rf"{name} frame.*\['epoch'\]"):
        render_report(**arguments)


def test_a_ledger_of_another_format_is_an_error():
    arguments = scripted_report()
    arguments["ledger"]["format"] = 1
    with pytest.raises(ValueError, match="Received: format=1"):
        render_report(**arguments)


def test_the_template_ships_with_the_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["tiny_gpt"].split()
    package = ROOT / "tiny_gpt"
    shipped = {p for each in patterns for p in package.glob(each.strip())}
    templates = set((package / "report" / "templates").iterdir())
    assert templates
    assert templates <= shipped


def test_a_condition_shows_its_exact_results(html):
    text = html.replace("\u00a0", " ").replace("&#160;", " ")
    assert "A → C: exact match, all" in text
    assert "30.0 % (20.0 to 40.0)" in text
