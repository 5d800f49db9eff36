"""Figures as SVG elements for a web page."""

import io
import re
from itertools import groupby
from typing import Any, cast
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tiny_gpt.plots.curves import COLOURS, GREY

# Colour in matplotlib -> colour in the page, whose style sheet gives each
# name one value on a light screen and another on a dark one.
PAGE_COLOURS = {
    "#000000": "currentColor",
    GREY.lower(): "var(--muted)",
    **{c.lower(): f"var(--series-{n})" for n, c in enumerate(COLOURS, 1)},
}
TOLERANCE = 0.2  # points by which a line may leave its values


def to_svg(figure: Figure, name: str, label: str) -> str:
    """Writes a figure as an SVG element.

    It has no fixed size, font, prolog or date; its colours are those of the
    page, and its ids start with its name.

    Args:
        figure: drawn with the colours of `plots`, black and grey.
        name: unique in the page, letters, digits, "-" and "_".
        label: description of the figure, for readers who do not see it.

    Returns:
        The `<svg>` element.
    """
    root = ElementTree.fromstring(_save(figure))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("metadata", "style")):
                parent.remove(child)
    elements = list(root.iter())
    referred = {
        key
        for element in elements
        for value in element.attrib.values()
        for key in re.findall(r"(?:^|url\()#([\w.-]+)", value)
        if not re.fullmatch(r"[0-9a-f]{6}", key)
    }
    ids = {key: f"{name}-{n}" for n, key in enumerate(sorted(referred))}
    for element in elements:
        element.tag = element.tag.rpartition("}")[2]
        element.tail = None
        if element.tag != "text":
            element.text = None
        attributes = dict(element.attrib)
        element.attrib.clear()
        for key, value in attributes.items():
            key = key.rpartition("}")[2]  # plain href, as HTML has it
            if key == "id" and value not in ids:
                continue
            if short := _shorten(key, value, ids):
                element.set(key, short)
    _unwrap(root)
    _gather(root)
    _share_styles(root)
    _join_dots(root)
    _drop_unused(root)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")


def _save(figure: Figure) -> str:
    buffer = io.StringIO()
    _draw_cells(figure)
    for artist in figure.findobj(mpl.patches.Rectangle):
        if artist in (figure.patch, *(ax.patch for ax in figure.axes)):
            artist.set_visible(False)  # the ground is that of the page
    options: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "tiny_gpt",
        "path.simplify_threshold": TOLERANCE,
    }
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context(options):
        for line in figure.findobj(Line2D):
            path = line.get_path()
            path.simplify_threshold = TOLERANCE
            # Matplotlib leaves lines of few points as they are.
            path.should_simplify = len(np.asarray(path.vertices)) > 2
        figure.savefig(buffer, format="svg", metadata=metadata)
    return buffer.getvalue()


def _draw_cells(figure: Figure) -> None:
    """Replaces pictures in a figure, as of a map, by one shape per cell."""
    for ax in figure.axes:
        limits = {"xlim": ax.get_xlim(), "ylim": ax.get_ylim()}
        for image in list(ax.images):
            cells: Any = np.ma.asarray(image.get_array())
            left, right, bottom, top = image.get_extent()
            rows, columns = cells.shape
            ax.pcolormesh(
                np.linspace(left, right, columns + 1),
                np.linspace(bottom, top, rows + 1),
                cells,
                cmap=image.cmap,
                norm=cast(Any, image.norm),
                zorder=image.zorder,
            )
            image.remove()
            ax.set(**limits)
    for mesh in figure.findobj(QuadMesh):
        mesh.set_rasterized(False)  # the colours beside a map


def _shorten(key: str, value: str, ids: dict[str, str]) -> str:
    """Returns a short form of an attribute; "" if it says nothing."""
    if key == "d":
        return compact_path(value)
    if key in ("x", "y", "width", "height", "transform"):
        value = re.sub(r"-?\d+\.\d+", lambda m: _number(float(m[0])), value)
        return "" if value.startswith("rotate(-0 ") else " ".join(value.split())
    if key == "id":
        return ids[value]
    if key == "style":
        value = re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", value)
        for default in ("font-family: ", "stroke-line(?:cap|join): "):
            value = re.sub(rf"{default}[^;]*;? ?", "", value)
        for colour, page_colour in PAGE_COLOURS.items():
            value = value.replace(colour, page_colour)
        value = re.sub(r"([:;]) ", r"\1", value).strip(";")
    return re.sub(
        r"#([\w.-]+)", lambda match: f"#{ids.get(match[1], match[1])}", value
    )


