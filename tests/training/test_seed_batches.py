"""Tests for tiny_gpt/training/seed_batches.py."""

import keras
import pytest

from tiny_gpt.training.seed_batches import (
    LARGEST_BESIDE_OTHERS,
    count_workers,
    seeds_that_fit,
    share_runs,
)

if keras.backend.backend() != "jax":
    pytest.skip("seed batches are for JAX", allow_module_level=True)


class Device:
    def __init__(self, platform):
        self.platform = platform

    def memory_stats(self):
        return {"bytes_limit": 1000}


def test_packs_fill_the_memory_of_a_device():
    # 80 % of 1000 bytes hold 8 runs of 100; a run that does not fit is tried.
    assert seeds_that_fit(100, 20, Device("gpu")) == 8  # so they are split
    assert seeds_that_fit(100, 5, Device("gpu")) == 5
    assert seeds_that_fit(2000, 5, Device("gpu")) == 1
    assert seeds_that_fit(100, 20, Device("cpu")) == 1
    assert count_workers(LARGEST_BESIDE_OTHERS + 1) == 1
    assert count_workers(LARGEST_BESIDE_OTHERS) >= 1


@pytest.mark.parametrize(
    ("count", "most", "num_devices", "sizes"),
    [
        (20, 20, 1, [20]),
        (20, 8, 1, [7, 7, 6]),
        (20, 20, 4, [5, 5, 5, 5]),
        (10, 20, 4, [3, 3, 2, 2]),
        (
            20,
            3,
            4,
            [3, 3, 3, 3, 2, 2, 2, 2],
        ),  # two seed batches for each device
        (3, 20, 4, [1, 1, 1]),
        (5, 1, 2, [1, 1, 1, 1, 1]),
    ],
)
def test_runs_are_shared_evenly(count, most, num_devices, sizes):
    assert share_runs(count, None, most, num_devices) == sizes
    assert sum(sizes) == count


def test_a_given_pack_size_is_kept():
    assert share_runs(7, 3, 20, 4) == [3, 3, 1]
    assert share_runs(6, 3, 1, 1) == [3, 3]
