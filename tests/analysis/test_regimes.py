"""Tests for tiny_gpt/analysis/regimes.py."""

import math

import pytest

from tiny_gpt.analysis.regimes import REGIMES, classify_regime

NAN = math.nan


@pytest.mark.parametrize(
    ("unseen", "seen", "loss", "regime"),
    [
        (0.9, 0.9, 0.0, "generalises"),
        (0.8, NAN, NAN, "generalises"),  # equality reaches
        (0.79, 0.8, 1.0, "memorises"),
        (0.2, 0.9, NAN, "memorises"),
        (0.2, 0.3, 0.051, "lacks steps"),
        (0.2, NAN, 0.05, "lacks data"),  # nothing was shown
        (0.2, 0.3, -0.05, "lacks data"),
        (0.2, 0.3, -0.051, "memorises"),  # what no rule of the text gives
        (0.2, NAN, -0.4, "memorises"),
        (0.2, 0.3, NAN, "unknown"),
        (NAN, 0.9, 0.0, "unknown"),  # all were shown: it may know the rule
        (NAN, 0.3, 0.0, "unknown"),
    ],
)
def test_a_regime_follows_from_what_was_reached(unseen, seen, loss, regime):
    assert classify_regime(unseen, seen, loss, 0.8) == regime
    assert regime in (*REGIMES, "unknown")


def test_the_margin_is_in_nats():
    assert classify_regime(0, 0, 0.2, 0.8, margin=0.25) == "lacks data"
    assert classify_regime(0, 0, 0.3, 0.8, margin=0.25) == "lacks steps"
    assert classify_regime(0, 0, -0.3, 0.8, margin=0.25) == "memorises"
