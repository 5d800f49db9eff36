"""Tests for tiny_gpt/claims/evidence.py and values.py."""

import math

import pandas as pd
import pytest

from tests.helpers.scripted_runs import scripted_metrics
from tests.helpers.section_3 import CURVES, SEEDS, SPARSE
from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.claims.evidence import (
    Evidence,
    average,
    by_seed,
    effect,
    points,
)
from tiny_gpt.claims.values import crossing


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_refused(bad):
    frame = scripted_metrics({}, SEEDS, {SPARSE})
    frame.loc[17, "value"] = bad
    with pytest.raises(ValueError, match=r"finite.*sparse_a_to_c"):
        Evidence(frame, SEEDS, None, CURVES, 0.95)


def test_a_frame_without_a_column_is_refused():
    frame = scripted_metrics({}, SEEDS, {SPARSE}).drop(columns="tier")
    with pytest.raises(ValueError, match=r"without \['tier'\]"):
        Evidence(frame, SEEDS, None, CURVES, 0.95)


def test_a_seed_counts_once():
    frame = pd.DataFrame({"seed": [0, 1, 1], "value": [0.1, 0.2, 0.3]})
    with pytest.raises(ValueError, match="one row"):
        by_seed(frame)


def test_a_crossing_is_interpolated():
    # From 0.2 at 1 to 0.6 at 3, 0.5 is reached at 1 + 2 * 0.3 / 0.4 = 2.5.
    assert crossing([1, 3, 4], [0.2, 0.6, 0.1], 0.5) == pytest.approx(2.5)
    assert crossing([1, 3], [0.7, 0.6], 0.5) == 1.0
    assert crossing([1, 3], [0.1, 0.2], 0.5) == math.inf


def test_averages_and_words():
    assert average([{0: 0.2, 1: 0.4}, {0: 0.4, 1: 0.8}]) == pytest.approx(
        {0: 0.3, 1: 0.6}
    )
    assert points(Interval(0.872, 0.801, 0.93)) == "87.2 % (80.1 to 93.0)"
    assert points(Interval(0.872, math.nan, math.nan)) == "87.2 %"
    shown = effect("x", Interval(1.0, math.nan, math.inf), "nats")
    assert (shown["low"], shown["high"]) == (None, "inf")
