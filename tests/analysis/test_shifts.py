"""Tests for tiny_gpt/analysis/shifts.py."""

import numpy as np
import pytest

from tiny_gpt.analysis import shifts
from tiny_gpt.analysis.linear_attention import pair_weights, similarities

PAIRS = pair_weights(5)


def draw(dim=4, num_heads=2):
    rng = np.random.default_rng(0)
    key_query = rng.normal(size=(num_heads, dim, dim))
    return rng.normal(size=(3, 5, dim)), key_query, rng


def test_terms_by_hand():
    # z = 2 and 3, delta = 10 and 100, K^T Q = 1: i = 1, j = 2 has 2 * 100,
    # 10 * 3 and 10 * 100; i = 2, j = 1 is not seen.
    z, delta = np.array([[2.0], [3.0]]), np.array([[10.0], [100.0]])
    terms = shifts.equation_3(z, delta, np.ones((1, 1, 1)), pair_weights(2))
    np.testing.assert_array_equal(terms[:, 0, 1, 0], [200, 30, 1000])
    np.testing.assert_array_equal(terms[:, 0, 0, 1], 0)


def test_the_terms_are_the_change_of_f():
    z, key_query, rng = draw()
    delta = rng.normal(size=z.shape)
    terms = shifts.equation_3(z, delta, key_query, PAIRS)
    f, shifted = (similarities(x, x, key_query) for x in (z, z + delta))
    expected = (shifted - f) * PAIRS
    np.testing.assert_allclose(terms.sum(axis=0), expected, atol=1e-12)


def test_roots_that_know_nothing_of_b():
    z, key_query, _ = draw()
    for delta in (0 * z, -2 * z):
        terms = shifts.equation_3(z, delta, key_query, PAIRS)
        np.testing.assert_allclose(terms.sum(axis=0), 0, atol=1e-12)
    key_query = key_query.copy()
    key_query[:, 3] = key_query[:, :, 3] = 0  # what K^T Q does not see
    delta = np.zeros_like(z)
    delta[..., 3] = 5.0
    assert not shifts.equation_3(z, delta, key_query, PAIRS).any()


def test_residual_of_orthogonal_terms():
    # (1, 0, 0), (0, 1, 0), (0, 0, 1): sqrt(3) / 3; and two that cancel.
    terms = np.zeros((3, 2, 1, 1, 3))
    terms[[0, 1, 2], 0, 0, 0, [0, 1, 2]] = 1
    terms[:, 1, 0, 0, 0] = [1, -1, 0]
    residual = shifts.relative_residual(terms)
    np.testing.assert_allclose(residual, [3**-0.5, 0], rtol=1e-12)


def test_residual_over_f():
    # |(3, 4)| / |(0, 10)|, the terms summed before.
    terms = np.array([[3.0, 1.0], [0.0, 3.0], [0.0, 0.0]])
    f = np.array([0.0, 10.0])
    found = shifts.residual_over_f(
        terms.reshape(3, 1, 1, 1, 2), f.reshape(1, 1, 1, 2)
    )
    assert found == pytest.approx([0.5])


def test_no_residual_of_nothing():
    with pytest.raises(ValueError, match="must not be 0"):
        shifts.relative_residual(np.zeros((3, 2, 1, 4, 4)))


def test_solves_where_an_exact_root_exists():
    # K^T Q is blind to the last coordinate: +-size along it.
    z, key_query, _ = draw()
    key_query = key_query.copy()
    key_query[:, 3] = key_query[:, :, 3] = 0
    is_shifted = np.array([True, True, False, True, False])
    delta = shifts.solve_shift(z, is_shifted, key_query, PAIRS, 2.5)
    np.testing.assert_allclose(np.abs(delta), [0, 0, 0, 2.5], atol=1e-4)


@pytest.mark.parametrize("size", [0.3, 3.0])
def test_solves_as_well_as_a_walk_around_the_circle(size):
    z, key_query, _ = draw(dim=2)
    is_shifted = np.array([True, True, False, True, False])

    def loss(delta):
        placed = np.where(is_shifted[:, None], delta, 0.0)
        placed = np.broadcast_to(placed, z.shape)
        terms = shifts.equation_3(z, placed, key_query, PAIRS)
        return (terms.sum(axis=0) ** 2).sum()

    angles = np.linspace(0, 2 * np.pi, 10_001)
    circle = size * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    best = min(map(loss, circle[::10]))
    delta = shifts.solve_shift(z, is_shifted, key_query, PAIRS, size)
    assert np.linalg.norm(delta) == pytest.approx(size)
    assert loss(delta) <= best * (1 + 1e-6)


def test_rejects_what_has_no_solution():
    z, key_query, _ = draw()
    with pytest.raises(ValueError, match="must be shifted"):
        shifts.solve_shift(z, np.zeros(5, bool), key_query, PAIRS, 1.0)
    with pytest.raises(ValueError, match="size=0"):
        shifts.solve_shift(z, np.ones(5, bool), key_query, PAIRS, 0)
