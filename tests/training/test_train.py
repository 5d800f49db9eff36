"""Tests for tiny_gpt/train.py."""

import dataclasses
import math

import keras
import numpy as np
import pandas as pd
import pytest

from benchmarks.tiny_runs import PRETRAINED, TINY, with_task
from tests.helpers.shared_runs import tiny_run
from tiny_gpt.evaluation.evaluate import (
    LOSS_KINDS,
    LOSS_TIERS,
    EvaluationConfig,
)
from tiny_gpt.experiment import (
    Experiment,
    TrainConfig,
    config_of,
    loss_floor,
    updates_per_epoch,
)
from tiny_gpt.metrics.columns import COLUMNS, EVENT_COLUMNS
from tiny_gpt.metrics.frames import metrics_frame
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.task import Translation
from tiny_gpt.train import run
from tiny_gpt.training import run_setup
from tiny_gpt.training.run_setup import draw_phases
from tiny_gpt.training.update import compile_gpt
from tiny_gpt.training.windows import ShuffledWindows

pytestmark = pytest.mark.backend

PARTS = {"model", "train", "evaluation"}  # of an experiment beside its task


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


def test_phases_are_read_one_after_the_other():
    # 2 epochs of the first, 3 of the second, 2 batches each; the last epoch
    # of a phase still reads it, from whatever epoch a run continues.
    one, two = np.arange(10)[:, None], 100 + np.arange(8)[:, None]
    for first_epoch in range(5):
        windows = ShuffledWindows(
            [(one, one), (two, two)], [2, 5], 5, 0, first_epoch
        )
        assert len(windows) == 2 * (5 - first_epoch)
        for epoch in range(first_epoch, 5):
            index = 2 * (epoch - first_epoch)
            read = [windows[index + i][0] for i in (0, 1)]
            expected = (one, two)[epoch >= 2]
            np.testing.assert_array_equal(
                np.sort(np.concatenate(read), axis=0), expected
            )


def test_published_updates_per_epoch():
    def paper(*num_pairs):
        labels = ("A->B", "B->C", "A->C")
        mixture = Mixture(tuple(map(Component, labels, num_pairs)))
        return Experiment("t", "c", Translation(mixture, ("A->C",)))

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
    assert model.optimizer.weight_decay is None


def test_weight_decay_is_decoupled_from_the_gradient():
    # Without a gradient Adam stands still, and each variable, w, becomes
    # w (1 - rate * decay) = w (1 - 0.25 * 0.4) = 0.9 w, the biases as well.
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    compile_gpt(model, TrainConfig(learning_rate=0.25, weight_decay=0.4))
    model.set_weights([np.full((2, 2), 3.0), np.full(2, -1.0)])
    nothing = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    model.optimizer.apply(nothing, model.trainable_variables)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel, 2.7, rtol=1e-6)
    np.testing.assert_allclose(bias, -0.9, rtol=1e-6)


def test_a_config_without_weight_decay_is_the_one_before_there_was_any():
    assert "weight_decay" not in config_of(TINY)["train"]
    decayed = dataclasses.replace(
        TINY, train=dataclasses.replace(TINY.train, weight_decay=0.1)
    )
    assert config_of(decayed)["train"]["weight_decay"] == 0.1
    config = dataclasses.asdict(TINY)
    config |= config.pop("task")
    assert config["train"].pop("weight_decay") == 0
    assert config["train"].pop("optimizer") == "adam"
    assert config.pop("rotates") is False
    assert config.pop("has_target_tag") is False
    assert config["mixture"].pop("together") == ()
    assert config.pop("window_packing") == "stream"
    assert config.pop("scored") == "all"
    assert config["model"].pop("bidirectional") == ()
    assert config_of(TINY) == config


@dataclasses.dataclass(frozen=True)
class OtherConfig(GPTConfig):
    """Another network with the same fields."""


def test_the_class_of_a_network_is_part_of_the_config():
    # A store finds runs by it: two networks of equal fields are two runs.
    other = dataclasses.replace(TINY, model=OtherConfig(**vars(TINY.model)))
    config = config_of(other)
    name = config["model"].pop("class")
    assert name == f"{OtherConfig.__module__}.OtherConfig"
    assert set(config.pop("code")) == {name}  # of the file that defines it
    assert config == config_of(TINY)


