"""Tests for tiny_gpt/analysis/baseline.py."""

import itertools
import math

import numpy as np
import pytest

from tiny_gpt.analysis.baseline import (
    bayes_answer,
    memorisation_accuracy,
    memorisation_tail,
    memorisation_tail_bound,
    printed_baseline,
    sentence_score_distribution,
    sentences_for_bound,
)


def test_tail_bound_reproduces_the_papers_percentage():
    # 2 exp(-2 * 5 * (0.6 - 50/1680)^2) = 0.07742; sec. 3.1.3 prints 7.74%.
    bound = memorisation_tail_bound(0.6, 50 / 1680, num_test=5)
    assert bound == pytest.approx(0.0774, abs=5e-5)  # half the last digit


def test_guessing_raises_the_baseline():
    # Half recalled, half guessed among 8 symbols: 1/2 + 1/2 * 1/8 = 9/16.
    assert memorisation_accuracy(coverage=0.5, chance=1 / 8) == 9 / 16


def test_guessing_weakens_the_papers_evidence():
    # 50/1680 + (1 - 50/1680)/8 = 0.151 and a bound of 26.6 %.
    baseline = memorisation_accuracy(50 / 1680, 1 / 8)
    assert baseline == pytest.approx(0.151, abs=5e-4)
    bound = memorisation_tail_bound(0.6, baseline, num_test=5)
    assert bound == pytest.approx(0.266, abs=5e-4)


@pytest.mark.parametrize("accuracy", [0.0, 0.25])
def test_no_evidence_at_or_below_the_baseline(accuracy):
    assert memorisation_tail_bound(accuracy, 0.25, num_test=100) == 1.0


def test_rejects_an_empty_test_set():
    with pytest.raises(ValueError, match="num_test=0"):
        memorisation_tail_bound(0.6, 0.1, num_test=0)


@pytest.mark.parametrize("fraction", [-0.1, 1.49])
def test_rejects_what_is_no_fraction(fraction):
    # x/|N| as in prop. 4 is 1.49 for 2500 of 1680.
    with pytest.raises(ValueError, match=f"coverage={fraction}"):
        memorisation_accuracy(fraction)


def test_the_printed_baseline_exceeds_one_for_the_majority():
    assert printed_baseline(50, 1680) == 50 / 1680
    assert printed_baseline(2500, 1680) == pytest.approx(1.49, abs=5e-3)


@pytest.mark.parametrize(("num_pairs", "num_sentences"), [(-1, 5), (5, 0)])
def test_rejects_a_printed_baseline_of_nothing(num_pairs, num_sentences):
    with pytest.raises(ValueError, match="Received: num_pairs"):
        printed_baseline(num_pairs, num_sentences)


def test_scores_of_one_sentence():
    # Half recalled; else two words, each right with 1/4: 9/16, 6/16, 1/16.
    scores = sentence_score_distribution(0.5, 0.25, num_words=2)
    assert scores.tolist() == [9 / 32, 6 / 32, 1 / 32 + 1 / 2]


@pytest.mark.parametrize("num_words", [1, 4, 7])
def test_scores_have_the_memorisers_accuracy(num_words):
    scores = sentence_score_distribution(0.3, 1 / 8, num_words)
    assert scores.sum() == pytest.approx(1.0, rel=1e-12)
    mean = scores @ np.arange(num_words + 1) / num_words
    expected = memorisation_accuracy(0.3, 1 / 8)
    assert mean == pytest.approx(expected, rel=1e-12)


def test_the_tail_without_guesses_is_binomial():
    # 0.6 of 5 sentences is 3 recalled ones: 10 p^3 q^2 + 5 p^4 q + p^5.
    p, q = 50 / 1680, 1 - 50 / 1680
    expected = 10 * p**3 * q**2 + 5 * p**4 * q + p**5
    tail = memorisation_tail(0.6, p, 0.0, num_words=4, num_test=5)
    assert tail == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("right_words", range(21))
def test_the_tail_of_guesses_counts_the_accuracy_itself(right_words):
    # Nothing recalled: 20 words, each right with 1/8. float32 rounds some
    # accuracies up, 0.6 to 0.60000002.
    expected = (
        sum(math.comb(20, m) * 7 ** (20 - m) for m in range(right_words, 21))
        / 8**20
    )
    for accuracy in (right_words / 20, float(np.float32(right_words / 20))):
        tail = memorisation_tail(accuracy, 0.0, 1 / 8, 4, num_test=5)
        assert tail == pytest.approx(expected, rel=1e-12)


