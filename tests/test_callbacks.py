"""Tests for tiny_gpt/callbacks.py."""

import csv
import math
import subprocess
import sys

import keras
import numpy as np
import pytest

from tiny_gpt.analysis.events import LossDrop
from tiny_gpt.callbacks import LossByTask, LossDropLogger, TaskAccuracy

pytestmark = pytest.mark.backend

X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], "float32")
Y = np.array([0, 1, 0, 1])
TASKS = {"right": (X, Y), "wrong": (X, 1 - Y), "half": (X, np.zeros(4, int))}


def classifier():
    """Says 0 for (1, 0) and 1 for (0, 1), and does not train."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.layers[0].set_weights([np.eye(2), np.zeros(2)])
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def fit(*callbacks, epochs=1, **options):
    return classifier().fit(
        X, Y, epochs=epochs, callbacks=list(callbacks), verbose=0, **options
    )


def test_each_task_gets_its_accuracy_into_history():
    history = fit(TaskAccuracy(TASKS), epochs=2).history
    assert history["right_accuracy"] == [1.0, 1.0]
    assert history["wrong_accuracy"] == [0.0, 0.0]
    assert history["half_accuracy"] == [0.5, 0.5]
    assert all(type(v) is float for v in history["right_accuracy"])


def test_callbacks_listed_later_see_the_scores(tmp_path):
    path = tmp_path / "best.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, monitor="right_accuracy", mode="max", save_best_only=True
    )
    log = tmp_path / "log.csv"
    fit(TaskAccuracy(TASKS), keras.callbacks.CSVLogger(log), checkpoint)
    assert path.exists()
    (row,) = csv.DictReader(log.open())
    assert float(row["half_accuracy"]) == 0.5


def test_keys_are_the_same_in_epochs_without_evaluation():
    # Every 2 of 5 epochs, and the last.
    callback = TaskAccuracy({"right": (X, Y)}, every=2)
    history = fit(callback, epochs=5).history
    is_nan = [math.isnan(v) for v in history["right_accuracy"]]
    assert is_nan == [True, False, True, False, False]
    assert callback.keys == ("right_accuracy",)


def test_fresh_tasks_are_asked_by_epoch():
    asked = []

    def tasks(epoch):
        asked.append(epoch)
        return {"right": (X, Y)}

    callback = TaskAccuracy(tasks)
    asked.clear()  # the names were read once
    fit(callback, epochs=3)
    assert asked == [1, 2, 3]


def test_own_predictions_and_scores():
    callback = TaskAccuracy(
        {"task": (X, Y)},
        predict=lambda model, x: x.sum(axis=1),
        scores={"total": lambda answers, right: answers.sum() + right.sum()},
    )
    assert fit(callback).history["task_total"] == [6.0]  # 4 + 2


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"tasks": {}}, "must be a task"),
        ({"tasks": {"a/b": (X, Y)}}, "a/b"),
        ({"tasks": TASKS, "scores": {"a/b": max}}, "a/b"),
        ({"tasks": TASKS, "every": 0}, "every=0"),
    ],
)
def test_impossible_tasks_are_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        TaskAccuracy(**arguments)


# The classifier's logits are 1 and 0, so that the right class costs
# -ln(e / (e + 1)) = ln(1 + 1/e), and the wrong one ln(1 + e).
RIGHT, WRONG = math.log1p(math.exp(-1)), math.log1p(math.e)


def test_each_part_gets_its_loss_into_history():
    targets = np.array([0, 1, 1, 0])  # two right, two wrong
    parts = {
        "right": np.array([True, True, False, False]),
        "wrong": np.array([False, False, True, True]),
        "some": np.array([True, True, True, False]),
    }
    callback = LossByTask(X, targets, parts)
    assert callback.keys == ("right_loss", "wrong_loss", "some_loss")
    history = fit(callback, epochs=2).history
    assert history["right_loss"] == pytest.approx([RIGHT] * 2, rel=1e-6)
    assert history["wrong_loss"] == pytest.approx([WRONG] * 2, rel=1e-6)
    some = (2 * RIGHT + WRONG) / 3
    assert history["some_loss"] == pytest.approx([some] * 2, rel=1e-6)
    assert all(type(v) is float for v in history["some_loss"])


def test_a_part_selects_places_of_a_text():
    # Two rows of two places; logits of a million show no overflow, and cost
    # 0 for the right class and the difference for the wrong one.
    model = keras.Sequential([keras.Input((2, 2)), keras.layers.Dense(2)])
    model.layers[0].set_weights([1e6 * np.eye(2), np.zeros(2)])
    inputs = np.stack([X[:2], X[2:]])  # classes 0 1, 0 1
    parts = {
        "first_place": np.array([[True, False], [True, False]]),
        "last": np.array([[False, False], [False, True]]),
    }
    callback = LossByTask(inputs, np.array([[0, 1], [1, 1]]), parts)
    callback.set_model(model)
    callback.set_params({"epochs": 1})
    logs = {"loss": 9.0}
    callback.on_epoch_end(0, logs)
    assert logs == {"loss": 9.0, "first_place_loss": 5e5, "last_loss": 0.0}


def test_losses_are_measured_every_few_epochs_and_at_last():
    callback = LossByTask(X, Y, {"all": Y >= 0}, every=2)
    history = fit(callback, epochs=5).history
    is_nan = [math.isnan(v) for v in history["all_loss"]]
    assert is_nan == [True, False, True, False, False]


def test_measuring_does_not_change_training():
    weights = []
    for callbacks in ([], [LossByTask(X, 1 - Y, {"all": Y >= 0})]):
        model = classifier()
        model.optimizer.learning_rate = 0.5
        model.fit(X, Y, epochs=3, callbacks=callbacks, verbose=0)
        weights.append(model.get_weights()[0])
    np.testing.assert_array_equal(*weights)
    assert np.abs(weights[0] - np.eye(2)).max() > 0.1  # it trained


@pytest.mark.parametrize(
    ("parts", "every", "rule"),
    [
        ({"a": np.ones(3, bool)}, 1, r"part 'a' of shape \(3,\)"),
        ({"a": np.zeros(4, bool)}, 1, "0 selected"),
        ({"a": np.ones(4, bool)}, 0, "every=0"),
    ],
)
def test_impossible_parts_are_refused(parts, every, rule):
    with pytest.raises(ValueError, match=rule):
        LossByTask(X, Y, parts, every)


def feed(logger, losses):
    """Plays an epoch-by-epoch loss curve into a callback, without a model."""
    logger.on_train_begin()
    for epoch, loss in enumerate(losses):
        logger.on_epoch_end(epoch, {"loss": loss})


def test_two_steps_are_two_drops():
    logger = LossDropLogger(min_drop=0.5, window=1)
    feed(logger, [2.0, 2.0, 1.0, 1.0, 0.5])
    assert logger.events == [
        LossDrop(3, 1.0, 2.0, 1.0),
        LossDrop(5, 0.5, 1.0, 0.5),
    ]


def test_a_second_fit_starts_a_new_record(tmp_path):
    logger = LossDropLogger(0.5, 1, path=tmp_path / "drops.csv")
    feed(logger, [2.0, 1.0])
    feed(logger, [2.0, 2.0])
    assert logger.values == [2.0, 2.0]
    assert logger.events == []
    assert list(csv.DictReader(logger.path.open())) == []


def test_a_continued_run_finds_the_drop_across_the_break():
    logger = LossDropLogger(0.5, 1, earlier_values=[2.0, 2.0])
    logger.on_train_begin()
    logger.on_epoch_end(2, {"loss": 1.0})
    assert logger.events == [LossDrop(3, 1.0, 2.0, 1.0)]


def test_a_fit_with_an_initial_epoch_counts_from_there():
    logger = LossDropLogger(0.5, 1)
    logger.on_train_begin()
    for epoch, loss in ((10, 2.0), (11, 1.0)):
        logger.on_epoch_end(epoch, {"loss": loss})
    assert logger.events == [LossDrop(12, 1.0, 2.0, 1.0)]


def test_drops_are_written_to_a_file(tmp_path):
    logger = LossDropLogger(0.5, 1, path=tmp_path / "drops.csv")
    feed(logger, [2.0, 1.0, 1.0])
    (row,) = csv.DictReader(logger.path.open())
    assert row == {"epoch": "2", "size": "1.0", "before": "2.0", "after": "1.0"}


def test_any_key_of_the_logs_can_be_watched():
    logger = LossDropLogger(0.5, 1, monitor="val_loss")
    logger.on_train_begin()
    logger.on_epoch_end(0, {"loss": 9.0, "val_loss": 1.0})
    assert logger.values == [1.0]
    with pytest.raises(ValueError, match="monitor='val_loss'"):
        logger.on_epoch_end(1, {"loss": 9.0})


def test_a_rule_without_a_threshold_is_refused():
    with pytest.raises(ValueError, match="min_drop=0"):
        LossDropLogger(min_drop=0)


def test_both_work_within_one_fit():
    drops = LossDropLogger()
    history = fit(TaskAccuracy(TASKS), drops, epochs=2).history
    assert drops.values == history["loss"]


def test_the_import_is_light():
    # Nothing else of tiny_gpt: what the lab needs stays unimported.
    code = (
        "import sys, tiny_gpt.callbacks; "
        "print(sorted(m for m in sys.modules if m.startswith('tiny_gpt')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    expected = ["", ".analysis", ".analysis.events", ".callbacks"]
    assert done.stdout.strip() == str([f"tiny_gpt{m}" for m in expected])
