"""Re-use: the best guess of who knows f, but not what follows it."""

from math import comb

from tiny_gpt.runtime.checks import check_whole


def reuse_accuracy(num_answers: int, num_rows: int, num_seen: int) -> float:
    """Returns the accuracy of the re-use Bayes predictor on unseen rows.

    A table h = g(f) has one row for each argument of f. f takes m values,
    each in c = n / m of the n rows. The predictor knows f, and that g is one
    of the m! permutations, all equally likely; k rows, drawn without
    replacement, show it g on the D values that occur among them. It knows the
    answer of an unseen row of these values, and guesses among the m - D
    numbers left over for any other. In all rows of the values that do not
    occur, m - D times c, it is right c times on average, unless D = m. Its
    expected accuracy is therefore exactly

        1 - c (E[m - D] - P(D < m)) / (n - k).

    Args:
        num_answers: values of f, m.
        num_rows: rows of the table, n, a multiple of m.
        num_seen: rows shown, k, below n.

    Raises:
        ValueError: if a number is out of range.
    """
    check_whole("num_answers", num_answers, 1)
    if num_rows % num_answers or not 0 <= num_seen < num_rows:
        raise ValueError(
            "A table has the same number of rows for each answer, one of them "
            f"unseen. Received: num_answers={num_answers}, "
            f"num_rows={num_rows}, num_seen={num_seen}"
        )
    each, num_ways = num_rows // num_answers, comb(num_rows, num_seen)
    left_over = num_answers * comb(num_rows - each, num_seen) / num_ways
    # By inclusion and exclusion, in whole numbers, which do not round.
    some_missing = -sum(
        (-1) ** j * comb(num_answers, j) * comb(num_rows - j * each, num_seen)
        for j in range(1, num_answers + 1)
    )
    wrong = each * (left_over - some_missing / num_ways)
    return 1 - wrong / (num_rows - num_seen)
