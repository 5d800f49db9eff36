"""Tests for tiny_gpt/sweep/contrasts.py: two thresholds, one over another."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.tiny_runs import TINY
from tests.helpers.tiny_sweeps import SCRAMBLED, tiny_sweep
from tiny_gpt.analysis.thresholds import fit_threshold
from tiny_gpt.sweep.collect import fit_thresholds
from tiny_gpt.sweep.contrasts import (
    compare_thresholds,
    describe_contrast,
    fit_contrasts,
)

X = (2.0, 4.0, 8.0, 16.0, 32.0)


def steps(places):
    """Returns successes of seeds that each begin at a place of their own."""
    return np.array([[float(x >= place) for x in X] for place in places])


def test_a_threshold_over_itself_is_one():
    found = fit_threshold(X, steps([4, 8, 8, 8, 16]))
    ratio = compare_thresholds(found, found)
    assert ratio.value == pytest.approx(0.0)
    assert ratio.low <= 0.0 <= ratio.high


def test_a_shift_of_every_seed_is_the_ratio():
    below = fit_threshold(X, steps([4, 4, 8, 8, 8]))
    above = fit_threshold(X, steps([16, 16, 32, 32, 32]))
    ratio = compare_thresholds(above, below)
    # Seeds are paired: all of them begin at four times as much.
    assert ratio.value == pytest.approx(math.log(4), abs=0.1)
    assert 0 < ratio.low < math.log(4) < ratio.high
    inverse = compare_thresholds(below, above)
    assert inverse.value == pytest.approx(-ratio.value)
    assert inverse.low == pytest.approx(-ratio.high)


def test_wider_with_the_level():
    below = fit_threshold(X, steps([4, 4, 8, 16, 8]))
    above = fit_threshold(X, steps([8, 16, 8, 16, 32]))
    narrow = compare_thresholds(above, below, 0.5)
    wide = compare_thresholds(above, below, 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_single_seed_decides_nothing():
    found = fit_threshold(X, steps([4]))
    ratio = compare_thresholds(found, found)
    assert math.isnan(ratio.low)
    assert math.isnan(ratio.high)


def test_intervals_cover_the_ratio():
    rng = np.random.default_rng(0)
    x = np.array(X)
    covered = 0
    for _ in range(100):
        sides = []
        for centre in (6.0, 12.0):
            p = 1 / (1 + np.exp(-2 * np.log(x / centre)))
            outcomes = (rng.random((10, len(x))) < p).astype(float)
            sides.append(fit_threshold(x, outcomes, num_resamples=400))
        ratio = compare_thresholds(sides[1], sides[0], 0.9)
        covered += ratio.low <= math.log(2) <= ratio.high
    assert covered >= 83  # of 100 at 90 %, three standard errors below


def test_what_is_outside_the_grid_leaves_it_open():
    inside = fit_threshold(X, steps([4, 8, 8]))
    never = fit_threshold(X, steps([99, 99, 99]))
    ratio = compare_thresholds(never, inside)
    assert ratio.high == math.inf
    assert ratio.low == pytest.approx(math.log(32 / 8))  # at the least
    assert compare_thresholds(inside, never).low == -math.inf


def test_resamples_must_be_the_same():
    first = fit_threshold(X, steps([4, 8]), num_resamples=10)
    second = fit_threshold(X, steps([4, 8]), num_resamples=20)
    with pytest.raises(ValueError, match="Received: 10 and 20"):
        compare_thresholds(first, second)


def two_conditions():
    axes = {
        "sparse_pairs": [4, 8, 16],
        "majority_pairs": [20, 30],
        "condition": ["real", "scrambled"],
    }
    bases = {"real": TINY, "scrambled": SCRAMBLED}
    sweep = tiny_sweep(axes, seeds=(0, 1, 2), bases=bases)
    rows = [
        (x, n, condition, seed, x >= (16 if condition == "scrambled" else 8))
        for x in axes["sparse_pairs"]
        for n in axes["majority_pairs"]
        for condition in axes["condition"]
        for seed in (0, 1, 2)
    ]
    names = [*axes, "seed", "is_success"]
    return sweep, pd.DataFrame(rows, columns=names)


def test_the_second_condition_over_the_first_at_each_point():
    sweep, runs = two_conditions()
    found = fit_contrasts(sweep, fit_thresholds(sweep, runs))
    assert [c.at for c in found] == [
        {"majority_pairs": 20},
        {"majority_pairs": 30},
    ]
    for contrast in found:
        assert contrast.over == ("scrambled", "real")
        assert contrast.level == pytest.approx(0.975)  # two together 95 %
        ratio = contrast.log_ratio
        assert ratio.value == pytest.approx(math.log(2))
        # Between 4 and 8, and between 8 and 16: a factor of 1 to 4.
        assert ratio.low == pytest.approx(0.0)
        assert ratio.high == pytest.approx(math.log(4))
        described = json.loads(json.dumps(describe_contrast(contrast)))
        assert described["ratio"] == pytest.approx(2.0)


def test_words_that_are_not_text_are_compared_too():
    axis = "mixture.components.A->C.is_distinct"
    axes = {"sparse_pairs": [4, 8], axis: [False, True]}
    sweep = tiny_sweep(axes, seeds=(0, 1))
    rows = [
        (x, word, seed, x >= (8 if word == "yes" else 1))
        for x in (4, 8)
        for word in ("no", "yes")
        for seed in (0, 1)
    ]
    runs = pd.DataFrame(
        rows, columns=["sparse_pairs", axis, "seed", "is_success"]
    )
    (found,) = fit_contrasts(sweep, fit_thresholds(sweep, runs))
    assert found.over == ("yes", "no")


def test_one_condition_has_no_contrast():
    sweep, runs = two_conditions()
    sweep = tiny_sweep({"sparse_pairs": [4, 8, 16], "majority_pairs": [20]})
    runs = runs[(runs["condition"] == "real") & (runs["majority_pairs"] == 20)]
    thresholds = fit_thresholds(sweep, runs)
    assert thresholds
    assert fit_contrasts(sweep, thresholds) == []
