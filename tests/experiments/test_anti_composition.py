"""Conditions of anti-composition differ from the base as they say."""

import dataclasses

import pytest

from experiments import anti_composition, controls
from tiny_gpt.commands.study import load_study
from tiny_gpt.experiment import updates_per_epoch

STUDY = anti_composition.STUDY
BASE = STUDY.build("quick", anti_composition.BASE)


@pytest.mark.parametrize("condition", STUDY.conditions)
def test_every_condition_builds(condition):
    experiment = load_study("anti_composition").build("quick", condition)
    reads_a_to_c = "A->C" in experiment.task.read_mappings
    assert reads_a_to_c == ("a_to_c" in condition)
    assert min(anti_composition.seeds_of(condition)) == 1000
    # About as many updates as the base, but where epochs are the question.
    if not condition.startswith("epochs"):
        updates = updates_per_epoch(experiment) * experiment.train.num_epochs
        of_base = updates_per_epoch(BASE) * BASE.train.num_epochs
        # Tags and space marks make a text longer, C->D by half.
        assert 0.95 < updates / of_base < 1.6


def test_the_base_is_the_triangle_without_a_to_c_in_the_words_of_controls():
    control = controls.build_experiment("quick", "sparse_a_to_c")
    assert BASE.model == control.model
    assert BASE.train == control.train
    assert BASE.task.mixture.given == control.task.mixture.given
    counts = {c.mapping: c.num_pairs for c in BASE.task.mixture.components}
    assert {m: n for m, n in counts.items() if n} == {
        "A->B": 2500,
        "B->C": 2500,
    }


def test_few_pairs_are_those_of_the_controls():
    for n in anti_composition.SPARSE:
        for kind in ("sparse", "scrambled"):
            name = f"{kind}_a_to_c_{n}"
            control = controls.build_experiment("quick", name)
            experiment = STUDY.build("quick", name)
            assert experiment.task.mixture == control.task.mixture
            assert experiment.model == control.model
            assert experiment.train == control.train


def test_frozen_layers_are_the_only_change():
    frozen = STUDY.build("quick", "frozen_ends").model
    assert frozen.frozen == ("embedding", "head")
    fields = dataclasses.asdict(frozen)
    del fields["frozen"]
    assert fields == dataclasses.asdict(BASE.model)
