"""Tests for tiny_gpt/analysis/contexts.py."""

import itertools
import math

import numpy as np
import pytest

from tests.helpers.enumerated_rows import (
    enumerate_rows,
    pair_words,
    weighted_mappings,
)
from tiny_gpt.analysis import contexts
from tiny_gpt.analysis.bayes import WeightedMapping, bayes_log_probabilities
from tiny_gpt.analysis.loss_floor import Packing

# 3 symbols, sentences of 2, pairs of 6 words; rows of 8 words start at the
# places 0, 2 and 4.
PACKING = Packing(3, 2, 7, 1)
PAIRS = {"A->B": 6, "C->B": 3, "A->C": 2}
MAPPINGS = weighted_mappings(PAIRS, 3, np.random.default_rng(1))
WEIGHTS = list(PAIRS.values())
NUM_IDS = 2 + 3 * 3


def random_table(rng, num_contexts=3, num_words=5, size=20):
    posterior = rng.dirichlet(np.ones(num_contexts), size)
    conditionals = rng.dirichlet(np.ones(num_words), (size, num_contexts))
    return posterior, conditionals


def test_the_posterior_is_that_of_all_possible_rows():
    by_mapping = enumerate_rows(MAPPINGS, PACKING)
    rows = sorted(set().union(*by_mapping))
    nats = contexts.context_log_likelihoods(np.array(rows), MAPPINGS, PACKING)
    given = contexts.context_posterior(nats, WEIGHTS)
    for length in (0, 1, 3, 5, 8):
        joint = {}  # Pr(x, theta_i) of each beginning x
        for i, probabilities in enumerate(by_mapping):
            for row, probability in probabilities.items():
                of = joint.setdefault(row[:length], np.zeros(3))
                of[i] += probability
        expected = [
            joint[row[:length]] / sum(joint[row[:length]]) for row in rows
        ]
        np.testing.assert_allclose(given[:, length], expected, rtol=1e-12)


def test_a_question_leaves_what_has_its_source():
    # `a a .` fits A->B and A->C, 6 : 2; the first target word settles it.
    a_to_b, a_to_c = MAPPINGS[0], MAPPINGS[2]
    rows = np.array([pair_words((0, 2), m, 3)[:4] for m in (a_to_b, a_to_c)])
    nats = contexts.context_log_likelihoods(rows, MAPPINGS, PACKING)
    posterior = contexts.context_posterior(nats, WEIGHTS)
    np.testing.assert_allclose(posterior[0, 3], [6 / 8, 0, 2 / 8], rtol=1e-12)
    np.testing.assert_array_equal(posterior[:, 4], [[1, 0, 0], [0, 0, 1]])
    # The prior, before any word.
    np.testing.assert_allclose(posterior[0, 0], np.array(WEIGHTS) / 11)


def test_weights_of_mappings_do_not_enter_likelihoods():
    row = np.array([pair_words((0, 2), MAPPINGS[0], 3)])
    other = [m._replace(weight=0) for m in MAPPINGS]
    np.testing.assert_array_equal(
        *(
            contexts.context_log_likelihoods(row, m, PACKING)
            for m in (MAPPINGS, other)
        )
    )


def test_what_no_context_gives_has_no_posterior():
    # A false pair: the right languages, a wrong translation.
    words = pair_words((0, 2), MAPPINGS[0], 3)
    words[3], words[4] = words[4], words[3]
    nats = contexts.context_log_likelihoods(
        np.array([words]), MAPPINGS, PACKING
    )
    posterior = contexts.context_posterior(nats, WEIGHTS)
    assert np.isnan(posterior[0, 4:]).all()
    assert not np.isnan(posterior[0, :4]).any()


@pytest.mark.parametrize("weights", [(0, 0), (1, -1)])
def test_rejects_weights_that_are_none(weights):
    with pytest.raises(ValueError, match="Received: weights="):
        contexts.context_posterior(np.zeros((1, 2)), weights)


