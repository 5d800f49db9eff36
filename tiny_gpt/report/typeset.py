"""Numbers and mappings as they are written on a page."""

import math
import re
from typing import Any

from markupsafe import Markup, escape

DASH = "—"
# Digits and name of each unit of the ledger; percent where it is a fraction.
UNIT_FORMATS = {
    "fraction": (1, " %"),
    "difference": (1, " percentage points"),
    "nats": (3, " nats"),
    "epochs": (1, " epochs"),
    "ratio": (2, " ×"),
    "count": (1, ""),
    "probability": (3, ""),
}
METRICS = {
    "accuracy_aligned": "words right and in place",
    "accuracy_in_language": "words right among those of the language",
    "exact_match_aligned": "whole sentences right",
}


def format_number(
    value: float | str | None, unit: str | None = None, has_unit: bool = True
) -> str:
    """Writes a number with its unit; a dash for None.

    Args:
        value: fractions and differences of fractions become percent; "inf"
            and "-inf" are infinite.
        unit: one of `schema.UNITS`, or `None` for a plain number.
        has_unit: whether the unit is written behind it.

    Returns:
        For example "87.2 %", "−3.1 percentage points", "0.534 nats".
    """
    value = math.nan if value is None else float(value)
    if math.isnan(value):
        return DASH
    digits, name = UNIT_FORMATS[unit] if unit else (3, "")
    if unit in ("fraction", "difference"):
        value *= 100
    if math.isinf(value):
        text = "∞" if value > 0 else "−∞"
    elif unit == "probability" and 0 < value < 0.001:
        text = "< 0.001"
    else:
        value = round(value, digits) + 0.0  # never −0.0
        sign = "+" if unit == "difference" and value else "-"
        text = f"{value:{sign}.{digits}f}".replace("-", "−")
        if unit in (None, "count", "epochs"):
            text = text.rstrip("0").rstrip(".")
    return text + name if has_unit else text


def format_effect(effect: dict[str, Any], unit: str | None = None) -> str:
    """Writes a value and its interval, for example "87.2 % (80.1 to 93.0)".

    Args:
        effect: "value" or "mean", and "low" and "high"; each may be `None`.
        unit: one of `schema.UNITS`; the effect's own unit takes precedence.

    Returns:
        The value alone if it has no interval, a dash if there is no value.
    """
    unit = effect.get("unit", unit)
    value = effect["value"] if "value" in effect else effect["mean"]
    text = format_number(value, unit)
    ends = [format_number(effect[end], unit, False) for end in ("low", "high")]
    return text if DASH in (text, *ends) else f"{text} ({' to '.join(ends)})"


def format_duration(seconds: float | None) -> str:
    """Writes seconds as, for example, "41.3 s", "3 min 54 s", "2 h 5 min"."""
    if seconds is None:
        return DASH
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def in_words(text: str) -> str:
    """Typesets a text, and writes identifiers in it as words.

    For example "accuracy_aligned" becomes "words right and in place", and
    "sparse_a_to_c" becomes "sparse A → C".
    """

    def write(match: re.Match) -> str:
        arrows = re.sub(
            r"(?<![a-z])([a-z])_to_([a-z])(?![a-z])",
            lambda m: f"{m[1]}->{m[2]}".upper(),
            match[0],
        )
        return METRICS.get(match[0], arrows.replace("_", " "))

    return typeset(re.sub(r"[a-z0-9]+(?:_[a-z0-9]+)+", write, text))


def to_html(value: Any) -> Any:
    """Typesets a text, and turns parts in backticks into code.

    Args:
        value: a value that the page will show; not an attribute of a tag.

    Returns:
        Markup, in which the whole text is escaped. A value that is not a
        text, or is already markup, is returned as `typeset` does.
    """
    value = typeset(value)
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    code = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(value)))
    return Markup(code)


def typeset(value: Any) -> Any:
    """Writes "A->B" as "A → B", "-3" as "−3", and `None` as a dash.

    Spaces around an arrow, before a percent sign and between a measure in
    brackets and its limit do not break. Markup, e.g. commands and figures, is
    not changed, nor is a value that is not a text.

    Args:
        value: a value that the page will show.
    """
    if value is None:
        return DASH
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    value = re.sub(r"(?<=\w)(->| → )(?=\w)", "\xa0→\xa0", value)
    value = re.sub(r"(?<=\d) (?=%)", "\xa0", value)
    value = re.sub(r"(?<=\]) ([<>]) (?=[\d−-])", "\xa0\\1\xa0", value)
    return re.sub(r"(?<![\w)\]-])-(?=\d)|(?<=\w )-(?= \w)", "−", value)
