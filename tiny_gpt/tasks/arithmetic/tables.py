"""Tables of operations modulo p, and how they are written and changed."""

import math
from dataclasses import dataclass

import numpy as np

# Least value of each argument. No operation has an answer that is more
# frequent than another: what could multiply by 0 starts at 1.
ARGUMENTS = {
    "add": (0, 0),
    "subtract": (0, 0),
    "multiply": (1, 1),
    "divide": (1, 1),
    "sum_times": (0, 0, 1),
}
SIGNS = ("f", "g", "h", "identity", "=")


@dataclass(frozen=True)
class Table:
    """A mapping: all its questions, their answers, and what is read.

    Attributes:
        questions: token ids, shape (n, P).
        answers: token ids, shape (n,).
        read: rows in the windows of an epoch, shape (N,), with repeats.
    """

    questions: np.ndarray
    answers: np.ndarray
    read: np.ndarray


def sizes_of(operation: str, modulus: int) -> tuple[int, ...]:
    """Returns the number of values of each argument."""
    return tuple(modulus - least for least in ARGUMENTS[operation])


def numbers_of(operation: str, modulus: int) -> np.ndarray:
    """Returns all answers in ascending order, shape (m,)."""
    return np.arange(min(ARGUMENTS[operation][:2]), modulus)


def tabulate(operation: str, modulus: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns all arguments of an operation, and its answers.

    Args:
        operation: one of `ARGUMENTS`.
        modulus: p, a prime.

    Returns:
        Arguments, shape (n, 2) or (n, 3), the last one running fastest, and
        answers, shape (n,).
    """
    ranges = [np.arange(least, modulus) for least in ARGUMENTS[operation]]
    grids = np.meshgrid(*ranges, indexing="ij")
    x, y, *others = (grid.ravel() for grid in grids)
    if operation == "divide":
        inverse = [0, *(pow(n, -1, modulus) for n in range(1, modulus))]
        answers = x * np.array(inverse)[y]
    elif operation == "multiply":
        answers = x * y
    elif operation == "subtract":
        answers = x - y
    else:
        answers = math.prod(others, start=x + y)
    return np.stack([x, y, *others], axis=1), answers % modulus


def permute(numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a permutation.

    Args:
        numbers: those that are permuted, ascending.
        rng: source of randomness.

    Returns:
        Image of each number from 0 on; those not permuted stay.
    """
    values = np.arange(numbers[-1] + 1)
    values[numbers] = rng.permutation(numbers)
    return values


def derange(numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a permutation that keeps no number, all equally likely."""
    values = permute(numbers, rng)
    while (values[numbers] == numbers).any():  # nearly 2 in 3 keep one
        values = permute(numbers, rng)
    return values


def relabel(
    answers: np.ndarray,
    sizes: tuple[int, ...],
    numbers: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Permutes the values of each argument of a table, and its answers.

    A Latin square stays one.

    Args:
        answers: as from `tabulate`, shape (n,).
        sizes: number of values of each argument.
        numbers: all answers, ascending.
        rng: source of randomness.
    """
    grid = answers.reshape(sizes)
    grid = grid[np.ix_(*(rng.permutation(size) for size in sizes))]
    return permute(numbers, rng)[grid].ravel()


def write_table(
    sign: str,
    arguments: np.ndarray,
    answers: np.ndarray,
    modulus: int,
    read: np.ndarray,
) -> Table:
    """Writes a table as token ids: number i is 1 + i, then come the signs.

    Args:
        sign: of the mapping, one of `SIGNS`.
        arguments: numbers, shape (n, a).
        answers: numbers, shape (n,).
        modulus: p.
        read: see `Table`.

    Returns:
        Questions `sign x y =` and their answers.
    """
    first, last = (modulus + SIGNS.index(name) for name in (sign, "="))
    edges = [np.full((len(answers), 1), name) for name in (first, last)]
    rows = 1 + np.concatenate([edges[0], arguments, edges[1]], axis=1)
    return Table(rows.astype("int32"), (1 + answers).astype("int32"), read)