@pytest.mark.parametrize("num_answered", [0, 1])
def test_the_mixture_of_point_masses_is_bayes(num_answered):
    # All 11 next words by enumeration, after `a a .` and after a pair more.
    for shown, source in itertools.product((0, 1), ((0, 2), (1, 0))):
        pair = pair_words(source, MAPPINGS[2], 3)
        prompt = shown * pair_words((2, 1), MAPPINGS[2], 3)
        prompt = [*prompt, *pair[: 3 + num_answered]]
        rows = np.array([[*prompt, y] for y in range(NUM_IDS)])
        packing = Packing(3, 2, 10, 1)
        nats = bayes_log_probabilities(rows, MAPPINGS, packing)[:, -1]
        likelihoods = contexts.context_log_likelihoods(
            np.array([prompt]), MAPPINGS, packing
        )
        posterior = contexts.context_posterior(likelihoods[:, -1], WEIGHTS)
        right = [
            2 + 3 * m.target + m.permutation[source[num_answered]]
            for m in MAPPINGS
        ]
        told = contexts.point_masses(np.array([right]), NUM_IDS)
        given = contexts.mixture(posterior, told)[0]
        np.testing.assert_allclose(given, np.exp(nats), rtol=1e-12, atol=0)


def test_masses_count_each_word_once():
    q = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    np.testing.assert_allclose(
        contexts.mass_on(q, np.array([1, 3])), [0.6, 0.4]
    )
    by_row = np.array([[0, 0], [1, 2]])
    np.testing.assert_allclose(contexts.mass_on(q, by_row), [0.1, 0.5])


def test_the_joint_reading_of_equation_2_is_an_identity():
    # Pr(y|x) - Pr(y, theta*|x) = epsilon; its sum is 1 - Pr(theta*|x), above
    # the total variation between Pr(y|x) and Pr(y|theta*, x).
    posterior, conditionals = random_table(np.random.default_rng(0))
    for star in range(3):
        epsilon = contexts.epsilon_joint(posterior, conditionals, star)
        predicted = contexts.mixture(posterior, conditionals)
        told = conditionals[:, star]
        of_star = posterior[:, star, None] * told
        np.testing.assert_allclose(predicted - of_star, epsilon, atol=1e-15)
        total = epsilon.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(total[:, 0], 1 - posterior[:, star])
        variation = contexts.total_variation(predicted, told)
        assert (variation <= total[:, 0]).all()
        assert not contexts.bound_violation(predicted, told, total).any()


# A bare question: A->B has 50/51 of the pairs that start with A, and each
# answers with a word of its own.
POSTERIOR = np.array([[50 / 51, 1 / 51]])
TOLD = np.eye(2)[None]  # Pr(y|theta_i, x), y = B word, C word


def test_equation_2_as_printed_is_false():
    # The printed sum is 1 for either word, the truth 50/51 and 1/51. With
    # theta* = A->C, epsilon(C word) is 0 and the left side 50/51.
    epsilon = contexts.epsilon_printed(TOLD, 1)
    np.testing.assert_array_equal(epsilon, [[1, 0]])
    predicted = contexts.mixture(POSTERIOR, TOLD)
    violation = contexts.bound_violation(predicted, TOLD[:, 1], epsilon)
    assert violation == pytest.approx([50 / 51], rel=1e-12)
    # Word by word the joint one does not bound it either: 50/51 against 0.
    joint = contexts.epsilon_joint(POSTERIOR, TOLD, 1)
    violation = contexts.bound_violation(predicted, TOLD[:, 1], joint)
    assert violation == pytest.approx([50 / 51], rel=1e-12)


def test_equation_1_as_printed_loses_the_counts():
    # Pr(theta|B word) is that of A->B alone. C words are mostly B->C's, 50 to
    # 1: line 4 gives them 1/51 * 1/51 / (1/51).
    context_given_word = np.array([[1, 0], [0, 1 / 51]])
    lines = contexts.equation_1(POSTERIOR, TOLD, context_given_word)
    np.testing.assert_allclose(lines.line_1, [[50 / 51, 1 / 51]], rtol=1e-12)
    np.testing.assert_allclose(lines.line_2, [[1, 1]], rtol=1e-12)
    np.testing.assert_allclose(lines.line_4, [[1, 1 / 51]], rtol=1e-12)


