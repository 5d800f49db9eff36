"""Evaluation sets of every kind that `fit` takes."""

import inspect
import itertools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

BATCH_SIZE = 32  # as in `keras.Model.evaluate`


def check_set(name: str, data: Any, steps: int | None, is_fresh: bool) -> None:
    """Makes sure that a set can be read, once for every evaluation.

    Args:
        name: its name, for the message.
        data: the set, see `TaskAccuracy`.
        steps: batches that are read of it; None for all.
        is_fresh: whether it is read once and made anew for the next time.

    Raises:
        ValueError: if it cannot.
    """
    if are_arrays(data):
        rows = {len(x) for x in _arrays(data)}
        if len(rows) != 1:
            raise ValueError(
                f"The arrays of a set have one row for each example. "
                f"Received: set {name!r} with {sorted(rows)} rows"
            )
        if rows == {0}:
            raise ValueError(
                f"A set has at least one row. Received: set {name!r} with none"
            )
        return
    are_bare = isinstance(data, (tuple, list, dict)) or hasattr(data, "shape")
    if are_bare or not is_iterable(data):
        raise ValueError(
            "A set is (inputs, right answers), also with sample weights as a "
            "third; a dataset or loader; a function that yields batches; or a "
            f"function of the model. Received: set {name!r} of type "
            f"{type(data).__name__}"
            + (f" with {len(data)} items" if hasattr(data, "__len__") else "")
        )
    if not is_fresh and inspect.isgenerator(data):
        raise ValueError(
            "A generator can be read only once. Give the function that makes "
            f"it, without calling it. Received: set {name!r}"
        )
    if inspect.isgenerator(data) and keras.backend.backend() == "tensorflow":
        raise ValueError(
            "On TensorFlow a set is counted before it is read. Give the "
            "function that makes the generator, without calling it. "
            f"Received: set {name!r}"
        )
    if steps is None and _is_endless(data):
        raise ValueError(
            "Of a set without an end, `steps` says how many batches are read. "
            f"Received: set {name!r} without an end, steps=None"
        )


def are_arrays(data: Any) -> bool:
    """Tells whether a set is (inputs, answers) or (inputs, answers, weights).

    Inputs and answers may be dictionaries or lists of arrays.
    """
    return (
        isinstance(data, (tuple, list))
        and len(data) in (2, 3)
        and bool(_arrays(data))
        and len(_arrays(data)) == sum(x is not None for x in _leaves(data))
    )


def are_shaped(x: Any) -> bool:
    """Tells whether inputs are arrays."""
    leaves = _leaves((x,))
    return all(hasattr(a, "shape") and hasattr(a, "dtype") for a in leaves)


def describe(data: Any) -> str:
    """Returns a set in words: shapes and types of arrays, or its type."""
    if not are_arrays(data):
        return f"of type {type(data).__name__}"
    shapes = keras.tree.map_structure(
        lambda x: f"{tuple(x.shape)} {x.dtype}", tuple(data)
    )
    return f"arrays {shapes}"


def _leaves(data: Any) -> list[Any]:
    return keras.tree.flatten(tuple(data))


def _arrays(data: Any) -> list[Any]:
    return [x for x in _leaves(data) if len(getattr(x, "shape", ())) > 0]


def is_iterable(data: Any) -> bool:
    """Tells whether something yields batches, so that it is no function."""
    return (
        isinstance(data, keras.utils.PyDataset)
        or inspect.isgeneratorfunction(data)
        or hasattr(data, "__iter__")
    )


def _is_endless(data: Any) -> bool:
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches is None
    cardinality = getattr(data, "cardinality", None)  # of tf.data
    return callable(cardinality) and int(cardinality()) == -1


def of_evaluate(
    data: Any, batch_size: int | None, steps: int | None, in_pieces: bool
) -> dict[str, Any]:
    """Returns the arguments with which `keras.Model.evaluate` reads a set.

    Args:
        data: the set.
        batch_size: rows per batch of arrays.
        steps: batches that are read; None for all.
        in_pieces: whether arrays are read in batches of few sizes, so that
            sets of other sizes are not compiled anew.
    """
    size = batch_size or BATCH_SIZE
    if are_arrays(data) and in_pieces and len(data) == 2:
        data = Pieces(data, size)
    steps = _num_steps(data, size, steps)
    if not are_arrays(data):
        return {"x": _opened(data), "steps": steps}
    names = ("x", "y", "sample_weight")
    return {
        **dict(zip(names, data, strict=False)),
        "batch_size": size,
        "steps": steps,
    }


def _num_steps(data: Any, size: int, steps: int | None) -> int | None:
    """Returns the batches to read: never more than there are.

    On TensorFlow, sets of unknown length are counted. Without the right
    number, Keras there divides the losses of several outputs by one batch too
    many (3.15).
    """
    cardinality = getattr(data, "cardinality", None)  # of tf.data
    length: int | None
    if are_arrays(data):
        length = -(-len(_arrays(data)[0]) // size)
    elif isinstance(data, keras.utils.PyDataset):
        length = data.num_batches
    elif callable(cardinality):
        length = int(cardinality())
    else:
        length = len(data) if hasattr(data, "__len__") else None
    if length is None or length < 0:  # endless, or unknown
        if keras.backend.backend() != "tensorflow":
            return steps
        return sum(1 for _ in itertools.islice(_opened(data), steps))
    return None if steps is None else min(steps, length)


def _opened(data: Any) -> Any:
    return data() if inspect.isgeneratorfunction(data) else data


def first_batch(data: Any, batch_size: int | None) -> dict[str, Any]:
    """Returns the arguments of `evaluate` for the first batch of a set."""
    if are_arrays(data):
        size = batch_size or BATCH_SIZE
        rows = keras.tree.map_structure(lambda x: x[:size], tuple(data))
        return of_evaluate(rows, size, None, False)
    return of_evaluate(data, batch_size, 1, False)


def batches(
    data: Any, batch_size: int | None, steps: int | None
) -> Iterator[tuple[Any, Any]]:
    """Yields inputs and right answers of a set, as NumPy arrays.

    Args:
        data: the set.
        batch_size: rows per batch of arrays; None for all in one.
        steps: batches that are read; None for all.
    """
    if are_arrays(data):
        x, y = data[:2]
        size = batch_size or len(_arrays(data)[0])
        starts = range(0, len(_arrays(data)[0]), size)
        read: Any = (
            keras.tree.map_structure(lambda a, i=i: a[i : i + size], (x, y))
            for i in starts
        )
    elif isinstance(data, keras.utils.PyDataset):
        count = data.num_batches if steps is None else steps
        read = (data[i] for i in range(count))
    else:
        read = _opened(data)
    for batch in itertools.islice(read, steps):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        yield keras.tree.map_structure(np.asarray, (x, y))


class Pieces(keras.utils.PyDataset):
    """Arrays in batches of three sizes: n, the root of n, and 1.

    So a model is compiled for few sizes, whatever the number of rows.

    Args:
        arrays: inputs and answers.
        batch_size: rows of a whole batch.
    """

    def __init__(self, arrays: Any, batch_size: int):
        super().__init__()
        self._data = tuple(arrays)
        left = len(_arrays(arrays)[0])
        sizes: list[int] = []
        for size in (batch_size, math.isqrt(batch_size), 1):
            sizes += [size] * (left // size)
            left %= size
        self._ends = np.cumsum([0, *sizes])

    def __len__(self):
        return len(self._ends) - 1

    def __getitem__(self, index):
        rows = slice(self._ends[index], self._ends[index + 1])
        return keras.tree.map_structure(lambda x: x[rows], self._data)
