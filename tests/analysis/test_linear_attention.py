"""Tests for tiny_gpt/analysis/linear_attention.py."""

import numpy as np
import pytest

from tiny_gpt.analysis import linear_attention as lsa
from tiny_gpt.analysis.linearity import first_order_change

# f(z_1, z_1) = 1, f(z_1, z_2) = 5, f(z_2, z_2) = 9; P V z_1 = (0, 1), P V z_2
# = (2, 1); the second position sees both.
Z = np.array([[1.0, 0.0], [1.0, 2.0]])
WEIGHTS = lsa.LinearWeights(
    np.array([[[1.0, 2.0], [0.0, 1.0]]]), np.array([[[0.0, 1.0], [1.0, 0.0]]])
)
PAIRS = lsa.pair_weights(2)


def draw(num_heads=2, seed=0):
    rng = np.random.default_rng(seed)
    shape = (num_heads, 4, 4)
    weights = lsa.LinearWeights(rng.normal(size=shape), rng.normal(size=shape))
    return rng.normal(size=(3, 5, 4)), weights, rng


def test_output_by_hand():
    # (1, 0) + 1 (0, 1), and (1, 2) + 5 (0, 1) + 9 (2, 1).
    output = lsa.lsa_output(Z, WEIGHTS, PAIRS)
    np.testing.assert_allclose(output, [[1, 1], [19, 16]], rtol=1e-12)


def test_as_printed_the_query_is_summed():
    # (1, 2) + (5 + 9) (2, 1).
    output = lsa.lsa_output(Z, WEIGHTS, PAIRS, summed="query")
    np.testing.assert_allclose(output, [[1, 1], [29, 16]], rtol=1e-12)


def test_the_sum_may_be_a_mean():
    pairs = lsa.pair_weights(2, normalization="num_keys")
    output = lsa.lsa_output(Z, WEIGHTS, pairs)
    np.testing.assert_allclose(output, [[1, 1], [10, 9]], rtol=1e-12)


def test_without_a_mask_the_first_sees_the_second():
    # f(z_2, z_1) = (1, 2) . (1, 0) = 1 adds (2, 1).
    output = lsa.lsa_output(Z, WEIGHTS, lsa.pair_weights(2, is_causal=False))
    np.testing.assert_allclose(output, [[3, 2], [19, 16]], rtol=1e-12)


def test_uniform_change_by_hand():
    # 0.5 P V z_1, and 0.5 P V (z_1 + z_2) = 0.5 (2, 2).
    change = lsa.uniform_change(Z, WEIGHTS, PAIRS, 0.5)
    np.testing.assert_allclose(change, [[0, 0.5], [1, 1]], rtol=1e-12)


