"""The cells of the triangle in the prompt differ in their task alone."""

import dataclasses

import pytest

from experiments.in_context_triangle import CONDITIONS, NUM_EPOCHS, STUDY

ALL = [(p, c) for p in STUDY.presets for c in STUDY.conditions]


@pytest.mark.parametrize(("preset", "condition"), ALL)
def test_cells_differ_in_where_bijections_are(preset, condition):
    built = STUDY.build(preset, condition)
    network, first, second = CONDITIONS[condition]
    base = STUDY.build(preset, f"{network}_fresh_fresh")
    task = dataclasses.replace(base.task, first=first, second=second)
    assert built == dataclasses.replace(base, condition=condition, task=task)
    assert built.train.num_epochs == NUM_EPOCHS[preset]


def test_there_are_four_cells_of_each_network():
    assert len(STUDY.conditions) == 2 * 4


def test_sizes_are_the_gpts_within_two_percent():
    gpt, gru = (
        STUDY.build("quick", f"{name}_fresh_fresh").model.build()
        for name in ("gpt", "gru")
    )
    assert gru.count_params() == pytest.approx(gpt.count_params(), rel=0.02)
