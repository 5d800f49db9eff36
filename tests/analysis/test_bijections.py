"""Tests for tiny_gpt/analysis/bijections.py."""

import itertools
import math

import numpy as np
import pytest

from tiny_gpt.analysis.bijections import (
    all_bijections,
    distinct_shown,
    expected_losses,
    predict,
)

LOG2, LOG3 = math.log(2), math.log(3)


def one(x, y, *args):
    """Returns probabilities after the pairs before the last one."""
    return predict(np.array([x]), np.array([y]), *args)[0, -1]


def test_readers_by_hand():
    # The identity, and 0 -> 0, 1 -> 2, 2 -> 1.
    known = np.array([[0, 1, 2], [0, 2, 1]])
    prior = np.array([0.75, 0.25])
    # 0 -> 0 tells them not apart; 1 -> 1 does.
    np.testing.assert_allclose(one([0], [0], known, prior), [1, 0, 0])
    np.testing.assert_allclose(
        one([0, 1], [0, 1], known, prior), [0, 0.75, 0.25]
    )
    np.testing.assert_allclose(one([1, 2], [1, 2], known, prior), [0, 0, 1])
    # 1 -> 0 is in none of them.
    assert np.isnan(one([1, 2], [0, 2], known, prior)).all()
    # All six: two are left after 0 -> 0, one after 1 -> 1 as well.
    none = np.zeros(2)
    np.testing.assert_allclose(one([0], [0], known, none, 1.0), [1 / 3] * 3)
    np.testing.assert_allclose(
        one([0, 1], [0, 1], known, none, 1.0), [0, 0.5, 0.5]
    )
    np.testing.assert_allclose(one([0, 0], [2, 2], known, none, 1.0), [0, 0, 1])
    # The identity has 1/2, and all six 1/2 together: after 0 -> 0 the odds
    # are 1/2 to 1/2 * 2/6, so 1 -> 1 has 3/4 + 1/4 * 1/2.
    np.testing.assert_allclose(
        one([0, 1], [0, 1], known[:1], np.array([0.5]), 0.5),
        [0, 7 / 8, 1 / 8],
    )


def test_a_reader_of_all_is_one_who_knows_each():
    rng = np.random.default_rng(0)
    everything = all_bijections(4)
    indices = rng.integers(24, size=(50, 1))
    x = rng.integers(4, size=(50, 6))
    y = everything[indices, x].astype(int)
    listed = predict(x, y, everything, np.full(24, 1 / 24))
    np.testing.assert_allclose(
        predict(x, y, everything[:1], np.zeros(1), 1.0), listed
    )
    np.testing.assert_allclose(listed.sum(axis=-1), 1.0)


def test_different_symbols_by_hand():
    # Of three symbols: one is shown after one pair. The second is new in two
    # of three cases, the third then in one of three.
    np.testing.assert_allclose(
        distinct_shown(3, 4),
        [
            [1, 0, 0, 0],
            [0, 1, 0, 0],
            [0, 1 / 3, 2 / 3, 0],
            [0, 1 / 9, 6 / 9, 2 / 9],
        ],
    )


def test_losses_by_hand():
    # One bijection, and no other: nothing to learn.
    assert expected_losses(8, 3, pool_size=1) == (0, 0, 0)
    # All six of three symbols. First log 3; then log 2 for a new x, which has
    # probability 2/3; of three x, the third is new with probability 2/3 * 1/3
    # and known by elimination, or 1/3 * 2/3 and costs log 2.
    np.testing.assert_allclose(
        expected_losses(3, 3), [LOG3, 2 / 3 * LOG2, 2 / 9 * LOG2]
    )
    # Half of the windows have the fixed bijection. It is right with 1/2 +
    # 1/2 * 1/3 = 2/3, another y with 1/6; the right y is the fixed one in
    # 1/2 + 1/2 * 1/3 of all windows.
    first = 2 / 3 * math.log(3 / 2) + 1 / 3 * math.log(6)
    found = expected_losses(3, 1, fixed_share=0.5)
    np.testing.assert_allclose(found, [first])


@pytest.mark.parametrize("pool_size", [0, 1, 2, 3])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_losses_are_means_over_all_windows_pools_and_fixed_ones(
    pool_size, share
):
    size, num_pairs = 3, 3
    everything = all_bijections(size).astype(int)
    x = np.array([*itertools.product(range(size), repeat=num_pairs)])
    pools = [*itertools.combinations(range(6), pool_size or 6)]
    losses = []
    for pool, fixed in itertools.product(pools, range(6)):
        weights = np.full(6, 0.0)
        weights[list(pool)] = (1 - share) / len(pool)
        weights[fixed] += share
        for index, weight in enumerate(weights):
            if weight:
                y = everything[index][x]
                found = predict(x, y, everything, weights)
                right = np.take_along_axis(found, y[..., None], 2)[..., 0]
                losses.append(-weight * np.log(right).mean(axis=0))
    expected = np.sum(losses, axis=0) / (len(pools) * 6)
    np.testing.assert_allclose(
        expected_losses(size, num_pairs, pool_size, share),
        expected,
        atol=1e-12,
    )


def test_losses_of_a_large_pool_lie_below_those_of_all():
    small, large, everything = (
        np.array(expected_losses(8, 16, size)) for size in (64, 1024, 0)
    )
    assert everything[0] == pytest.approx(math.log(8))
    assert (small < large).all()
    assert (large < everything + 1e-12).all()
