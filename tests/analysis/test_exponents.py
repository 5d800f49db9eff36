"""Tests for tiny_gpt/analysis/exponents.py."""

import dataclasses
import math

import numpy as np
import pytest

from tiny_gpt.analysis.exponents import fit_exponent
from tiny_gpt.analysis.thresholds import Threshold, fit_threshold

NAN, INF = math.nan, math.inf
SIZES = np.array([4.0, 16.0, 64.0, 256.0, 1024.0])


def known(value, spread=0.0, seed=0, num_seeds=10, num_draws=400):
    """A threshold whose resamples scatter around its value."""
    noise = np.random.default_rng(seed).normal(0, spread, num_draws)
    draws = value * np.exp(noise)
    ends = float(draws.min()), float(draws.max())
    return Threshold(
        value, *ends, 2.0, NAN, "none", draws, draws.copy(), num_seeds
    )


def censored(how):
    ends = {
        "below": (0.0, 4.0),
        "above": (64.0, INF),
        "does not rise": (0.0, INF),
    }[how]
    value = {"below": 0.0, "above": INF}.get(how, NAN)
    draws = (np.full(400, end) for end in ends)
    return Threshold(value, *ends, 1.0, NAN, how, *draws, 10)


def test_a_power_law_is_recovered():
    found = fit_exponent(SIZES, [known(3 * s**1.5) for s in SIZES])
    ends = found.exponent
    assert ends.value == pytest.approx(1.5, rel=1e-12)
    assert (ends.low, ends.high) == pytest.approx((1.5, 1.5), rel=1e-12)
    assert found.factor == pytest.approx(3, rel=1e-12)
    assert found.r_squared == pytest.approx(1, rel=1e-12)
    assert found.exponential_r_squared < 0.9
    assert found.num_points == 5
    assert found.warnings == ()


def test_the_interval_is_that_of_least_squares_over_resamples():
    # Independent noise s of ln threshold: the slope has s / sqrt(sum z^2).
    # 10 seeds expand 1.96 standard errors to 2.384.
    thresholds = [known(s, 0.1, i, 10, 20_000) for i, s in enumerate(SIZES)]
    found = fit_exponent(SIZES, thresholds).exponent
    z = np.log(SIZES) - np.log(SIZES).mean()
    half = 2.384 * 0.1 / math.sqrt(z @ z)
    assert found.value == pytest.approx(1, rel=1e-12)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.05)


def test_resamples_share_their_seeds():
    # The same resample moves all thresholds alike: the exponent stays.
    found = fit_exponent(SIZES, [known(s, 0.5, seed=0) for s in SIZES])
    assert found.exponent.high - found.exponent.low < 1e-9


def test_thresholds_between_two_values_make_the_exponent_uncertain():
    # Each lies somewhere within a factor of 4.
    thresholds = [
        dataclasses.replace(
            known(s),
            low_draws=np.full(400, s / 2),
            high_draws=np.full(400, s * 2),
        )
        for s in SIZES[:2]
    ]
    found = fit_exponent(SIZES[:2], thresholds).exponent
    # ln 4 apart: from (ln 4 - ln 4) / ln 4 to (ln 4 + ln 4) / ln 4.
    assert 0 <= found.low < 0.3
    assert 1.7 < found.high <= 2


@pytest.mark.parametrize("exponent", [0.5, 2.0])
def test_the_exponent_of_simulated_runs_is_in_its_interval(exponent):
    rng, x = np.random.default_rng(1), np.geomspace(1, 2**14, 15)
    sizes = np.array([1.0, 4.0, 16.0, 64.0, 128.0])
    thresholds = []
    for size in sizes:
        p = 1 / (1 + (2 * size**exponent / x) ** 3)
        outcomes = (rng.random((10, len(x))) < p) * 1.0
        thresholds.append(fit_threshold(x, outcomes))
    found = fit_exponent(sizes[:4], thresholds[:4])
    assert found.exponent.low < exponent < found.exponent.high
    assert found.exponent.value == pytest.approx(exponent, abs=0.15)


def test_an_exponential_is_called_one():
    found = fit_exponent(SIZES, [known(math.exp(s / 50)) for s in SIZES])
    assert found.exponential_r_squared == pytest.approx(1, rel=1e-12)
    assert found.r_squared < 0.9
    assert "an exponential fits as well as a power law" in found.warnings


def test_a_grid_that_cannot_tell_is_warned_of():
    # Factors of 4, of the axis, and 8, of the threshold.
    found = fit_exponent([4, 8, 16], [known(s**1.5) for s in (4, 8, 16)])
    assert "only 3 thresholds, fewer than 4" in found.warnings
    assert any("span factors of 4 and 8;" in w for w in found.warnings)
    # Two orders of magnitude are enough, of both.
    found = fit_exponent([1, 5, 20, 100], [known(x) for x in (1.0, 2, 4, 9)])
    assert any("factors of 100 and 9;" in w for w in found.warnings)
    wide = [1, 5, 20, 100]
    found = fit_exponent(wide, [known(float(s)) for s in wide])
    assert found.warnings == ()


def test_censored_thresholds_are_left_out_and_named():
    kinds = ("below", "above", "does not rise")
    thresholds = [*map(censored, kinds), known(5.0), known(10.0)]
    found = fit_exponent([1, 2, 4, 8, 16], thresholds)
    assert found.exponent.value == pytest.approx(1, rel=1e-12)
    assert found.num_points == 2
    assert found.warnings[0] == (
        "no threshold inside the grid at 1 (below), 2 (above), "
        "4 (does not rise)"
    )


def test_without_two_thresholds_there_is_no_exponent():
    found = fit_exponent([4, 8], [known(5.0), censored("above")])
    assert math.isnan(found.exponent.value)
    assert found.num_points == 1
    assert "only 1 thresholds, fewer than 4" in found.warnings


def test_resamples_outside_the_grid_are_counted():
    # A tenth of the resamples of one threshold lies above the grid.
    one = known(16.0)
    low, high = one.low_draws.copy(), one.high_draws.copy()
    low[:40], high[:40] = 64.0, INF
    one = dataclasses.replace(one, low_draws=low, high_draws=high)
    found = fit_exponent([4, 16], [known(4.0), one])
    assert any(w.startswith("10 % of the resamples") for w in found.warnings)
    assert found.exponent.low == pytest.approx(1, rel=1e-12)


def test_one_seed_has_no_interval():
    found = fit_exponent(SIZES, [known(s, num_seeds=1) for s in SIZES])
    assert found.exponent.value == pytest.approx(1, rel=1e-12)
    assert math.isnan(found.exponent.low)


def test_equal_thresholds_have_exponent_0():
    found = fit_exponent(SIZES, [known(7.0) for _ in SIZES])
    assert found.exponent.value == pytest.approx(0, abs=1e-12)
    assert math.isnan(found.r_squared)


@pytest.mark.parametrize(
    ("values", "rule"),
    [([4, 8], "one for each"), ([0, 4, 8], "positive"), ([4, 4, 8], "differ")],
)
def test_values_are_positive_and_differ(values, rule):
    with pytest.raises(ValueError, match=f"{rule}.*Received: values="):
        fit_exponent(values, [known(1.0), known(2.0), known(3.0)])


def test_thresholds_have_the_same_resamples():
    with pytest.raises(ValueError, match=r"resamples=\[200, 400\]"):
        fit_exponent([4, 8], [known(1.0), known(2.0, num_draws=200)])
