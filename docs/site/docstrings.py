"""Docstrings for Sphinx: ours are Markdown with sections, as Google's.

Text between backticks is code. Fences and blocks after a colon are blocks of
code. A list may follow a line at once. All other characters mean themselves.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

CODE = re.compile(r"(`[^`]*`)")
# Marks of substitutions, emphasis and references.
MARKS = re.compile(r"(\\|\||\*|(?<=\w)_(?!\w))")
FENCE = "```"
Line = tuple[str, bool]  # and whether it is code


def indent_of(line: str) -> int:
    """Returns how far a line is indented."""
    return len(line) - len(line.lstrip())


def escaped(line: str) -> str:
    """Returns a line in which marks outside of backticks mean themselves."""
    parts = CODE.split(line)
    parts[::2] = (MARKS.sub(r"\\\1", part) for part in parts[::2])
    return "".join(parts)


def converted(lines: list[str]) -> list[str]:
    """Returns the lines as reStructuredText."""
    return [
        line if is_code else escaped(line)
        for line, is_code in _with_spaced_lists(_with_indented(_fenced(lines)))
    ]


def _fenced(lines: Iterable[str]) -> Iterator[Line]:
    """Turns fences into directives."""
    is_code = False
    for line in lines:
        if line.strip().startswith(FENCE):
            is_code = not is_code
            yield "", False
            if is_code:
                margin = " " * indent_of(line)
                yield f"{margin}.. code-block:: python", False
                yield "", False
        else:
            yield f"   {line}" if is_code and line else line, is_code


def _with_indented(lines: Iterable[Line]) -> Iterator[Line]:
    """Turns what is indented after a colon and an empty line into code."""
    found, margin = [*lines], None
    for i, (line, is_code) in enumerate(found):
        indent = indent_of(line)
        if margin is not None and line and indent <= margin:
            margin = None
        after = [line for line, _ in found[i + 1 : i + 3]]
        opens = (
            not is_code
            and margin is None
            and line.endswith(":")
            and len(after) == 2
            and not after[0]
            and indent_of(after[1]) > indent
        )
        yield line + ":" * opens, is_code or margin is not None
        if opens:
            margin = indent


def _with_spaced_lists(lines: Iterable[Line]) -> Iterator[Line]:
    """Puts an empty line before and after each list."""
    bullet = None
    for line, is_code in lines:
        indent, is_bullet = indent_of(line), line.lstrip().startswith("- ")
        if is_bullet and bullet is None:
            bullet = indent
            yield "", False
        elif line and not is_bullet and bullet is not None and indent <= bullet:
            bullet = None
            yield "", False
        yield line, is_code


def convert(
    app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Converts a docstring in place, before its sections are read."""
    lines[:] = converted(lines)


def setup(app: Any) -> None:
    """Connects it before napoleon."""
    app.connect("autodoc-process-docstring", convert, priority=400)