def test_the_tail_of_one_sentence():
    # One sentence of 4 words, half recalled, guesses at 1/2: 4 right with
    # 1/2 + 1/32, 3 or more with another 4/32, any with 1.
    for accuracy, expected in ((1.0, 17 / 32), (0.75, 21 / 32), (0.0, 1.0)):
        assert memorisation_tail(accuracy, 0.5, 0.5, 4, 1) == expected


def test_words_of_a_recalled_sentence_are_right_together():
    # Two sentences of two words, nothing guessed: half of the words are right
    # unless neither is recalled, 1 - (1/2)^2; of four independent words it
    # would be 11/16.
    assert memorisation_tail(0.5, 0.5, 0.0, num_words=2, num_test=2) == 3 / 4


@pytest.mark.parametrize("num_test", [1, 5, 40])
def test_hoeffding_bounds_the_tail(num_test):
    grid = itertools.product(
        np.linspace(0, 1, 21), [0.0, 50 / 1680, 0.5], [0.0, 1 / 8]
    )
    for accuracy, coverage, chance in grid:
        tail = memorisation_tail(accuracy, coverage, chance, 4, num_test)
        baseline = memorisation_accuracy(coverage, chance)
        bound = memorisation_tail_bound(accuracy, baseline, num_test)
        # One-sided, Hoeffding needs no factor 2.
        assert tail <= (bound if bound == 1.0 else bound / 2)


@pytest.mark.parametrize(("num_words", "num_test"), [(0, 5), (4, 0)])
def test_rejects_a_tail_of_nothing(num_words, num_test):
    with pytest.raises(ValueError, match=r"Received: num_\w+=0"):
        memorisation_tail(0.5, 0.1, 0.1, num_words, num_test)


def test_rejects_a_tail_at_what_is_no_accuracy():
    with pytest.raises(ValueError, match=r"accuracy=1.1"):
        memorisation_tail(1.1, 0.1, 0.1, 4, 5)


def test_bayes_answers_a_bare_question_by_the_mixture():
    # After an A sentence: B with 2500/2550, C with 50/2550; after a B
    # sentence only C is possible.
    mixture = {"A->B": 2500, "B->C": 2500, "A->C": 50}
    assert bayes_answer(mixture, "A->B") == (2500 / 2550, 1.0)
    assert bayes_answer(mixture, "A->C") == (50 / 2550, 0.0)
    assert bayes_answer(mixture, "B->C") == (1.0, 1.0)


def test_bayes_answers_with_one_of_the_tied():
    mixture = {"A->B": 2, "A->C": 2, "A->D": 1, "B->D": 2}
    assert bayes_answer(mixture, "A->C") == (2 / 5, 1 / 2)
    assert bayes_answer(mixture, "A->D") == (1 / 5, 0.0)


@pytest.mark.parametrize(
    "mixture", [{"A->B": 5, "A->C": 0}, {"A->B": 5}, {"B->C": 5}, {}]
)
def test_bayes_never_answers_with_a_mapping_that_has_no_pairs(mixture):
    assert bayes_answer(mixture, "A->C") == (0.0, 0.0)


@pytest.mark.parametrize(
    ("mixture", "asked"),
    [({"A->B": -1}, "A->B"), ({"AB": 1}, "A->B"), ({"A->B": 1}, "A->")],
)
def test_bayes_rejects_what_is_no_mixture(mixture, asked):
    with pytest.raises(ValueError, match="Received"):
        bayes_answer(mixture, asked)


def test_sentences_for_a_bound_are_the_fewest():
    for accuracy, baseline, p in ((0.6, 0.03, 0.05), (0.9, 0.15, 0.01)):
        n = sentences_for_bound(accuracy, baseline, p)
        assert memorisation_tail_bound(accuracy, baseline, n) <= p
        assert memorisation_tail_bound(accuracy, baseline, n - 1) > p
    with pytest.raises(ValueError, match="must exceed `baseline`"):
        sentences_for_bound(0.1, 0.1, 0.05)