def test_equation_1_holds_of_independent_contexts():
    # With theta independent of (x, y), Pr(theta_i|y) = Pr(theta_i|x): line 4
    # is M Pr(y|x), line 2 as well.
    rng = np.random.default_rng(1)
    posterior = rng.dirichlet(np.ones(3), 4)
    word = rng.dirichlet(np.ones(5), 4)
    for p, y in zip(posterior, word, strict=True):
        given_word = np.repeat(p[:, None], 5, axis=1)
        lines = contexts.equation_1(p, np.tile(y, (3, 1)), given_word)
        np.testing.assert_allclose(lines.line_1, y, rtol=1e-12)
        np.testing.assert_allclose(lines.line_2, 3 * y, rtol=1e-12)
        np.testing.assert_allclose(lines.line_4, 3 * y, rtol=1e-12)


def test_equation_1_leaves_out_impossible_contexts():
    lines = contexts.equation_1(np.array([1.0, 0.0]), TOLD[0], np.ones((2, 2)))
    np.testing.assert_array_equal(lines.line_2, [1, 0])
    np.testing.assert_array_equal(lines.line_4, [1, 0])


def test_distances_of_two_coins():
    p, q = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    nats = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert contexts.kl_divergence(p, q) == pytest.approx(nats, rel=1e-12)
    assert contexts.total_variation(p, q) == 0.25
    sure = np.array([1.0, 0.0])
    assert contexts.kl_divergence(sure, q) == pytest.approx(math.log(4 / 3))
    assert contexts.kl_divergence(p, sure) == math.inf


def test_equals_share_the_argmax():
    q = np.array([[0.2, 0.8, 0.0], [0.4, 0.4, 0.2], [0.2, 0.8, 0.0]])
    agrees = contexts.argmax_agreement(q, np.array([1, 0, 0]))
    np.testing.assert_array_equal(agrees, [1, 0.5, 0])


def test_bayes_has_slope_1_and_offset_0():
    counts = [10, 50, 400]
    shares = [n / (n + 2500) for n in counts]
    fit = contexts.fit_prior(shares, counts, 2500)
    assert fit == pytest.approx((1, 0), abs=1e-12)
    # Odds that go with the root of the count, twice as large at 50 pairs:
    # ln(2 sqrt(n/50) 50/2500) - ln(n/2500) = ln 2 - ln(n/50)/2, whose mean is
    # ln 2 - ln(200000/50^3)/6.
    odds = [2 * math.sqrt(n / 50) * 50 / 2500 for n in counts]
    fit = contexts.fit_prior([o / (1 + o) for o in odds], counts, 2500)
    offset = math.log(2) - math.log(200_000 / 50**3) / 6
    assert fit == pytest.approx((0.5, offset), rel=1e-12)


@pytest.mark.parametrize(
    ("masses", "counts", "rival"),
    [
        ((0, 0.1), (1, 2), 5),
        ((0.2, 1), (1, 2), 5),
        ((0.2, 0.1), (0, 2), 5),
        ((0.2, 0.1), (2, 2), 5),
        ((0.2, 0.1), (1, 2), 0),
    ],
)
def test_rejects_what_has_no_logit(masses, counts, rival):
    with pytest.raises(ValueError, match="Received: masses="):
        contexts.fit_prior(masses, counts, rival)


def test_two_mappings_into_one_language_may_agree():
    # Both say the same word: nothing is wrong with the answer whichever it
    # was, and the mixture is certain of it.
    mappings = [WeightedMapping(w, 0, 1, (0, 2, 1)) for w in (3, 1)]
    words = pair_words((0, 1), mappings[0], 3)
    nats = contexts.context_log_likelihoods(
        np.array([words]), mappings, PACKING
    )
    posterior = contexts.context_posterior(nats, [3, 1])
    np.testing.assert_allclose(posterior[0], [[3 / 4, 1 / 4]] * 7, rtol=1e-12)