def compact_path(path: str) -> str:
    """Writes a path relative to itself, to a tenth.

    Args:
        path: absolute commands M, L, C, Q and z, as matplotlib writes them.
    """
    here = start = (0, 0)  # in tenths, so that no error adds up
    written, last = "", ""
    for letter, numbers in re.findall(r"([MLCQz])([^MLCQz]*)", path):
        if letter == "z":
            written, last, here = f"{written}z", "z", start
            continue
        values = [round(10 * float(value)) for value in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        if letter == "L" and points == [here] and last == "l":
            continue
        steps = [
            _number(step / 10)
            for x, y in points
            for step in (x - here[0], y - here[1])
        ]
        here = points[-1]
        start = here if letter == "M" else start
        letter = letter.lower()
        is_said = letter == last or (last == "m" and letter == "l")
        text = " ".join(steps).replace(" -", "-")
        joined = " " if is_said and text[0] != "-" else ""
        written += joined + text if is_said else letter + text
        last = letter
    return written


def _number(value: float) -> str:
    text = f"{value:.1f}".removesuffix(".0")
    return re.sub(r"^(-?)0\.", r"\1.", "0" if text == "-0" else text)


def _unwrap(parent: ElementTree.Element) -> None:
    """Replaces groups without attributes by what they hold."""
    for child in list(parent):
        _unwrap(child)
        is_bare = child.tag == "g" and not child.attrib
        if is_bare or (child.tag in ("g", "defs") and not len(child)):
            place = list(parent).index(child)
            parent.remove(child)
            for n, inner in enumerate(child):
                parent.insert(place + n, inner)


def _gather(root: ElementTree.Element) -> None:
    """Moves definitions to the front, and texts above all that is drawn.

    What is left between them follows each other, and can share a style.
    """
    moved: dict[str, list[ElementTree.Element]] = {"defs": [], "text": []}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in moved and parent.tag != "defs":
                parent.remove(child)
                moved[child.tag].append(child)
    definitions = ElementTree.Element("defs")
    for each in moved["defs"]:
        definitions.extend(list(each))
    root.insert(0, definitions)
    root.extend(sorted(moved["text"], key=lambda text: text.get("style", "")))


def _share_styles(parent: ElementTree.Element) -> None:
    """Gives elements that follow each other and look alike one style.

    The opacity of an element is left to it: that of a group would be one of
    all together.
    """
    children = list(parent)
    for child in children:
        _share_styles(child)
        parent.remove(child)
    for look, alike in groupby(children, _look):
        elements = list(alike)
        if not look or len(elements) < 2:
            parent.extend(elements)
            continue
        group = ElementTree.SubElement(parent, "g", dict(look))
        for element in elements:
            for key, _ in look:
                del element.attrib[key]
            group.append(element)


def _join_dots(root: ElementTree.Element) -> None:
    """Draws the dots of a group as one path of points with round ends."""
    marks = {mark.get("id"): mark.get("d", "") for mark in root.iter("path")}
    for group in list(root.iter("g")):
        names = {dot.get("href", "#")[1:] for dot in group}
        circle = re.match(r"m0 ([\d.]+)c", marks.get(next(iter(names), ""), ""))
        if len(names) > 1 or circle is None or not len(group):
            continue
        places = dict.fromkeys((dot.get("x"), dot.get("y")) for dot in group)
        path = " ".join(f"M {x} {y} L {x} {y}" for x, y in places)
        for dot in list(group):
            group.remove(dot)
        ElementTree.SubElement(group, "path", d=compact_path(path))
        style = group.get("style", "").replace("fill", "stroke")
        width = _number(2 * float(circle[1]))
        group.set("style", f"{style};stroke-width:{width};stroke-linecap:round")


def _drop_unused(root: ElementTree.Element) -> None:
    """Removes marks that nothing draws any more."""
    used = {use.get("href", "#")[1:] for use in root.iter("use")}
    for parent in root.findall("defs") + root.findall("defs/g"):
        for mark in parent.findall("path"):
            if mark.get("id") not in used:
                parent.remove(mark)


def _look(element: ElementTree.Element) -> tuple[tuple[str, str], ...]:
    if element.tag not in ("path", "use", "text"):
        return ()
    look = {k: v for k, v in element.items() if k in ("style", "clip-path")}
    is_alone = re.search(r"(^|;)opacity", look.get("style", ""))
    return () if is_alone else tuple(look.items())
