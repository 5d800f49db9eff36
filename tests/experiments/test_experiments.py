"""Tests for the modules in experiments/: conditions, published curves."""

import importlib
import math

import pandas as pd
import pytest

from experiments.reproduction import REPRODUCTION
from tiny_gpt.analysis.events import find_loss_drops
from tiny_gpt.experiment import updates_per_epoch

STUDIES = [s for s in REPRODUCTION.studies if "controls" not in s.name]
ALL = [
    (study, preset, condition)
    for study in REPRODUCTION.studies
    for preset in study.presets
    for condition in study.conditions
]


@pytest.mark.parametrize(
    ("study", "preset", "condition"),
    ALL,
    ids=lambda each: getattr(each, "name", each),
)
def test_every_condition_builds(study, preset, condition):
    experiment = study.build(preset, condition)
    assert (experiment.name, experiment.condition) == (study.name, condition)
    assert set(study.sparse) <= set(experiment.task.eval_mappings)
    assert study.conditions[condition]
    paper = study.paper_accuracy.get(condition, {})
    assert set(paper) <= set(experiment.task.eval_mappings)
    module = importlib.import_module(study.build_experiment.__module__)
    assert "Question" in module.__doc__
    assert "Run       make exp-" in module.__doc__


def pairs_of(experiment):
    return [
        (c.mapping, c.num_pairs) for c in experiment.task.mixture.components
    ]


def test_the_published_mixtures():
    triangle, four = STUDIES
    for preset in triangle.presets:
        by_condition = {
            name: pairs_of(triangle.build(preset, name))
            for name in triangle.conditions
        }
        # Sec. 3.1.1, 3.1.2 and 3.1.3, in corpus order.
        assert by_condition == {
            "a_to_c_alone": [("A->B", 0), ("B->C", 0), ("A->C", 50)],
            "no_a_to_c": [("A->B", 2500), ("B->C", 2500), ("A->C", 0)],
            "sparse_a_to_c": [("A->B", 2500), ("B->C", 2500), ("A->C", 50)],
        }
        # Table 1; the corpus has A->D before A->C.
        assert pairs_of(four.build(preset, "sparse_pairs")) == [
            ("A->B", 5000),
            ("A->D", 4500),
            ("A->C", 4000),
            ("D->B", 100),
            ("D->C", 200),
            ("B->C", 300),
        ]


def test_the_published_network_and_training():
    triangle, four = (s.build("paper", list(s.conditions)[-1]) for s in STUDIES)
    shared = {
        "sequence_length": 45,
        "intermediate_ratio": 5,
        "dropout": 0.0,
        "dropout_placement": "logits",
        "normalization": "post",
        "layer_norm_epsilon": 1e-6,
        "logit_scale": "hidden_dim",
        "activation": "gelu",
        "output_activation": "gelu",
        "positions": "learned",
        "num_unused_classes": 1,
        "embedding_gradient": "dense",
        "bidirectional": (),
    }
    sizes = ("vocabulary_size", "num_layers", "num_heads", "head_dim")
    for experiment, values in (
        (triangle, (30, 2, 20, 20)),
        (four, (54, 3, 30, 30)),
    ):
        expected = {**shared, **dict(zip(sizes, values, strict=True))}
        assert vars(experiment.model) == expected
        assert experiment.task.tokens == "characters"
        assert experiment.train.learning_rate == 1e-4
        assert experiment.train.clipnorm == 1.0
    assert (triangle.train.num_epochs, triangle.train.batch_size) == (100, 256)
    assert (four.train.num_epochs, four.train.batch_size) == (200, 1024)
    asked = triangle.evaluation
    assert (asked.decoding, asked.num_demonstrations) == ("published", 6)
    assert asked.num_fresh_sentences == 5
    assert four.evaluation.num_sentences == 100


def test_the_paper_preset_has_the_published_counts():
    triangle, four = (s.build("paper", list(s.conditions)[-1]) for s in STUDIES)
    # Sec. 3.1: 9 updates an epoch, 100 epochs; sec. 3.2: 6 and 200.
    assert updates_per_epoch(triangle) * triangle.train.num_epochs == 900
    assert updates_per_epoch(four) * four.train.num_epochs == 1200
    # ceil(14100 pairs * 20 tokens / 46) = 6131 windows.
    total = sum(c.num_pairs for c in four.task.mixture.components)
    assert math.ceil(total * 20 / 46) == 6131
    assert four.task.mixture.num_sentences == 11880


def test_conditions_of_the_triangle_differ_in_the_mixture_alone():
    study = STUDIES[0]
    for preset in study.presets:
        built = (study.build(preset, c) for c in study.conditions)
        one, *others = (vars(e) | vars(e.task) for e in built)
        for other in others:
            differing = {k for k in one if one[k] != other[k]}
            assert differing == {"condition", "task", "mixture"}


def test_published_curves_are_whole():
    triangle = pd.read_csv(STUDIES[0].published)
    sizes = triangle.groupby(["condition", "task", "metric"]).size()
    assert set(sizes) == {100}
    assert set(triangle["condition"]) == set(STUDIES[0].conditions)
    # Fig. 2c: last ten epochs mean 0.565, best 0.85, last 0.10.
    sparse = triangle.query("condition == 'sparse_a_to_c' and task == 'A->C'")
    values = sparse["value"].to_numpy()
    assert values[-10:].mean() == pytest.approx(0.565, abs=5e-4)
    assert (values.max(), values[-1]) == (0.85, 0.10)
    loss = pd.read_csv(STUDIES[1].published)["value"]
    assert (len(loss), loss.iloc[-1]) == (200, 0.2547)


def test_the_published_loss_falls_in_steps():
    # The default rule on fig. 2c: a run that starts at 3 nats and ends at
    # 0.476 has drops, the first of them at the first epoch that can count.
    triangle = pd.read_csv(STUDIES[0].published)
    rows = triangle.query("condition == 'sparse_a_to_c' and metric == 'loss'")
    drops = find_loss_drops(rows["value"].to_list())
    assert drops[0].epoch == 6
    assert all(d.before - d.after == pytest.approx(d.size) for d in drops)
