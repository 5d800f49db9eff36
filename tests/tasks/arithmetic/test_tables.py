"""Tests for tiny_gpt/tasks/arithmetic/tables.py."""

import numpy as np
import pytest

from tiny_gpt.tasks.arithmetic.tables import (
    ARGUMENTS,
    derange,
    numbers_of,
    permute,
    relabel,
    sizes_of,
    tabulate,
    write_table,
)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("operation", "arguments", "answer"),
    [
        ("add", (3, 4), 2),
        ("subtract", (1, 3), 3),
        ("multiply", (3, 4), 2),
        ("divide", (3, 2), 4),  # 4 * 2 = 8 = 3 modulo 5
        ("sum_times", (1, 2, 3), 4),  # 9
        ("sum_times", (4, 1, 3), 0),
    ],
)
def test_answers_modulo_five_by_hand(operation, arguments, answer):
    rows, answers = tabulate(operation, 5)
    (found,) = answers[(rows == arguments).all(axis=1)]
    assert found == answer


@pytest.mark.parametrize("operation", ARGUMENTS)
@pytest.mark.parametrize("modulus", [5, 13])
def test_all_answers_are_equally_frequent(operation, modulus):
    rows, answers = tabulate(operation, modulus)
    assert len(np.unique(rows, axis=0)) == np.prod(sizes_of(operation, modulus))
    numbers, counts = np.unique(answers, return_counts=True)
    np.testing.assert_array_equal(numbers, numbers_of(operation, modulus))
    assert len(set(counts)) == 1


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
def test_a_relabelled_table_is_another_latin_square(operation):
    sizes, numbers = sizes_of(operation, 7), numbers_of(operation, 7)
    answers = tabulate(operation, 7)[1]
    found = relabel(answers, sizes, numbers, rng()).reshape(sizes)
    for lines in (found, found.T):
        for line in lines:
            np.testing.assert_array_equal(np.sort(line), numbers)
    assert (found != answers.reshape(sizes)).mean() > 0.5


def test_permutations_move_the_numbers_that_are_named():
    numbers = np.arange(1, 5)
    found = np.array([permute(numbers, rng(seed)) for seed in range(50)])
    assert (found[:, 0] == 0).all()
    np.testing.assert_array_equal(
        np.sort(found[:, 1:], axis=1), np.tile(numbers, (50, 1))
    )
    assert (found[:, 1:] == numbers).any()  # some stay by chance


def test_derangements_keep_no_number_and_are_equally_likely():
    # 1 2 3 4 has 9 derangements: 4! (1 - 1 + 1/2 - 1/6 + 1/24).
    numbers, source = np.arange(1, 5), rng()
    found = np.array([derange(numbers, source) for _ in range(1800)])
    assert not (found[:, 1:] == numbers).any()
    counts = np.unique(found, axis=0, return_counts=True)[1]
    assert len(counts) == 9
    # Binomial, 1800 of 1/9: 200 with a standard deviation of 13.3.
    assert abs(counts - 200).max() < 4.5 * 13.3


def test_a_row_by_hand():
    # Padding, 0 to 4, f, g, h, identity, =.
    table = write_table("h", np.array([[3, 0]]), np.array([4]), 5, np.array([]))
    np.testing.assert_array_equal(table.questions, [[8, 4, 1, 10]])
    np.testing.assert_array_equal(table.answers, [5])
