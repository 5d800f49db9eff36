"""Tests for tiny_gpt/report/svg.py."""

import re
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from tiny_gpt.plots.curves import COLOURS, GREY
from tiny_gpt.report.svg import to_svg


def draw():
    figure = Figure()
    ax = figure.subplots()
    for colour in (*COLOURS, GREY, "black"):
        ax.plot([0, 1 / 3], [0, 1], "o-", color=colour)
    ax.set_title("A <&> C")
    return figure


@pytest.fixture(scope="module")
def svg():
    return to_svg(draw(), "one", 'A "figure"')


def test_the_page_decides_colours_fonts_and_size(svg):
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)
    for n in range(1, len(COLOURS) + 1):
        assert f"stroke: var(--series-{n})" in svg
    assert "stroke: var(--muted)" in svg
    assert "stroke: currentColor" in svg
    assert "font-family" not in svg
    assert "DejaVu" not in svg
    root = ElementTree.fromstring(svg)
    assert not {"width", "height"} & set(root.attrib)
    assert root.get("viewBox").startswith("0 0 ")


def test_it_is_one_image_with_words(svg):
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    assert (root.get("role"), root.get("aria-label")) == ("img", 'A "figure"')
    assert "A <&> C" in [element.text for element in root.iter("text")]
    assert not list(root.iter("style"))  # would reach the whole page
    assert "<?xml" not in svg
    assert "metadata" not in svg


def test_ids_do_not_clash_and_references_hold(svg):
    other = to_svg(draw(), "two", "")
    ids, others = (set(re.findall(r' id="(.*?)"', s)) for s in (svg, other))
    assert ids
    assert not ids & others
    assert all(name.startswith("one-") for name in ids)
    assert set(re.findall(r'(?:href="|url\()#(.*?)[")]', svg)) == ids


def test_the_same_figure_is_the_same_text(svg):
    assert to_svg(draw(), "one", 'A "figure"') == svg


def test_paths_have_no_needless_digits(svg):
    assert not re.findall(r' (?:d|x|y)="[^"]*\.\d{3}', svg)


def test_what_is_drawn_stays_and_equal_looks_are_written_once(svg):
    root = ElementTree.fromstring(svg)
    assert not [g for g in root.iter("g") if not g.attrib]
    lines = [p.get("d") for p in root.iter("path") if p.get("clip-path")]
    assert len(lines) == len(COLOURS) + 2  # each has a colour of its own
    assert len(set(lines)) == 1
    assert all(line.startswith("M") and " L" not in line for line in lines)
    figure = Figure()
    ax = figure.subplots()
    for alpha in (0.5, 0.5, 0.9):
        ax.plot([0, 1], [0, alpha], color="black", alpha=alpha)
    svg = to_svg(figure, "two", "")
    groups = ElementTree.fromstring(svg).iter("g")
    clipped = [g for g in groups if g.get("clip-path")]
    assert [len(g) for g in clipped] == [2]  # the third looks otherwise
    assert "stroke-opacity: 0.5" in clipped[0].get("style")
    assert not any("style" in line.attrib for line in clipped[0])


def test_the_opacity_of_an_element_is_left_to_it():
    figure = Figure()
    ax = figure.subplots()
    for height in (0.2, 0.8):
        ax.fill_between([0, 1], 0, height, color="black", alpha=0.2)
    before = to_svg(figure, "one", "")
    assert before.count("fill-opacity: 0.2") + before.count("; opacity: ") >= 1
    for group in ElementTree.fromstring(before).iter("g"):
        assert "; opacity" not in group.get("style", "")
