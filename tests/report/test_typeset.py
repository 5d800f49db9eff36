"""Tests for tiny_gpt/report/typeset.py."""

import math

import pytest
from markupsafe import Markup

from tiny_gpt.report.schema import UNITS
from tiny_gpt.report.typeset import (
    UNIT_FORMATS,
    format_duration,
    format_effect,
    format_number,
    in_words,
    to_html,
    typeset,
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.8716, "fraction", "87.2 %"),
        (0.0312, "difference", "+3.1 percentage points"),
        (-0.0312, "difference", "−3.1 percentage points"),
        (-0.0004, "difference", "0.0 percentage points"),
        (-0.0004, "fraction", "0.0 %"),
        (0.5341, "nats", "0.534 nats"),
        (46.0, "epochs", "46 epochs"),
        (7.25, "epochs", "7.2 epochs"),
        (2.5, "ratio", "2.50 ×"),
        (1680, "count", "1680"),
        (0.0310, "probability", "0.031"),
        (0.0004, "probability", "< 0.001"),
        (0.0, "probability", "0.000"),
        (0.125, None, "0.125"),
        (1680, None, "1680"),
        (math.inf, "ratio", "∞ ×"),
        (-math.inf, "epochs", "−∞ epochs"),
        (None, "fraction", "—"),
        (math.nan, "nats", "—"),
    ],
)
def test_numbers_carry_their_unit(value, unit, text):
    assert format_number(value, unit) == text


def test_every_unit_of_the_ledger_can_be_written():
    assert tuple(UNIT_FORMATS) == UNITS


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.801, 0.93, "87.2 % (80.1 to 93.0)"),
        (None, None, "87.2 %"),
        (math.nan, 0.93, "87.2 %"),
        (-math.inf, 0.93, "87.2 % (−∞ to 93.0)"),
    ],
)
def test_an_interval_is_written_where_there_is_one(low, high, text):
    ends = {"low": low, "high": high}
    effect = {"value": 0.872, **ends, "unit": "fraction"}
    assert format_effect(effect) == text
    assert format_effect({"mean": 0.872, **ends}, "fraction") == text
    assert format_effect({**effect, "value": None}) == "—"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (41.26, "41.3 s"),
        (234, "3 min 54 s"),
        (59.97, "1 min 0 s"),
        (7500, "2 h 5 min"),
        (None, "—"),
    ],
)
def test_durations_are_read_at_a_glance(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("A->C and B → C", "A\xa0→\xa0C and B\xa0→\xa0C"),
        ("falls by -0.3, (-2 %)", "falls by −0.3, (−2\xa0%)"),
        ("seeds 0-9, fig-2, 1e-05, --seeds 5", None),
        ("real - scrambled", "real − scrambled"),
        ("x -> y", None),
        (None, "—"),
        (3, 3),
        (Markup("a->c"), None),
    ],
)
def test_text_is_set_as_in_print(value, text):
    assert typeset(value) == (value if text is None else text)


def test_backticks_are_code_and_everything_is_escaped():
    html = to_html("`a_to_c` < A->C & <b>")
    assert html == "<code>a_to_c</code> &lt; A\xa0→\xa0C &amp; &lt;b&gt;"
    assert isinstance(html, Markup)
    assert to_html(Markup("<b>`a`</b>")) == "<b>`a`</b>"
    assert to_html(None) == "—"
    assert to_html(3) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "accuracy_aligned, real - scrambled",
            "words right and in place, real − scrambled",
        ),
        ("sparse_a_to_c_12", "sparse A\xa0→\xa0C 12"),
        ("a_to_c_alone", "A\xa0→\xa0C alone"),
        ("four_languages", "four languages"),
        ("seeds above 50 %, A->C", "seeds above 50\xa0%, A\xa0→\xa0C"),
    ],
)
def test_identifiers_become_words(text, words):
    assert in_words(text) == words
