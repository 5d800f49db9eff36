"""Seed batches: how many runs share a batch, and how many run at once."""

import math
from dataclasses import dataclass
from typing import Any

from tiny_gpt.runtime.backend import form
from tiny_gpt.runtime.environment import count_cores, memory_of

# A program with larger buffers keeps all cores busy by itself.
LARGEST_BESIDE_OTHERS = 512 * 2**20


@dataclass(frozen=True)
class SeedBatches:
    """The division of runs into seed batches.

    Attributes:
        num_workers: seed batches trained at once.
        sizes: runs in each seed batch, that is in one batch of a program.
        is_split: whether seed batches are smaller than they could be, because
            the device's memory holds no more.
        num_devices: devices that train them.
        is_divided: whether all devices train one seed batch at a time and
            divide its batches among them; otherwise seed batches are dealt.
    """

    num_workers: int
    sizes: tuple[int, ...]
    is_split: bool
    num_devices: int = 1
    is_divided: bool = False


def share_runs(
    count: int, seeds_per_batch: int | None, most: int, num_devices: int
) -> list[int]:
    """Returns sizes of seed batches that share runs evenly over devices.

    Args:
        count: runs.
        seeds_per_batch: runs in a seed batch, if that is given.
        most: runs that a device holds at once.
        num_devices: devices.

    Returns:
        Sizes that differ by 1 at most. Each device has as many seed batches as
        its memory makes necessary. If `seeds_per_batch` is given, all have this
        size, and the last one has the rest.
    """
    if seeds_per_batch is not None:
        rest = [count % seeds_per_batch] if count % seeds_per_batch else []
        return [seeds_per_batch] * (count // seeds_per_batch) + rest
    rounds = math.ceil(count / (most * num_devices))
    num_packs = min(count, rounds * num_devices)
    size, larger = divmod(count, num_packs)
    return [size + 1] * larger + [size] * (num_packs - larger)


def seeds_that_fit(num_bytes: int, count: int, device: Any) -> int:
    """Returns how many runs fit in one batch of a program on a device."""
    if form(device.platform).has_thread_per_run:
        return 1
    free = memory_of(device) or math.inf
    return int(max(1, min(count, 0.8 * free // max(num_bytes, 1))))


def count_workers(num_bytes: int) -> int:
    """Returns how many programs run at once on one device."""
    if not form().has_thread_per_run or num_bytes > LARGEST_BESIDE_OTHERS:
        return 1
    return count_cores()
