"""Tests for tiny_gpt/analysis/baseline.py."""

import pytest

from tiny_gpt.analysis.baseline import (
    memorisation_accuracy,
    memorisation_tail_bound,
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
