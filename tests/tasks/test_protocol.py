"""A task in one file, `examples/sums.py`."""

import dataclasses
import math
from pathlib import Path

import keras
import numpy as np
import pytest

from examples import sums
from examples.sums import SIGN, STUDY, Sums
from tiny_gpt.commands.study import load_study
from tiny_gpt.experiment import config_of
from tiny_gpt.sweep.cell import content_of, key_of
from tiny_gpt.sweep.grid import Success, Sweep
from tiny_gpt.train import run
from tiny_gpt.training.many_seeds import run_seeds

pytestmark = pytest.mark.backend

# 40 epochs end between 0.4 and 0.85, by the seed and by rounding.
SUMS = STUDY.build("quick", "read_20")


@pytest.fixture(scope="module")
def found():
    return run(SUMS, seed=1)


@pytest.mark.slow
def test_a_task_of_ones_own_is_learned_and_asked(found):
    frame = found.metrics
    assert set(frame["mapping"]) == {"all", "plus", "minus"}
    curves = frame[frame["tier"] == "all"]
    asked = {"loss", "weight_norm", *SUMS.evaluation.metrics}
    assert set(curves["metric"]) == asked  # no floor is known
    assert (curves.groupby(["mapping", "metric"]).size() == 80).all()
    last = frame[frame["epoch"] == 80].set_index(["mapping", "tier", "metric"])
    for label in SIGN:
        value = last["value"][label]
        assert value["seen_sentences", "accuracy_aligned"] > 0.5  # chance 1/7
        assert value["seen_sentences", "num_words"] == 20
        assert value["unseen_sentences", "num_words"] == 29
        loss = value["training_windows", "loss_answer_words"]
        assert loss < 0.8 * math.log(7)
        assert loss < value["fresh_windows", "loss_answer_words"]


@pytest.mark.slow
def test_many_seeds_are_trained_as_one(found):
    if keras.backend.backend() != "jax":
        pytest.skip("programs of whole epochs need JAX")
    same, _ = run_seeds(SUMS, [1, 2])
    keys = ["mapping", "tier", "metric", "epoch"]
    np.testing.assert_array_equal(same.metrics[keys], found.metrics[keys])
    losses = (
        x.metrics.query("metric == 'loss'")["value"] for x in (same, found)
    )
    np.testing.assert_allclose(*losses, rtol=1e-2)


def test_its_fields_and_class_are_in_the_key_of_a_sweep():
    axes = {"num_read": [10, 20], "train.batch_size": [5]}
    success = Success("minus", tier="seen_sentences")
    sweep = Sweep("sums", {"read_20": SUMS}, axes, (1,), success)
    assert [c.experiment.task.num_read for c in sweep.cells] == [10, 20]
    keys = [key_of(content_of(c.experiment, "float32")) for c in sweep.cells]
    assert len(set(keys)) == 2
    config = config_of(SUMS)
    assert config["task"] == "examples.sums.Sums"
    assert config["num_read"] == 20
    with pytest.raises(ValueError, match="'sparse_pairs'"):
        Sweep("sums", {"read_20": SUMS}, {"sparse_pairs": [1]}, (1,), success)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"modulus": 8}, "needs `vocabulary_size` 11"),
        ({"eval_mappings": ("plus", "Plus")}, "differ in more than case"),
        ({"eval_mappings": ("plus", "plus")}, "stand once"),
        ({"eval_mappings": ("a/b",)}, "letters, digits"),
    ],
)
def test_a_task_that_does_not_fit_is_refused(changes, rule):
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(
            SUMS, task=dataclasses.replace(SUMS.task, **changes)
        )


def test_a_longer_answer_than_said_is_refused_before_training():
    @dataclasses.dataclass(frozen=True)
    class Short(Sums):
        answer_length = 0

    with pytest.raises(ValueError, match="1 tokens in 'plus', answer_length=0"):
        run(dataclasses.replace(SUMS, task=Short()), seed=1)


def test_changed_code_is_another_run(tmp_path):
    path = tmp_path / "mine.py"
    source = Path(sums.__file__).read_text()
    keys = []
    for text in (source, source.replace("(a + SIGN", "(a - SIGN"), source):
        path.write_text(text)
        experiment = load_study(str(path)).build("quick", "read_20")
        keys.append(key_of(content_of(experiment, "float32")))
    assert keys[0] == keys[2] != keys[1]


def test_a_pretraining_needs_data_of_its_own():
    train = dataclasses.replace(SUMS.train, num_pretraining_epochs=1)
    with pytest.raises(ValueError, match="with 1 phases of data"):
        dataclasses.replace(SUMS, train=train)


def test_a_field_of_the_experiments_own_name_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Clashing(Sums):
        model: str = ""

    with pytest.raises(ValueError, match=r"Received: model$"):
        dataclasses.replace(SUMS, task=Clashing())
