"""Tests for tiny_gpt/train.py."""

import dataclasses
import json
import math
import os

import keras
import numpy as np
import pandas as pd
import pytest

from tiny_gpt.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig, updates_per_epoch
from tiny_gpt.metrics import COLUMNS, EVENT_COLUMNS
from tiny_gpt.mixture import Component, Mixture
from tiny_gpt.model import GPTConfig, build_gpt, initialise_weights
from tiny_gpt.record import Record
from tiny_gpt.train import (
    ShuffledWindows,
    compile_gpt,
    load_finished,
    metrics_frame,
    run,
)

pytestmark = pytest.mark.backend

TINY = Experiment(
    name="tiny",
    condition="one",
    mixture=Mixture((Component("A->B", 30), Component("B->C", 10))),
    eval_mappings=("A->B", "A->C"),
    tokens="words",
    model=GPTConfig(
        vocabulary_size=27,
        sequence_length=20,
        num_layers=1,
        num_heads=2,
        head_dim=4,
    ),
    train=TrainConfig(
        num_epochs=4,
        batch_size=10,
        learning_rate=0.01,
        min_loss_drop=0.02,
        loss_drop_window=1,
    ),
    evaluation=EvaluationConfig("cached", 8, 1, num_fresh_sentences=0),
)


def test_every_epoch_reads_every_window_once_in_another_order():
    inputs = np.arange(10)[:, None]
    windows = ShuffledWindows([(inputs, inputs + 1)], [3], 4, 0)
    assert windows.steps_per_epoch == 3
    assert len(windows) == 9
    orders = []
    for epoch in range(3):
        batches = [windows[3 * epoch + i] for i in range(3)]
        assert [len(x) for x, _ in batches] == [4, 4, 2]
        for x, y in batches:
            np.testing.assert_array_equal(y, x + 1)
        orders.append(np.concatenate([x for x, _ in batches]).ravel())
        np.testing.assert_array_equal(np.sort(orders[-1]), np.arange(10))
    assert len({tuple(order) for order in orders}) == 3


def test_a_batch_depends_on_its_epoch_and_place_alone():
    inputs = np.arange(10)[:, None]
    whole = ShuffledWindows([(inputs, inputs)], [3], 4, 0)
    continued = ShuffledWindows([(inputs, inputs)], [3], 4, 0, 2)
    np.testing.assert_array_equal(continued[1][0], whole[7][0])
    other = ShuffledWindows([(inputs, inputs)], [3], 4, 1, 2)
    assert not np.array_equal(continued[1][0], other[1][0])


def test_published_updates_per_epoch():
    def paper(*num_pairs):
        labels = ("A->B", "B->C", "A->C")
        mixture = Mixture(tuple(map(Component, labels, num_pairs)))
        return Experiment("t", "c", mixture, ("A->C",))

    # ceil(2196 / 256), ceil(2174 / 256), ceil(22 / 256).
    assert updates_per_epoch(paper(2500, 2500, 50)) == 9
    assert updates_per_epoch(paper(2500, 2500, 0)) == 9
    assert updates_per_epoch(paper(0, 0, 50)) == 1


def test_the_optimizer_is_the_published_one():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    compile_gpt(model, TrainConfig(learning_rate=0.25))
    assert type(model.optimizer) is keras.optimizers.Adam
    assert float(model.optimizer.learning_rate) == 0.25
    assert model.optimizer.clipnorm == 1.0  # of each variable
    assert model.optimizer.global_clipnorm is None
    assert model.loss.from_logits
    assert model.jit_compile


@pytest.fixture(scope="module")
def uninterrupted():
    return run(TINY, seed=1)


def test_a_run_leaves_a_metrics_frame(uninterrupted):
    frame = uninterrupted.metrics
    assert tuple(frame.columns) == COLUMNS
    # 4 epochs: the loss, and 2 metrics of 2 mappings.
    assert len(frame) == 4 * (1 + 2 * 2)
    assert not frame.isna().any(axis=None)
    # 40 pairs * 10 tokens in rows of 21: 20 windows, 2 updates of 10.
    assert sorted(set(frame["step"])) == [2, 4, 6, 8]
    assert set(frame["mapping"]) == {"all", "A->B", "A->C"}
    assert tuple(uninterrupted.events.columns) == EVENT_COLUMNS
    assert len(uninterrupted.stream.inputs) == 20


def test_a_run_learns(uninterrupted):
    loss = uninterrupted.metrics.query("metric == 'loss'")["value"].to_list()
    assert loss[0] > loss[-1] + 0.1
    assert loss[0] < math.log(28) + 1.5  # not far above uniform guessing


def test_the_same_seed_gives_the_same_frame(uninterrupted):
    again = run(TINY, seed=1)
    pd.testing.assert_frame_equal(again.metrics, uninterrupted.metrics)


