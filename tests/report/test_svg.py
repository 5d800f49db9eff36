"""Tests for tiny_gpt/report/svg.py."""

import re
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from tiny_gpt.plots.curves import COLOURS, GREY
from tiny_gpt.report.svg import compact_path, to_svg


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
        assert f"stroke:var(--series-{n})" in svg
    assert "stroke:var(--muted)" in svg
    assert "stroke:currentColor" in svg
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
    assert not re.findall(r' (?:d|x|y)="[^"]*\.\d{2}', svg)


def test_what_is_drawn_stays_and_equal_looks_are_written_once(svg):
    root = ElementTree.fromstring(svg)
    assert not [g for g in root.iter("g") if not g.attrib]
    lines = [p.get("d") for p in root.iter("path") if p.get("clip-path")]
    assert len(lines) == len(COLOURS) + 2  # each has a colour of its own
    assert len(set(lines)) == 1
    assert all(re.fullmatch(r"m[\d. ]+-?[\d. ]+", line) for line in lines)
    figure = Figure()
    ax = figure.subplots()
    for alpha in (0.5, 0.5, 0.9):
        ax.plot([0, 1], [0, alpha], color="black", alpha=alpha)
    svg = to_svg(figure, "two", "")
    groups = ElementTree.fromstring(svg).iter("g")
    clipped = [g for g in groups if g.get("clip-path")]
    assert [len(g) for g in clipped] == [2]  # the third looks otherwise
    assert "stroke-opacity:0.5" in clipped[0].get("style")
    assert not any("style" in line.attrib for line in clipped[0])


def test_the_opacity_of_an_element_is_left_to_it():
    figure = Figure()
    ax = figure.subplots()
    for height in (0.2, 0.8):
        ax.fill_between([0, 1], 0, height, color="black", alpha=0.2)
    before = to_svg(figure, "one", "")
    assert before.count("opacity:0.2") >= 2
    for group in ElementTree.fromstring(before).iter("g"):
        assert ";opacity" not in group.get("style", "")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "M 3.73 236.5 \nL 12 3 \nL 12.04 3.01 \nL 12 2 ",
            "m3.7 236.5 8.3-233.5 0-1",
        ),
        ("M 0 0 L 0.25 -0.55 z", "m0 0 .2-.6z"),
        ("M 1 1 C 2 1 3 2 4 5 C 4 5 4 6 5 5", "m1 1c1 0 2 1 3 4 0 0 0 1 1 0"),
        # A second part begins where the first one was closed.
        ("M 1 1 L 2 1 z M 3 1 L 4 1", "m1 1 1 0zm2 0 1 0"),
    ],
)
def test_a_path_is_relative_to_itself(path, expected):
    assert compact_path(path) == expected


def test_no_error_adds_up_along_a_path():
    points = [(0.123 * n, 5 + 0.077 * n) for n in range(200)]
    d = "M " + " L ".join(f"{x} {y}" for x, y in points)
    numbers = [
        float(v) for v in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", compact_path(d))
    ]
    end = sum(numbers[::2]), sum(numbers[1::2])
    assert end == pytest.approx(points[-1], abs=0.051)


def test_a_straight_line_needs_its_ends_only():
    figure = Figure()
    x = [0, 1, 2, 3, 4]
    figure.subplots().plot(x, [1, 1, 1, 0, 1], color="black")
    (line,) = (
        path.get("d")
        for path in ElementTree.fromstring(to_svg(figure, "one", "")).iter(
            "path"
        )
        if path.get("clip-path")
    )
    assert len(re.findall(r"-?[\d.]+", line)) == 2 * 4  # of five points


def test_dots_are_one_path_and_other_marks_are_not():
    figure = Figure()
    ax = figure.subplots()
    for marker in "os":
        mark = {"marker": marker, "ls": "", "ms": 5, "markeredgewidth": 0}
        ax.plot([0, 1, 1, 0], [0, 1, 1, 0.5], color=COLOURS[0], **mark)
    root = ElementTree.fromstring(to_svg(figure, "one", ""))
    (dots,) = (
        g for g in root.iter("g") if "linecap:round" in g.get("style", "")
    )
    (path,) = dots
    assert "fill" not in dots.get("style")
    assert "stroke:var(--series-1)" in dots.get("style")
    assert "stroke-width:5" in dots.get("style")
    assert path.get("d").count("m") == 3  # two dots are at one place
    squares = [g for g in root.iter("g") if "fill:var" in g.get("style", "")]
    assert [len(g) for g in squares] == [4]


def test_a_map_has_a_shape_per_cell_and_no_picture():
    figure = Figure()
    ax = figure.subplots()
    cells = [[0.0, 1.0, 1.0], [1.0, float("nan"), 0.0]]
    image = ax.imshow(cells, origin="lower", cmap="gray", vmin=0, vmax=1)
    figure.colorbar(image)
    limits = ax.get_xlim(), ax.get_ylim()
    svg = to_svg(figure, "one", "")
    assert "<image" not in svg
    assert (ax.get_xlim(), ax.get_ylim()) == limits
    (mesh,) = ax.collections
    colours = [tuple(row[:3]) for row in mesh.get_facecolor()]
    assert colours.count((1.0, 1.0, 1.0)) == 3
    assert mesh.get_facecolor()[4][3] == 0  # the gap
    corners = mesh.get_coordinates()
    assert corners[0, 0].tolist() == [-0.5, -0.5]  # row 0 is at the bottom
