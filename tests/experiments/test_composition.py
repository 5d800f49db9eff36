"""Conditions of composition differ from the base as they say."""

import numpy as np
import pytest

from experiments import composition, composition_variations, controls
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.tasks.translation.stream import build_stream

STUDIES = (composition.STUDY, composition_variations.STUDY)


def updates(experiment):
    return updates_per_epoch(experiment) * experiment.train.num_epochs


@pytest.mark.parametrize(
    ("study", "condition"),
    [(study, name) for study in STUDIES for name in study.conditions],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_condition_builds_with_equal_updates(study, condition):
    experiment = study.build("quick", condition)
    mixture = experiment.task.mixture
    if condition == "long_decay":
        assert updates(experiment) >= 20000
    else:
        assert updates(experiment) == pytest.approx(390, rel=0.05)
    # What is read, and both steps, are asked.
    asked = set(experiment.task.eval_mappings)
    assert asked == {*experiment.task.read_mappings, "A->B", "B->C", "A->C"}
    # Steps are read as one chain, or asked as two questions.
    assert (composition.CHAIN in asked) != bool(experiment.task.pivots)
    held_out = {
        c.mapping for c in mixture.components if c.num_held_out and c.num_pairs
    }
    assert held_out <= {"A->C", composition.CHAIN}  # in no other mapping


def test_the_base_is_the_triangle_of_the_controls():
    base = composition.STUDY.build("quick", "held_out_2_none")
    control = controls.build_experiment("quick", "held_out_2")
    assert base.model == control.model
    assert base.train == control.train
    numbers = [
        {c.mapping: c for c in e.task.mixture.components if c.num_pairs}
        for e in (base, control)
    ]
    assert numbers[0] == numbers[1]


def read(condition):
    mixture = composition.STUDY.build("quick", condition).task.mixture
    return build_stream(mixture, "words", 30, np.random.default_rng(0))


@pytest.mark.parametrize("condition", list(composition.CHANGES)[1:])
def test_one_seed_gives_the_same_words_and_sentences(condition):
    base, other = read("held_out_2_none"), read(condition)
    assert base.languages == other.languages
    for label in ("A->B", "B->C"):
        if len(other.sentences[label]):
            np.testing.assert_array_equal(
                base.sentences[label], other.sentences[label]
            )
    if composition.CHANGES[condition].held_out == 2:
        np.testing.assert_array_equal(
            base.sentences["A->C"], other.sentences["A->C"]
        )


def test_bridge_and_placebo_have_the_same_text_but_for_the_language():
    bridge, placebo = read("held_out_3_bridge"), read("held_out_3_placebo")
    for label, other in (("B->B", "D->D"), ("D->D", "B->B")):
        assert len(bridge.sentences[label]) == len(placebo.sentences[other])
    assert bridge.inputs.shape == placebo.inputs.shape


def test_a_common_target_is_one_answer_for_a_word_and_its_b_word():
    stream = read("common_target")
    words = np.arange(8)
    through_b = stream.mapping("B->E").translate(
        stream.mapping("A->B").translate(words)
    )
    np.testing.assert_array_equal(
        stream.mapping("A->E").translate(words), through_b
    )
    assert not len(read("second_target").sentences["A->E"])


def test_only_the_bridge_without_a_route_lacks_b_to_c():
    for name in composition.CHANGES:
        reads = composition.STUDY.build("quick", name).task.read_mappings
        assert ("B->C" in reads) == (name != "no_route_bridge")
