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
KINDS = ("sparse_a_to_c", "scrambled_a_to_c", "no_route_to_c")
CURVES = [f"{kind}_{n}" for kind in KINDS for n in controls.CURVE[:-1]]
FEW = [
    f"{kind}_{n}"
    for kind in ("alone", "balanced", "balanced_unrelated")
    for n in controls.FEW
]
TAGGED = [name for name in OTHERS if name.startswith("tagged")]
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
    **{
        f"a_to_c_alone_{name}": ALWAYS
        | {"eval_mappings", "pivots", "train", "evaluation", changed}
        for name, changed in (
            ("rotated", "rotates"),
            ("no_positions", "model"),
            ("sinusoidal", "model"),
        )
    },
    **{
        name: ALWAYS
        | {"eval_mappings", "pivots", "evaluation"}
        | ({"train"} if name.startswith("balanced") else set())
        for name in FEW
    },
    **{name: ALWAYS | {"evaluation", "model"} for name in controls.SIZES},
    **{
        name: ALWAYS | {"evaluation", "model", "has_target_tag"}
        for name in TAGGED
    },
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
def test_balanced_majorities_have_equal_shares_and_updates(preset):
    def updates(experiment):
        return updates_per_epoch(experiment) * experiment.train.num_epochs

    base = STUDY.build(preset, "sparse_a_to_c")
    for name in FEW:
        few = STUDY.build(preset, name)
        num_pairs = int(name.split("_")[-1])
        assert component(few).num_pairs == num_pairs
        # An epoch more or less, since epochs are whole.
        assert abs(updates(few) - updates(base)) <= updates_per_epoch(few)
        counts = shown(few)
        if name.startswith("alone"):
            assert set(counts) == {"A->C"}
            assert abs(counts["A->C"] - base.task.mixture.num_shown) < num_pairs
        else:
            majority = controls.CONTROLS[name].majority
            assert set(counts) == {*majority, "A->C"}
            assert all(counts[m] == 2500 for m in majority)
            assert abs(counts["A->C"] - 2500) < num_pairs


def test_sizes_change_what_they_say():
    base = BASE.model
    for name, (_, width, num_layers) in controls.SIZES.items():
        model = STUDY.build("quick", name).model
        assert model.hidden_dim == base.hidden_dim * width
        assert model.num_layers == (num_layers or base.num_layers)
        assert model.num_heads == base.num_heads


def test_tags_name_the_language_and_nothing_else_changes():
    for name in TAGGED:
        tagged = STUDY.build("quick", name)
        assert tagged.task.has_target_tag
        assert tagged.model.sequence_length == controls.TAGGED_LENGTH
        plain = dataclasses.replace(tagged.task, has_target_tag=False)
        same = "sparse_a_to_c_8"
        if name.endswith("scrambled_a_to_c_8"):
            same = "scrambled_a_to_c_8"
        if name != "tagged_no_a_to_c":
            assert plain == STUDY.build("quick", same).task


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
        # Tags come after all words.
        size = base.vocabulary.size
        assert stream.vocabulary.tokens[:size] == base.vocabulary.tokens
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
                if label == "A->C":  # repeats come in another order
                    count = min(count, component(experiment).num_pairs)
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
        if name not in TAGGED
    }
    assert sizes == {6 * 8 + 3}  # words, '.', '|' and padding


def shown_mappings(name):
    return shown(STUDY.build("quick", name))
