"""Figures as SVG elements for a web page."""

import io
import re
from itertools import groupby
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

from tiny_gpt.plots.curves import COLOURS, GREY

# Colour in matplotlib -> colour in the page, whose style sheet gives each
# name one value on a light screen and another on a dark one.
PAGE_COLOURS = {
    "#000000": "currentColor",
    GREY.lower(): "var(--muted)",
    **{c.lower(): f"var(--series-{n})" for n, c in enumerate(COLOURS, 1)},
}


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
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    options: Any = {"svg.fonttype": "none", "svg.hashsalt": "tiny_gpt"}
    with mpl.rc_context(options):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=metadata
        )
    root = ElementTree.fromstring(buffer.getvalue())
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
            element.set(key, _shorten(key, value, ids))
    _unwrap(root)
    _share_styles(root)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def _shorten(key: str, value: str, ids: dict[str, str]) -> str:
    if key in ("d", "x", "y", "transform", "width", "height"):
        digits = 1 if len(value) > 200 else 2  # a curve, or a small mark
        value = re.sub(
            r"-?\d+\.\d+",
            lambda match: f"{float(match[0]):.{digits}f}".rstrip("0").rstrip(
                "."
            ),
            value,
        )
        value = " ".join(value.split())
        # A letter needs no space.
        return re.sub(r" ?([A-Za-z]) ", r"\1", value) if key == "d" else value
    if key == "id":
        return ids[value]
    if key == "style":
        value = re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", value)
        value = re.sub(r"font-family: [^;]*;? ?", "", value)
        for colour, page_colour in PAGE_COLOURS.items():
            value = value.replace(colour, page_colour)
    return re.sub(
        r"#([\w.-]+)", lambda match: f"#{ids.get(match[1], match[1])}", value
    )


def _unwrap(parent: ElementTree.Element) -> None:
    """Replaces groups without attributes by what they hold."""
    for child in list(parent):
        _unwrap(child)
        if child.tag == "g" and not child.attrib:
            place = list(parent).index(child)
            parent.remove(child)
            for n, inner in enumerate(child):
                parent.insert(place + n, inner)


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


def _look(element: ElementTree.Element) -> tuple[tuple[str, str], ...]:
    if element.tag not in ("path", "use"):
        return ()
    look = {k: v for k, v in element.items() if k in ("style", "clip-path")}
    is_alone = re.search(r"(^|; )opacity", look.get("style", ""))
    return () if is_alone else tuple(look.items())