@pytest.fixture(scope="module")
def uninterrupted():
    return tiny_run(1)


def test_a_run_leaves_a_metrics_frame(uninterrupted):
    frame = uninterrupted.metrics
    assert tuple(frame.columns) == COLUMNS
    assert not frame.isna().any(axis=None)
    assert sorted(set(frame["step"])) == [2, 4, 6, 8]
    assert (frame["step"] == 2 * frame["epoch"]).all()
    assert tuple(uninterrupted.events.columns) == EVENT_COLUMNS
    assert len(uninterrupted.data.inputs) == 12

    # 4 epochs: the loss, also above its floor, the norm of the weights, 2
    # metrics of 2 mappings, and their losses.
    curves = frame[frame["tier"] == "all"]
    assert len(curves) == 4 * (3 + 2 * 2)
    loss = frame[frame["metric"] == "loss"]["value"].to_numpy()
    above = frame[frame["metric"] == "loss_above_floor"]["value"].to_numpy()
    np.testing.assert_allclose(loss - above, loss_floor(TINY), rtol=1e-12)
    assert set(curves["mapping"]) == {"all", "A->B", "A->C"}
    losses = frame[frame["tier"].isin(LOSS_TIERS)]
    assert len(losses) == 4 * 2 * len(LOSS_TIERS) * len(LOSS_KINDS)
    assert set(losses["metric"]) == {f"loss_{kind}" for kind in LOSS_KINDS}
    assert set(losses["prompt"]) == {"all"}


def test_a_run_ends_with_an_exact_evaluation(uninterrupted):
    # Whatever is neither a curve nor a loss: 12 questions of 2 words.
    frame = uninterrupted.metrics
    exact = frame[~frame["tier"].isin(("all", *LOSS_TIERS))]
    assert set(exact["epoch"]) == {4}
    assert set(exact["mapping"]) == {"A->B", "A->C", "A->B->C"}
    assert set(exact["prompt"]) == {"1_demonstrations", "0_demonstrations"}
    at = exact["mapping"] == "A->C", exact["prompt"] == "1_demonstrations"
    count = exact[at[0] & at[1] & (exact["metric"] == "num_words")]
    by_tier = count.set_index("tier")["value"]
    seen = {tuple(row) for row in uninterrupted.data.stream.sentences["A->C"]}
    assert by_tier["all_sentences"] == 24
    assert by_tier["seen_sentences"] == 2 * len(seen)
    assert by_tier["unseen_sentences"] == 24 - 2 * len(seen)


def test_a_run_learns(uninterrupted):
    loss = uninterrupted.metrics.query("metric == 'loss'")["value"].to_list()
    assert loss[0] > loss[-1] + 0.1
    assert loss[0] < math.log(16) + 1.5  # not far above uniform guessing


def test_the_same_seed_gives_the_same_frame(uninterrupted):
    again = run(TINY, seed=1)
    pd.testing.assert_frame_equal(again.metrics, uninterrupted.metrics)


def test_phases_share_languages_and_add_up_what_was_seen():
    phases = draw_phases(PRETRAINED, seed=1)
    first, second = (phase.stream for phase in phases)
    assert first.languages == second.languages
    alone = with_task(TINY, mixture=PRETRAINED.task.pretraining)
    (expected,) = (phase.stream for phase in draw_phases(alone, seed=1))
    np.testing.assert_array_equal(first.inputs, expected.inputs)
    # The second phase has no A->B windows, but A->B sentences were read.
    assert set(second.components.ravel()) == {-1, 1}
    np.testing.assert_array_equal(
        second.sentences["A->B"], expected.sentences["A->B"]
    )
    assert len(second.sentences["A->B"]) == 40
    assert len(second.sentences["A->C"]) == 4 * 10
    assert len({tuple(row) for row in second.sentences["A->C"]}) <= 4


