"""Tests for tiny_gpt/analysis/events.py."""

import pytest

from tiny_gpt.analysis.events import LossDrop, find_loss_drops


def test_two_steps_are_two_drops():
    drops = find_loss_drops([2.0, 2.0, 1.0, 1.0, 0.5], 0.5, window=1)
    assert drops == [LossDrop(3, 1.0, 2.0, 1.0), LossDrop(5, 0.5, 1.0, 0.5)]


def test_a_slow_fall_is_one_drop_per_window():
    # Falls by 1 per epoch; over 2 epochs by 2. Epoch 3 counts, then 4 and 5
    # are too close, then 6.
    losses = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]
    assert [d.epoch for d in find_loss_drops(losses, 2.0, window=2)] == [3, 6]


@pytest.mark.parametrize(
    "losses", [[], [1.0], [1.0] * 20, [1.0, 1.5, 2.0], [1.0, 0.9, 0.8]]
)
def test_no_drop_where_nothing_falls_far_enough(losses):
    assert find_loss_drops(losses, min_drop=0.5, window=1) == []


def test_the_rule_looks_only_backwards():
    losses = [3.0, 2.0, 2.0, 1.0, 0.9, 0.1]
    whole = find_loss_drops(losses, 0.4, window=2)
    for end in range(len(losses)):
        part = find_loss_drops(losses[:end], 0.4, window=2)
        assert part == [d for d in whole if d.epoch <= end]


@pytest.mark.parametrize(
    ("min_drop", "window"), [(0.0, 1), (-1.0, 1), (0.1, 0)]
)
def test_a_rule_that_finds_everything_is_refused(min_drop, window):
    with pytest.raises(ValueError, match="Received"):
        find_loss_drops([1.0], min_drop, window)
