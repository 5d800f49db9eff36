"""Tests for tiny_gpt/sweep/axes.py, grid.py and cell.py."""

import dataclasses
import json

import pytest

from benchmarks.tiny_runs import PRETRAINED, TINY
from tests.helpers.tiny_sweeps import SCRAMBLED, SUCCESS, tiny_sweep
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.sweep.cell import content_of, key_of
from tiny_gpt.sweep.grid import Success, Sweep
from tiny_gpt.tasks.translation.mixture import Component


def only(values, base=TINY, **options):
    """Returns the experiment of a sweep with a single cell."""
    axes = {axis: [value] for axis, value in values.items()}
    options = {"bases": {"real": base}, "fixed": {}, **options}
    (cell,) = tiny_sweep(axes, **options).cells
    assert cell.values == values
    return cell.experiment


def key(experiment):
    return key_of(content_of(experiment, "float32"))


def test_a_grid_has_every_point_once_with_the_last_axis_fastest():
    sweep = tiny_sweep({"sparse_pairs": [4, 10], "epochs": [1, 2, 3]}, fixed={})
    points = [tuple(cell.values.values()) for cell in sweep.cells]
    assert points == [(4, 1), (4, 2), (4, 3), (10, 1), (10, 2), (10, 3)]
    experiment = sweep.cells[4].experiment
    assert experiment.task.mixture.num_pairs("A->C") == 10
    assert experiment.train.num_epochs == 2
    assert (experiment.name, experiment.condition) == ("small", "real")


def test_a_point_of_the_base_is_the_base():
    values = {"sparse_pairs": 10, "train.batch_size": 6}
    labels = {"name": "small", "condition": "real"}
    assert only(values) == dataclasses.replace(TINY, **labels)


@pytest.mark.parametrize(
    ("axis", "value", "found"),
    [
        ("sparse_pairs", 7, lambda e: e.task.mixture.num_pairs("A->C")),
        ("majority_pairs", 50, lambda e: e.task.mixture.num_pairs("A->B")),
        ("alphabet_size", 6, lambda e: e.task.mixture.alphabet_size),
        ("width", 24, lambda e: e.model.num_heads * e.model.head_dim),
        ("epochs", 9, lambda e: e.train.num_epochs),
        ("learning_rate", 0.5, lambda e: e.train.learning_rate),
        ("weight_decay", 0.25, lambda e: e.train.weight_decay),
        ("model.num_layers", 3, lambda e: e.model.num_layers),
        (
            "mixture.sentence_length",
            3,
            lambda e: e.task.mixture.sentence_length,
        ),
        ("tokens", "characters", lambda e: e.task.tokens),
        (
            "mixture.components.A->C.num_held_out",
            1,
            lambda e: e.task.mixture.component("A->C").num_held_out,
        ),
        (
            "evaluation.exact_demonstrations",
            [1],
            lambda e: list(e.evaluation.exact_demonstrations),
        ),
    ],
)
def test_an_axis_sets_its_field(axis, value, found):
    axes = {axis: value}
    if axis in ("tokens", "mixture.sentence_length"):
        axes["model.sequence_length"] = 40  # room for longer prompts
    assert found(only(axes)) == value
    assert found(TINY) != value


@pytest.mark.parametrize(
    ("field", "value"),
    [("tier", "unseen_sentence"), ("metric", "acuracy"), ("tier", "ALL")],
)
def test_what_is_not_measured_is_no_success(field, value):
    with pytest.raises(ValueError, match=f"`{field}` must be one of"):
        Success("A->C", **{field: value})


@pytest.mark.parametrize(
    "axes",
    [
        {"train.learning_rate": [1, 1.0]},
        {"updates": [4, 5]},  # 2 updates an epoch
        {"sparse_pairs": [4, 8], "updates": [4, 5]},
    ],
)
def test_one_experiment_is_one_cell(axes):
    with pytest.raises(ValueError, match=r"different experiments|value once"):
        tiny_sweep(axes, fixed={})


@pytest.mark.parametrize(
    ("field", "good"),
    [("pivots", ["A->B->C"]), ("eval_mappings", ["A->B", "A->C"])],
)
def test_values_of_a_wrong_kind_are_listed_with_the_others(field, good):
    with pytest.raises(ValueError, match="2 of 3 that are not"):
        tiny_sweep({field: [good, [1], [2]]}, fixed={})


def test_the_vocabulary_follows_the_alphabet():
    # <pad>, '.', '|' and three languages of six words.
    assert only({"alphabet_size": 6}).model.vocabulary_size == 3 + 3 * 6


def test_unique_pairs_leave_updates_as_they_are():
    found = [
        only({"unique_pairs": n}, fixed={"shown_pairs": 12}) for n in (3, 12)
    ]
    parts = [e.task.mixture.component("A->C") for e in found]
    assert parts[0] == Component("A->C", 3, num_repeats=4, is_distinct=True)
    assert parts[1] == Component("A->C", 12, num_repeats=1, is_distinct=True)
    assert updates_per_epoch(found[0]) == updates_per_epoch(found[1])


def test_updates_are_the_nearest_number_of_epochs():
    # 30 + 10 pairs make 2 updates an epoch; 30 + 100, 780 tokens in 38 rows
    # and 7 updates of 6.
    found = [
        only({"updates": 20}).train.num_epochs,
        only({"updates": 20, "sparse_pairs": 100}).train.num_epochs,
        only({"updates": 1, "sparse_pairs": 100}).train.num_epochs,
    ]
    assert found == [10, 3, 1]