def test_an_interrupted_run_continues(uninterrupted, tmp_path, monkeypatch):
    # Saved every epoch, and stopped at epoch 2 between the two files: the
    # logs are of epoch 2, the model of epoch 1, from which it goes on. The
    # loss drops from epoch 1 to 2, across the break.
    assert uninterrupted.events["epoch"].to_list()[0] == 2
    record = tmp_path / "seed_1"
    replace, num_models = os.replace, 0

    def stop_at_the_second_model(source, target):
        nonlocal num_models
        num_models += target.suffix == ".keras"
        if num_models == 2:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop_at_the_second_model)
        with pytest.raises(KeyboardInterrupt):
            run(TINY, 1, record, save_every=1)
    assert load_finished(TINY, 1, record) is None
    saved = json.loads((tmp_path / "seed_1.json").read_text())
    assert len(saved["logs"]) == 2

    continued = run(TINY, 1, record, save_every=2)

    pd.testing.assert_frame_equal(
        continued.metrics, uninterrupted.metrics, rtol=1e-5
    )
    pd.testing.assert_frame_equal(
        continued.events, uninterrupted.events, rtol=1e-4
    )
    for a, b in zip(
        continued.model.get_weights(),
        uninterrupted.model.get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    metrics, events, _ = load_finished(TINY, 1, record)
    pd.testing.assert_frame_equal(metrics, continued.metrics)
    pd.testing.assert_frame_equal(events, continued.events)
    left = sorted(p.name for p in tmp_path.iterdir() if "saving" not in p.name)
    assert left == ["seed_1.json"]

    # The record belongs to this experiment and seed, and is finished.
    other = dataclasses.replace(TINY, condition="two")
    with pytest.raises(ValueError, match="experiment and seed that wrote it"):
        run(other, 1, record)
    with pytest.raises(ValueError, match="experiment and seed that wrote it"):
        load_finished(TINY, 2, record)
    with pytest.raises(ValueError, match="finished run cannot be continued"):
        run(TINY, 1, record)


def test_a_model_without_its_logs_is_refused(tmp_path):
    record = Record(TINY, 1, tmp_path / "seed_1", save_every=1)
    model = build_gpt(TINY.model)
    compile_gpt(model, TINY.train)
    model.optimizer.build(model.trainable_variables)
    record.set_model(model)
    record.on_epoch_end(0, {"loss": 1.0})
    (tmp_path / "seed_1.json").unlink()
    with pytest.raises(ValueError, match="needs the logs"):
        run(TINY, 1, tmp_path / "seed_1")


def test_the_random_state_of_dropout_is_saved(tmp_path):
    config = dataclasses.replace(TINY.model, dropout=0.3)
    experiment = dataclasses.replace(TINY, model=config)
    model = build_gpt(config)
    initialise_weights(model, np.random.default_rng(0))
    compile_gpt(model, experiment.train)
    model.optimizer.build(model.trainable_variables)

    def states(model):
        return [
            keras.ops.convert_to_numpy(v).tolist()
            for v in model.variables
            if "seed_generator_state" in v.path
        ]

    record = Record(experiment, 1, tmp_path / "seed_1", save_every=1)
    record.set_model(model)
    record.on_epoch_end(0, {"loss": 1.0})
    # The saved model has taken no step, so it counts as epoch 0.
    path = tmp_path / "seed_1.json"
    saved = json.loads(path.read_text())
    saved["random_states"] = {"0": saved["random_states"]["1"]}
    path.write_text(json.dumps(saved))
    loaded = Record(experiment, 1, tmp_path / "seed_1").load_model()
    assert len(states(model)) == 2  # attention and block
    assert states(loaded) == states(model)


def test_epochs_without_an_evaluation_have_no_row():
    keys = [f"a_to_{x}_{m}" for x in "bc" for m in TINY.evaluation.metrics]
    logs = [
        {"loss": 2.0, **dict.fromkeys(keys, math.nan)},
        {"loss": 1.0, **dict.fromkeys(keys, 0.5)},
    ]
    frame = metrics_frame(TINY, 0, logs)
    assert frame["epoch"].to_list() == [1] + [2] * 5


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"tokens": "characters"}, "needs `vocabulary_size` 30"),
        ({"tokens": "bytes"}, "kind='bytes'"),
        ({"eval_mappings": ()}, "must name a mapping"),
        ({"eval_mappings": ("A->D",)}, "A->D"),
        # 2 * 10 + 5 words, and 4 - 1 of the answer, in a window of 20.
        (
            {"evaluation": EvaluationConfig("aligned", 8, 2)},
            "25 \\+ 4 - 1 = 28",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(TINY, **changes)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"num_epochs": 0}, "num_epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"learning_rate": math.nan}, "learning_rate=nan"),
        ({"clipnorm": -1.0}, "clipnorm=-1.0"),
        ({"loss_drop_window": 0}, "window=0"),
    ],
)
def test_an_impossible_training_is_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        TrainConfig(**arguments)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed=-1"):
        run(TINY, -1)
