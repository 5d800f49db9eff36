"""Tests for tiny_gpt/analysis/similarity.py."""

import itertools

import numpy as np
import pytest

from tiny_gpt.analysis.similarity import centred_cosine, linear_cka, varies

RNG = np.random.default_rng(11)
X = RNG.normal(size=(12, 5))
Y = RNG.normal(size=(12, 3)) + X[:, :3]


def rotation(width, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=[width] * 2))[0]


def test_two_by_hand():
    x = np.array([[1.0], [1], [-1], [-1]])
    y = np.array([[1.0], [-1], [1], [-1]])
    assert linear_cka(x, y, is_debiased=False) == pytest.approx(0.0)
    both = np.concatenate([x, y], axis=1)
    # |(x y)^T x|^2 = 4^2; |x^T x| = 4; |(x y)^T (x y)| = |4 I| = 4 sqrt(2).
    expected = 16 / (4 * 4 * np.sqrt(2))
    assert linear_cka(x, both, is_debiased=False) == pytest.approx(expected)


@pytest.mark.parametrize("is_debiased", [True, False])
def test_rotation_scale_and_place_do_not_count(is_debiased):
    first = linear_cka(X, Y, is_debiased)
    moved = 3.0 * X @ rotation(5) + 7.0
    assert linear_cka(moved, Y, is_debiased) == pytest.approx(first)
    assert linear_cka(moved, X, is_debiased) == pytest.approx(1.0)
    assert linear_cka(Y, X, is_debiased) == pytest.approx(first)
    assert 0.1 < first < 0.9  # it can fail


def test_the_unbiased_hsic_is_the_mean_over_quadruples():
    # Song et al. 2012: E over different i, j, q, r of
    # k_ij (l_ij + l_qr - 2 l_iq), here by enumeration for n = 7.
    x, y = X[:7], Y[:7]

    def hsic(first, second):
        k, m = first @ first.T, second @ second.T
        terms = [
            k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
            for i, j, q, r in itertools.permutations(range(7), 4)
        ]
        return np.mean(terms)

    expected = hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))
    assert linear_cka(x, y) == pytest.approx(expected)


def test_unrelated_sets_are_at_0_only_if_debiased():
    # 20 things in 60 dimensions, 200 times.
    rng = np.random.default_rng(3)
    pairs = [rng.normal(size=(2, 20, 60)) for _ in range(200)]
    unbiased = np.mean([linear_cka(x, y) for x, y in pairs])
    biased = np.mean([linear_cka(x, y, is_debiased=False) for x, y in pairs])
    assert abs(unbiased) < 0.02
    assert biased > 0.5


def test_two_codes_of_the_same_words_have_the_same_geometry():
    # Equally far apart in other directions: CKA 1, cosine 0.
    words = RNG.integers(0, 8, 200)
    first, second = np.eye(16)[words], np.eye(16)[8 + (words + 3) % 8]
    assert linear_cka(first, second) == pytest.approx(1.0)
    # Both means are constants, so only the words count.
    assert centred_cosine(first, second) == pytest.approx(0.0, abs=1e-9)


def test_the_cosine_asks_for_the_same_directions():
    assert centred_cosine(X, 2.0 * X + 5.0) == pytest.approx(1.0)
    assert centred_cosine(X, -X) == pytest.approx(-1.0)
    assert abs(centred_cosine(X, X @ rotation(5))) < 0.9


def test_what_varies():
    assert varies(X)
    assert not varies(np.full((5, 3), 0.1, "float32"))
    assert not varies(np.zeros((5, 3)))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (X, Y[:-1], "same 4 or more things"),
        (X[:3], Y[:3], "same 4 or more things"),
        (X[0], Y[0], "same 4 or more things"),
        (X, np.ones((12, 2)), "one of them constant"),
    ],
)
def test_bad_pairs_are_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        linear_cka(first, second)


def test_other_spaces_have_no_cosine():
    with pytest.raises(ValueError, match="one space"):
        centred_cosine(X, Y)