def test_conditions_are_bases():
    sweep = tiny_sweep(
        {"condition": ["real", "scrambled"], "sparse_pairs": [4, 8]},
        bases={"real": TINY, "scrambled": SCRAMBLED},
    )
    scrambled = [c.experiment.task.mixture.scrambled for c in sweep.cells]
    assert scrambled == [(), (), ("A->C",), ("A->C",)]
    conditions = [c.experiment.condition for c in sweep.cells]
    assert conditions == ["real", "real", "scrambled", "scrambled"]


def test_languages_of_a_pretraining_follow():
    found = only({"alphabet_size": 5}, PRETRAINED)
    assert found.task.pretraining.alphabet_size == 5


def test_every_cell_that_is_invalid_is_named():
    axes = {"alphabet_size": [1, 4, 40], "width": [8, 9]}
    with pytest.raises(ValueError, match="4 of 6") as error:
        tiny_sweep({**axes, "width": [8, 16]})
    message = str(error.value)
    for size in (1, 40):
        for width in (8, 16):
            assert f"alphabet_size={size}, width={width}: " in message
    assert "alphabet_size=4," not in message
    assert "`sentence_length` cannot exceed" in message
    assert "characters. Received: 26 characters" in message
    with pytest.raises(ValueError, match=r"5 of 6(.|\n)*multiple of"):
        tiny_sweep(axes)


@pytest.mark.parametrize(
    ("axes", "options", "rule"),
    [
        ({"spare_pairs": [1], "depth": [2]}, {}, "'spare_pairs', 'depth'"),
        ({"train.rate": [1]}, {}, r"'train\.rate'"),
        ({"mixture.components": [1]}, {}, "'mixture.components'"),
        ({"mixture.components.B->A.num_pairs": [1]}, {}, "B->A"),
        ({"model.vocabulary_size": [15]}, {}, "vocabulary_size"),
        ({"name": ["x"]}, {}, "'name'"),
        ({"epochs": [1]}, {"fixed": {"depth": 2}}, "'depth'"),
        ({"sparse_pairs": []}, {}, "each axis a value"),
        ({"sparse_pairs": [4, 4]}, {}, "each value once"),
        ({"epochs": [1]}, {"fixed": {"epochs": 2}}, "not fixed as well"),
        ({"condition": ["other"]}, {}, r"one of \['real'\]"),
        ({"epochs": [1]}, {"bases": {"a": TINY, "b": TINY}}, "Several bases"),
        ({"epochs": [1]}, {"bases": {}}, "`condition` must be"),
        ({"sparse_pairs": [4]}, {"seeds": ()}, "at least one"),
        ({"sparse_pairs": [4]}, {"seeds": (1, 1)}, "different"),
        ({"sparse_pairs": [4]}, {"seeds": (-1,)}, "non-negative"),
        ({"epochs": [1.5]}, {}, "of type int"),
        ({"tokens": [1]}, {}, "of type str"),
        ({"sparse_pairs": [1.5]}, {}, r"sparse_pairs=1\.5"),
        ({"unique_pairs": [3]}, {}, "must divide"),
        (
            {"sparse_pairs": [4]},
            {"success": Success("A->B->C", tier="all_sentences")},
            "in the mixture",
        ),
        ({"epochs": [1]}, {"success": Success("B->C")}, "must be measured"),
        (
            {"evaluation.exact_demonstrations": [[]]},
            {},
            "must be measured",
        ),
        (
            {"epochs": [1]},
            {"success": Success("A->C", metric="rank", tier="all")},
            "must be measured",
        ),
        ({"updates": [4]}, {"bases": {"a": PRETRAINED}}, "pre-training"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(axes, options, rule):
    with pytest.raises(ValueError, match=rule):
        Sweep(
            axes=axes,
            **{
                "name": "small",
                "bases": {"real": TINY},
                "seeds": (1,),
                "success": SUCCESS,
                **options,
            },
        )


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), "0.8"])
def test_a_threshold_is_a_number(threshold):
    with pytest.raises(ValueError, match="threshold="):
        Success("A->C", threshold=threshold)


def test_a_key_is_of_the_content_alone():
    base = key(TINY)
    assert key(dataclasses.replace(TINY, name="x", condition="y")) == base
    assert key(only({"learning_rate": 0.01})) == base
    assert len(base) == 64
    others = [
        key(only({"sparse_pairs": 11})),
        key(only({"weight_decay": 0.1})),
        key(SCRAMBLED),
        key_of(content_of(TINY, "default")),
        key_of({**content_of(TINY, "float32"), "backend": "other"}),
        key_of({**content_of(TINY, "float32"), "format": 0}),
    ]
    assert len({base, *others}) == 1 + len(others)
    # Devices matter where each clips its own gradients, and there alone.
    assert key_of(content_of(TINY, "float32", 8)) == base
    train = dataclasses.replace(TINY.train, clipping="per_replica")
    clipped = dataclasses.replace(TINY, train=train)
    on = [key_of(content_of(clipped, "float32", n)) for n in (1, 2, 8)]
    assert len({base, *on}) == 4
    # Whole numbers and fractions of a field are one cell, in any order.
    assert key(only({"learning_rate": 1})) == key(only({"learning_rate": 1.0}))
    content = content_of(TINY, "float32")
    assert key_of(dict(reversed(content.items()))) == base
    assert key_of(json.loads(json.dumps(content))) == base
