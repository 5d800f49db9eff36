"""Tests for the controls: each differs in what it says and nothing else."""

import dataclasses

import numpy as np
import pytest

from experiments import controls
from experiments.controls import CONTROLS, STUDY
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.training.run_setup import draw_phases

BASE = STUDY.build("quick", "sparse_a_to_c")
OTHERS = [name for name in STUDY.conditions if name != "sparse_a_to_c"]
# Fields of `Experiment` and its task in which a condition may differ from
# the base.
ALWAYS = {"condition", "mixture"}
CURVES = [name for name in OTHERS if name.split("_")[-1].isdigit()]
CURVES = [name for name in CURVES if not name.startswith("held_out")]
NO_ROUTE = [name for name in OTHERS if name.startswith("no_route")]
ALLOWED = {
    **{name: ALWAYS | {"evaluation"} for name in CURVES},
    **{name: ALWAYS | {"eval_mappings", "pivots"} for name in NO_ROUTE},
    **{
        name: ALWAYS | {"eval_mappings", "pivots", "evaluation"}
        for name in set(NO_ROUTE) & set(CURVES)
    },
    "unrelated_majority": ALWAYS | {"eval_mappings", "pivots"},
    "a_to_c_alone_equal_tokens": ALWAYS | {"eval_mappings", "pivots"},
    "a_to_c_alone_equal_updates": ALWAYS
    | {"eval_mappings", "pivots", "train", "evaluation"},
    "pretrained": ALWAYS | {"train", "pretraining"},
}


def component(experiment, label="A->C"):
    return experiment.task.mixture.component(label)


def shown(experiment):
    components = experiment.task.mixture.components
    return {c.mapping: c.num_shown for c in components if c.num_shown}


@pytest.mark.parametrize("name", OTHERS)
def test_a_control_differs_in_nothing_else(name):
    control = STUDY.build("quick", name)
    fields, base = (vars(e) | vars(e.task) for e in (control, BASE))
    differing = {f for f in base if fields[f] != base[f]} - {"task"}
    assert differing <= ALLOWED.get(name, ALWAYS)
    assert "mixture" in differing
    # Languages, pool and sizes are those of the base.
    alike = dataclasses.replace(
        control.task.mixture,
        components=BASE.task.mixture.components,
        scrambled=BASE.task.mixture.scrambled,
    )
    assert alike == BASE.task.mixture
    # The sample asked in every epoch is the same.
    for field in ("decoding", "num_sentences", "num_demonstrations"):
        value = getattr(BASE.evaluation, field)
        assert getattr(control.evaluation, field) == value


def test_each_says_what_it_says():
    by_name = {name: STUDY.build("quick", name) for name in STUDY.conditions}
    majority = {"A->B": 2500, "B->C": 2500}
    for num_pairs in controls.CURVE:
        end = "" if num_pairs == 50 else f"_{num_pairs}"
        real = by_name[f"sparse_a_to_c{end}"]
        scrambled = by_name[f"scrambled_a_to_c{end}"]
        no_route = by_name[f"no_route_to_c{end}"]
        assert shown(real) == {**majority, "A->C": num_pairs}
        assert shown(scrambled) == shown(real)
        assert scrambled.task.mixture.scrambled == ("A->C",)
        assert shown(no_route) == {
            "A->B": 2500,
            "D->C": 2500,
            "A->C": num_pairs,
        }
    unrelated = by_name["unrelated_majority"]
    assert shown(unrelated) == {"D->E": 2500, "E->F": 2500, "A->C": 50}
    for n in (1, 2, 3):
        held_out = by_name[f"held_out_{n}"]
        assert component(held_out).num_held_out == n
        assert shown(held_out) == shown(BASE)
    repeated = component(by_name["oversampled_a_to_c"])
    assert (repeated.num_pairs, repeated.num_shown) == (50, 1000)
    fresh = component(by_name["fresh_a_to_c"])
    assert (fresh.num_pairs, fresh.num_shown) == (1000, 1000)
    assert fresh.is_distinct


@pytest.mark.parametrize("preset", STUDY.presets)
def test_alone_has_as_many_updates_and_tokens(preset):
    def updates(experiment):
        return updates_per_epoch(experiment) * experiment.train.num_epochs

    base, by_updates, by_tokens, pretrained = (
        STUDY.build(preset, name)
        for name in (
            "sparse_a_to_c",
            "a_to_c_alone_equal_updates",
            "a_to_c_alone_equal_tokens",
            "pretrained",
        )
    )
    assert shown(by_updates) == {"A->C": 50}
    assert updates(by_updates) == updates(base)
    assert by_tokens.task.mixture.num_shown == base.task.mixture.num_shown
    assert updates(by_tokens) == updates(base)
    # The second half of `pretrained` is `a_to_c_alone_equal_tokens`.
    assert pretrained.task.mixture == by_tokens.task.mixture
    train = pretrained.train
    half = train.num_epochs - train.num_pretraining_epochs
    assert half == by_tokens.train.num_epochs == base.train.num_epochs
    first = {
        c.mapping: c.num_shown for c in pretrained.task.pretraining.components
    }
    assert {m: x for m, x in first.items() if x} == {
        "A->B": 2500,
        "B->C": 2500,
    }


def test_one_seed_gives_all_conditions_the_same_draws():
    base = draw_phases(BASE, seed=7)[-1].stream
    for name in OTHERS:
        experiment = STUDY.build("quick", name)
        stream = draw_phases(experiment, seed=7)[-1].stream
        assert stream.languages == base.languages
        assert stream.vocabulary == base.vocabulary
        for label, sentences in stream.sentences.items():
            drawn = base.sentences[label]
            has_both = len(sentences) and len(drawn)
            is_other_draw = label == "A->C" and (
                component(experiment).is_distinct
                or component(experiment).num_held_out
            )
            if has_both and not is_other_draw:
                # Fewer pairs are the first of more.
                count = min(len(sentences), len(drawn))
                np.testing.assert_array_equal(
                    sentences[:count], drawn[:count], err_msg=name
                )


def test_words_come_from_one_larger_pool():
    assert {m for c in CONTROLS for m in shown_mappings(c)} == set(
        controls.MAPPINGS
    )
    assert BASE.task.mixture.languages == tuple("ABCDEF")
    assert len(BASE.task.mixture.characters) > 6 * 8
    sizes = {
        STUDY.build("quick", name).model.vocabulary_size
        for name in STUDY.conditions
    }
    assert sizes == {6 * 8 + 3}  # words, '.', '|' and padding


def shown_mappings(name):
    return shown(STUDY.build("quick", name))
