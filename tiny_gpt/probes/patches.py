"""Patches: replacements of parts of a computation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiny_gpt.runtime.checks import check_choice


@dataclass(frozen=True)
class Patch:
    """Replaces the residual stream at one point.

    Activation patching (Vig et al. 2020; Meng et al. 2022) takes the values
    from a reading of other tokens.

    Attributes:
        point: name of the point.
        values: replacement; must broadcast to (B, T, D).
        positions: shape (n,) for all sentences or (B, n) for each; None for
            every position.
    """

    point: str
    values: Any
    positions: Any = None


@dataclass(frozen=True)
class HeadPatch:
    """Replaces the weighted sum of values of one head, before its projection.

    Attributes:
        block: number of the block, from 0.
        head: number of the head, from 0.
        values: replacement; must broadcast to (B, T, K), e.g.
            `reading.head_values[block][:, head]` of other tokens.
        positions: as in `Patch`.
    """

    block: int
    head: int
    values: Any
    positions: Any = None


class Replacements:
    """Patches as arrays of fixed shapes, so that one program serves all.

    Args:
        patches: the patches; if two replace the same place, the later wins.
        points: names of the points, P of them.
        shape: numbers of blocks, sentences, heads, positions and values of a
            head, (L, B, H, T, K).
        dtype: of the values.

    Attributes:
        arrays: a mask of the residual stream, booleans of shape (P, B, T),
            and its replacement, (P, B, T, D); a mask of the heads,
            (L, B, H, T), and their replacement, (L, B, H, T, K).

    Raises:
        ValueError: if a patch names a point or head that does not exist, or
            its values have another shape.
    """

    def __init__(
        self,
        patches: Sequence[Patch | HeadPatch],
        points: tuple[str, ...],
        shape: tuple[int, int, int, int, int],
        dtype: str,
    ):
        _, batch, num_heads, length, width = shape
        places = len(points), batch, length
        self.arrays = (
            np.zeros(places, bool),
            np.zeros((*places, num_heads * width), dtype),
            np.zeros(shape[:-1], bool),
            np.zeros(shape, dtype),
        )
        self._points = points
        for patch in patches:
            self._add(patch)

    def _add(self, patch):
        is_new, values, is_new_head, head_values = self.arrays
        if isinstance(patch, Patch):
            index = index_of(patch.point, self._points)
            is_here, here = is_new[index], values[index]
        else:
            check_number("block", patch.block, is_new_head.shape[0])
            check_number("head", patch.head, is_new_head.shape[2])
            is_here = is_new_head[patch.block, :, patch.head]
            here = head_values[patch.block, :, patch.head]
        given = np.asarray(patch.values)
        try:
            new = np.broadcast_to(given, here.shape)
        except ValueError:
            raise ValueError(
                f"The values of a patch must broadcast to {here.shape}. "
                f"Received: shape={given.shape}"
            ) from None
        where = _is_at(patch.positions, *is_here.shape)
        is_here[where] = True
        here[where] = new[where]


def _is_at(positions, batch, length):
    """Tells which of (B, T) places are at some positions."""
    if positions is None:
        return np.ones((batch, length), bool)
    rows = rows_of_positions("positions", positions, batch, length)
    where = np.zeros((batch, length), bool)
    np.put_along_axis(where, rows, True, axis=1)
    return where


def rows_of_positions(
    name: str, positions: Any, batch: int, length: int
) -> np.ndarray:
    """Returns positions of every sentence, shape (B, n).

    Args:
        name: their name in an error.
        positions: integers of shape (), (n,) or (B, n).
        batch: sentences, B.
        length: positions in each, T.

    Raises:
        ValueError: if they are not integers in [0, T), or of another shape.
    """
    rows = np.asarray(positions)
    is_integer = np.issubdtype(rows.dtype, np.integer) and rows.size > 0
    if not is_integer or rows.ndim > 2:
        raise ValueError(
            f"`{name}` are integers of shape (n,) or (B, n). "
            f"Received: {name}={positions!r}"
        )
    if rows.min() < 0 or rows.max() >= length:
        raise ValueError(
            f"`{name}` must lie in [0, {length}). "
            f"Received: {name}={positions!r}"
        )
    if rows.ndim == 2 and len(rows) != batch:
        raise ValueError(
            f"`{name}` need one row for each of {batch} sentences. "
            f"Received: shape={rows.shape}"
        )
    rows = np.atleast_1d(rows)
    return np.broadcast_to(rows, (batch, rows.shape[-1]))


def index_of(point: str, points: tuple[str, ...]) -> int:
    """Returns the place of a point among all.

    Raises:
        ValueError: if there is no such point.
    """
    check_choice("point", point, points)
    return points.index(point)


def check_number(name: str, number: int, count: int) -> None:
    """Raises a ValueError if `number` is not one of 0, 1, ..., count - 1."""
    if not 0 <= number < count:
        raise ValueError(
            f"`{name}` must lie in [0, {count}). Received: {name}={number}"
        )
