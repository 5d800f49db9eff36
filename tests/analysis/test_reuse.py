"""Tests for tiny_gpt/analysis/reuse.py."""

import itertools

import numpy as np
import pytest

from tiny_gpt.analysis.reuse import reuse_accuracy


@pytest.mark.parametrize(
    ("num_answers", "num_rows", "num_seen", "expected"),
    [
        (13, 169, 0, 1 / 13),  # nothing is known of g
        (2, 4, 1, 1.0),  # the other of two values follows
        # One row of 3 values, 3 rows each: of 8 unseen rows 2 have its value,
        # and 6 are guessed among two numbers.
        (3, 9, 1, (2 + 6 / 2) / 8),
        # The second row has the same value with probability 2 / 8: then 1 of
        # 7 is known, 6 are guessed among two. If not, all are known.
        (3, 9, 2, 2 / 8 * (1 + 6 / 2) / 7 + 6 / 8),
        (5, 25, 21, 1.0),  # 20 rows hold 4 values at most
        (5, 5, 2, 1 / 3),  # one row each: a guess among the numbers left
    ],
)
def test_values_by_hand(num_answers, num_rows, num_seen, expected):
    found = reuse_accuracy(num_answers, num_rows, num_seen)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("num_seen", range(1, 8))
def test_it_is_the_mean_over_all_rows_that_can_be_seen(num_seen):
    answers = np.arange(8) % 4
    accuracies = []
    for seen in itertools.combinations(range(8), num_seen):
        known = set(answers[list(seen)])
        unseen = np.delete(answers, seen)
        right = [1.0 if a in known else 1 / (4 - len(known)) for a in unseen]
        accuracies.append(np.mean(right))
    expected = np.mean(accuracies)
    assert reuse_accuracy(4, 8, num_seen) == pytest.approx(expected, rel=1e-12)


def test_more_rows_help_and_large_tables_do_not_round():
    for num_answers in (13, 113):
        num_rows = num_answers**2
        steps = range(0, num_rows, num_rows // 12)
        values = [reuse_accuracy(num_answers, num_rows, k) for k in steps]
        assert (np.diff(values) >= 0).all()
        assert values[0] == pytest.approx(1 / num_answers)
        assert values[-1] == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("sizes", [(3, 10, 1), (3, 9, 9), (3, 9, -1)])
def test_another_table_is_refused(sizes):
    with pytest.raises(ValueError, match="same number of rows"):
        reuse_accuracy(*sizes)
