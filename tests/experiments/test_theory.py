"""Tests for experiments/theory.py: what its conditions say."""

import dataclasses

import numpy as np
import pytest

from experiments import controls, theory
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.training.run_setup import draw_phases


def build(condition):
    return theory.STUDY.build("quick", condition)


@pytest.mark.parametrize("count", theory.COUNTS)
def test_counts_are_pairs_beside_the_majority(count):
    mixture = build(f"count_{count}").task.mixture
    shown = {c.mapping: c.num_shown for c in mixture.components}
    assert {m: n for m, n in shown.items() if n} == {
        "A->B": 2500,
        "B->C": 2500,
        **({"A->C": count} if count else {}),
    }


def test_50_pairs_are_the_run_of_the_controls():
    ours, control = (
        build("count_50"),
        controls.build_experiment("quick", "sparse_a_to_c"),
    )
    assert ours.task.mixture == control.task.mixture
    assert ours.model == control.model
    assert ours.train == control.train


@pytest.mark.parametrize("count", theory.COUNTS[1:])
def test_balanced_mappings_have_equal_shares(count):
    experiment = build(f"balanced_{count}")
    sparse = experiment.task.mixture.component("A->C")
    assert sparse.num_pairs == count
    assert sparse.num_shown == pytest.approx(2500, rel=0.05)
    base = build("count_50")
    updates = [
        updates_per_epoch(e) * e.train.num_epochs for e in (experiment, base)
    ]
    assert updates[0] == pytest.approx(updates[1], rel=0.03)


@pytest.mark.parametrize("count", theory.ALONE)
def test_alone_there_are_as_many_tokens(count):
    experiment = build(f"alone_{count}")
    shown = {c.mapping: c.num_shown for c in experiment.task.mixture.components}
    assert shown["A->C"] == experiment.task.mixture.num_shown
    assert shown["A->C"] == pytest.approx(5050, rel=0.06)


def test_one_seed_has_the_same_words_and_pairs_everywhere():
    streams = {
        name: draw_phases(build(name), 3)[-1].stream
        for name in ("count_50", "balanced_50", "alone_100", "long_window")
    }
    first = streams["count_50"]
    for stream in streams.values():
        assert stream.languages == first.languages
    pairs = first.sentences["A->C"]
    assert len(pairs) == 50
    np.testing.assert_array_equal(
        streams["balanced_50"].sentences["A->C"][:50], pairs
    )
    np.testing.assert_array_equal(
        streams["long_window"].sentences["A->C"], pairs
    )


def test_only_what_is_said_differs():
    base = build("count_50")
    for name in theory.STUDY.conditions:
        experiment = build(name)
        assert theory.STUDY.conditions[name]
        model = dataclasses.replace(experiment.model, sequence_length=30)
        assert model == base.model
        assert experiment.task.mixture.given == base.task.mixture.given
        assert "A->C" in experiment.task.eval_mappings
    assert build("long_window").model.sequence_length == 40
    assert build("long_window").train == base.train


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="condition"):
        build("count_51")
    with pytest.raises(ValueError, match="preset"):
        theory.STUDY.build("paper", "count_50")