def test_a_run_reads_one_phase_after_the_other(monkeypatch):
    fitted = []
    monkeypatch.setattr(
        keras.Model, "fit", lambda _, windows, **options: fitted.append(windows)
    )
    monkeypatch.setattr(run_setup, "evaluate_exactly", lambda *_: [])
    phases = draw_phases(PRETRAINED, seed=1)
    assert run(PRETRAINED, seed=1).data.inputs.shape == phases[1].inputs.shape
    (windows,) = fitted
    assert len(windows) == 4 * 2
    for epoch, phase in enumerate([0, 0, 0, 1]):
        batches = [windows[2 * epoch + i] for i in (0, 1)]
        for i, name in enumerate(("inputs", "targets")):
            read = np.concatenate([batch[i] for batch in batches])
            expected = getattr(phases[phase], name)
            assert sorted(read.tolist()) == sorted(expected.tolist())


def test_epochs_without_an_evaluation_have_no_row():
    keys = [f"a_to_{x}_{m}" for x in "bc" for m in TINY.evaluation.metrics]
    logs = [
        {"loss": 2.0, **dict.fromkeys(keys, math.nan)},
        {"loss": 1.0, **dict.fromkeys(keys, 0.5)},
    ]
    frame = metrics_frame(TINY, 0, logs)
    assert frame["epoch"].to_list() == [1] + [2] * 5


def test_a_key_without_a_place_in_the_frame_is_refused():
    with pytest.raises(ValueError, match=r"Received: learning_rate, noise$"):
        metrics_frame(
            TINY, 0, [{"loss": 1.0, "noise": 1.0}, {"learning_rate": 0.1}]
        )


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"tokens": "characters"}, "needs `vocabulary_size` 18"),
        ({"tokens": "bytes"}, "kind='bytes'"),
        ({"eval_mappings": ()}, "must name a mapping"),
        ({"eval_mappings": ("A->D",)}, "A->D"),
        # 3 * 6 + 3 words, and 2 - 1 of the answer, in a window of 20.
        (
            {"evaluation": EvaluationConfig("aligned", 8, 3)},
            "21 \\+ 2 - 1 = 22",
        ),
        (
            {"evaluation": EvaluationConfig(exact_demonstrations=(1, 3))},
            "21 \\+ 2 - 1 = 22",
        ),
        ({"pivots": ("A->B",)}, "three different languages"),
        ({"pivots": ("A->B->D",)}, "B->D"),
        ({"pretraining": TINY.task.mixture}, "num_pretraining_epochs=0 with"),
        ({"train": PRETRAINED.train}, "num_pretraining_epochs=3 with"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, rule):
    change = dataclasses.replace if changes.keys() <= PARTS else with_task
    with pytest.raises(ValueError, match=rule):
        change(TINY, **changes)


def pretraining(*components, **changes):
    return dataclasses.replace(
        PRETRAINED.task.pretraining, components=components, **changes
    )


@pytest.mark.parametrize(
    ("first", "rule"),
    [
        (pretraining(Component("A->B", 40)), "same order"),
        (pretraining(*PRETRAINED.task.mixture.components[::-1]), "same order"),
        (
            pretraining(
                *PRETRAINED.task.mixture.components, scrambled=("A->C",)
            ),
            "same order",
        ),
        # 10 * 6 tokens are 3 rows, 1 update.
        (
            pretraining(Component("A->B", 10), Component("A->C", 0)),
            "Received: 1 and 2",
        ),
    ],
)
def test_a_pretraining_that_does_not_fit_is_refused(first, rule):
    with pytest.raises(ValueError, match=rule):
        with_task(PRETRAINED, pretraining=first)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"num_epochs": 0}, "num_epochs=0"),
        ({"num_epochs": 3, "num_pretraining_epochs": 3}, "Received: 3 of 3"),
        ({"num_pretraining_epochs": -1}, "Received: -1 of 100"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"learning_rate": math.nan}, "learning_rate=nan"),
        ({"clipnorm": -1.0}, "clipnorm=-1.0"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1"),
        ({"weight_decay": math.inf}, "weight_decay=inf"),
        ({"loss_drop_window": 0}, "window=0"),
    ],
)
def test_an_impossible_training_is_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        TrainConfig(**arguments)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed=-1"):
        run(TINY, -1)