@pytest.mark.parametrize("epsilon", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("normalization", ["none", "num_keys"])
def test_one_layer_is_linear_whatever_epsilon(epsilon, normalization):
    z, weights, rng = draw()
    pairs = lsa.pair_weights(5, normalization=normalization)
    own = lsa.lsa_output(z, weights, pairs)

    after = lsa.lsa_output(z, weights, pairs, epsilon)
    expected = lsa.uniform_change(z, weights, pairs, epsilon)
    np.testing.assert_allclose(after - own, expected, rtol=1e-9, atol=1e-12)

    e = rng.normal(size=(3, 2, 5, 5))
    after = lsa.lsa_output(z, weights, pairs, epsilon * e)
    expected = epsilon * lsa.pair_change(z, weights, pairs, e)
    np.testing.assert_allclose(after - own, expected, rtol=1e-9, atol=1e-12)


def test_one_layer_is_linear_in_each_reading():
    # Printed with z_j: epsilon n PV z_j; and the number z_j^T PV z_j sum_i
    # f(z_i, z_j), of which the change is epsilon n z_j^T PV z_j.
    z, weights, _ = draw()
    pairs = lsa.pair_weights(5)
    own, after = (
        lsa.lsa_output(z, weights, pairs, x, "query") for x in (0.0, 7.0)
    )
    n = np.arange(1, 6)[:, None]
    expected = 7 * n * (z @ weights.out_value.sum(axis=0).T)
    np.testing.assert_allclose(after - own, expected, rtol=1e-10)

    numbers = [np.einsum("ntd,ntd->nt", z, x - z) for x in (own, after)]
    expected = np.einsum("ntd,ntd->nt", z, expected)
    np.testing.assert_allclose(numbers[1] - numbers[0], expected, rtol=1e-9)


def test_kernels_become_two_matrices():
    z, _, rng = draw()
    query, key, value = rng.normal(size=(3, 4, 6))
    out = rng.normal(size=(6, 4))
    weights = lsa.LinearWeights.from_kernels(query, key, value, out, 2)
    f = lsa.similarities(z, z, weights.key_query)
    values = lsa.values_of(z, weights.out_value)
    for h, part in enumerate((slice(0, 3), slice(3, 6))):
        q, k, v = (z @ kernel[:, part] for kernel in (query, key, value))
        np.testing.assert_allclose(f[:, h], q @ k.swapaxes(1, 2), rtol=1e-10)
        np.testing.assert_allclose(values[:, h], v @ out[part], rtol=1e-10)


def test_a_stack_applies_one_layer_after_the_other():
    z, weights, _ = draw()
    pairs = lsa.pair_weights(5)
    stacked = lsa.lsa_stack(z, [weights] * 2, pairs, [0.1, 0.2])
    once = lsa.lsa_output(z, weights, pairs, 0.1)
    twice = lsa.lsa_output(once, weights, pairs, 0.2)
    np.testing.assert_allclose(stacked[2], twice, rtol=1e-12)
    np.testing.assert_array_equal(stacked[0], z)


def test_typical_size_counts_what_is_seen():
    # 3, 4 and 5, of which the mean square is 50/3; the future has 100.
    f = np.array([[[3.0, 100.0], [4.0, 5.0]]])
    assert lsa.typical_size(f, PAIRS) == pytest.approx((50 / 3) ** 0.5)


def test_softmax_slope_by_hand():
    # Two equal logits, pushed apart by 1 each: a (E - mean) = (1/2, -1/2),
    # on values 1 and 0.
    logits, values = np.zeros((1, 2, 2)), np.array([[[1.0], [0.0]]])
    direction = np.array([[[5.0, 0.0], [1.0, -1.0]]])
    slope = lsa.softmax_slope(logits, values, direction, PAIRS)
    np.testing.assert_allclose(slope, [[0], [0.5]], atol=1e-15)


def test_softmax_slope_is_the_derivative():
    z, weights, rng = draw()
    pairs = lsa.pair_weights(5)
    logits = lsa.similarities(z, z, weights.key_query)
    values = lsa.values_of(z, weights.out_value)
    e = rng.normal(size=logits.shape)

    def output(epsilon):
        x = np.where(pairs > 0, np.exp(logits + epsilon * e), 0)
        return lsa.mix(x / x.sum(axis=-1, keepdims=True), values)

    slope = lsa.softmax_slope(logits, values, e, pairs)
    np.testing.assert_allclose(
        slope, first_order_change(output), rtol=1e-9, atol=1e-12
    )
    uniform = lsa.softmax_slope(logits, values, np.ones_like(e), pairs)
    np.testing.assert_allclose(uniform, 0, atol=1e-12)


def test_softmax_keeps_to_what_is_seen_and_has_no_overflow():
    logits = np.array([[[1.0, 9.0], [1000.0, 1000.0]]])
    weights = lsa.softmax_weights(logits, PAIRS)
    np.testing.assert_array_equal(weights, [[[1, 0], [0.5, 0.5]]])


def test_spread_is_that_over_keys():
    # Query 2 has logits 0 and 2, of variance 1, and query 3 has 7, 7, 7; the
    # first sees one key.
    logits = np.array([[[50.0, 0, 0], [0, 2, 99], [7, 7, 7]]])
    spread = lsa.spread_of_logits(logits, lsa.pair_weights(3))
    assert spread == pytest.approx(0.5**0.5)


def test_rejects_unknown_choices():
    with pytest.raises(ValueError, match="summed='value'"):
        lsa.lsa_output(Z, WEIGHTS, PAIRS, summed="value")
    with pytest.raises(ValueError, match="normalization='mean'"):
        lsa.pair_weights(2, normalization="mean")
