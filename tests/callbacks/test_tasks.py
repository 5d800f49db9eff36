"""Tests for tiny_gpt/callbacks/tasks.py and schedule.py."""

import csv
import math

import keras
import numpy as np
import pytest

from tiny_gpt.callbacks import Schedule, TaskAccuracy
from tiny_gpt.callbacks.outputs import accuracy, predict

pytestmark = pytest.mark.backend

X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], "float32")
Y = np.array([0, 1, 0, 1])
TASKS = {"right": (X, Y), "wrong": (X, 1 - Y), "half": (X, np.zeros(4, int))}


def test_each_task_gets_its_accuracy_into_history(fit_identity):
    history = fit_identity(TaskAccuracy(TASKS), epochs=2).history
    assert history["right_accuracy"] == [1.0, 1.0]
    assert history["wrong_accuracy"] == [0.0, 0.0]
    assert history["half_accuracy"] == [0.5, 0.5]
    assert all(type(v) is float for v in history["right_accuracy"])


def test_callbacks_listed_later_see_the_scores(tmp_path, fit_identity):
    path = tmp_path / "best.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, monitor="right_accuracy", mode="max", save_best_only=True
    )
    log = tmp_path / "log.csv"
    fit_identity(
        TaskAccuracy(TASKS), keras.callbacks.CSVLogger(log), checkpoint
    )
    assert path.exists()
    (row,) = csv.DictReader(log.open())
    assert float(row["half_accuracy"]) == 0.5


def test_keys_are_the_same_in_epochs_without_evaluation(fit_identity):
    # Every 2 of 5 epochs, and the last.
    callback = TaskAccuracy({"right": (X, Y)}, every=2)
    history = fit_identity(callback, epochs=5).history
    is_nan = [math.isnan(v) for v in history["right_accuracy"]]
    assert is_nan == [True, False, True, False, False]
    assert sorted(callback.log_keys) == ["right_accuracy", "right_loss"]
    named = TaskAccuracy({"right": (X, Y)}, scores=["accuracy"])
    assert named.log_keys == ("right_accuracy",)
    assert fit_identity(named).history["right_accuracy"] == [1.0]


def test_fresh_tasks_are_asked_by_epoch(fit_identity):
    asked = []

    def tasks(epoch):
        asked.append(epoch)
        return {"right": (X, Y)}

    callback = TaskAccuracy(tasks)
    asked.clear()  # the names were read once
    fit_identity(callback, epochs=3)
    assert asked == [1, 1, 2, 3]  # tried once, when fit begins


def test_own_predictions_and_scores(fit_identity):
    callback = TaskAccuracy(
        {"task": (X, Y)},
        predict=lambda model, x: x.sum(axis=1),
        scores={"total": lambda answers, right: answers.sum() + right.sum()},
    )
    assert fit_identity(callback).history["task_total"] == [6.0]  # 4 + 2


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"tasks": {}}, "must be a task"),
        ({"tasks": {"a/b": (X, Y)}}, "a/b"),
        ({"tasks": {"val": (X, Y)}}, "'val'"),
        ({"tasks": {"a": (X, Y[:1])}}, r"set 'a' with \[1, 4\] rows"),
        ({"tasks": {"a": (X[:0], Y[:0])}}, "at least one row"),
        ({"tasks": {"a": X}}, "set 'a' of type ndarray"),
        ({"tasks": {"a": (X, Y, Y, Y)}}, "with 4 items"),
        ({"tasks": {"a": (n for n in X)}}, "read only once"),
        ({"tasks": TASKS, "steps": 0}, "steps=0"),
        ({"tasks": TASKS, "scores": {"a/b": max}}, "a/b"),
        ({"tasks": TASKS, "every": 0}, "every=0"),
        ({"tasks": TASKS, "batch_size": 0}, "batch_size=0"),
    ],
)
def test_impossible_tasks_are_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        TaskAccuracy(**arguments)


def test_a_task_can_be_a_function_of_the_model(fit_identity):
    tasks = {"right": (X, Y), "norm": lambda model: len(model.weights)}
    callback = TaskAccuracy(tasks)
    assert callback.log_keys == ("norm",)  # the others are known later
    history = fit_identity(callback, epochs=2).history
    assert history["norm"] == [2.0, 2.0]  # kernel and bias
    assert history["right_accuracy"] == [1.0, 1.0]


def test_keras_metrics_start_anew_for_each_task(fit_identity):
    scores = {"top": keras.metrics.SparseCategoricalAccuracy()}
    history = fit_identity(TaskAccuracy(TASKS, scores=scores), epochs=2).history
    assert history["right_top"] == [1.0, 1.0]
    assert history["wrong_top"] == [0.0, 0.0]
    assert history["half_top"] == [0.5, 0.5]


def test_large_sets_are_read_in_batches_of_one_shape(fit_identity):
    shapes = []

    class Model:
        def predict_on_batch(self, x):
            shapes.append(x["a"].shape)
            return [x["a"] * 2, x["b"] + 1]

    inputs = {"a": np.arange(10.0).reshape(5, 2), "b": np.arange(5)}
    double, next_one = predict(Model(), inputs, batch_size=2)
    assert shapes == [(2, 2)] * 3  # the last one is filled up
    np.testing.assert_array_equal(double, 2 * inputs["a"])
    assert next_one.tolist() == [1, 2, 3, 4, 5]
    largest = TaskAccuracy(TASKS, scores={"accuracy": accuracy}, batch_size=3)
    history = fit_identity(largest).history
    assert history["half_accuracy"] == [0.5]


def test_tasks_can_be_asked_by_step(fit_identity):
    # 2 batches of 2 an epoch: updates 1 to 6; every 4, and the end.
    callback = TaskAccuracy({"right": (X, Y)}, every=Schedule(4, "step"))
    history = fit_identity(callback, epochs=3, batch_size=2).history
    found = [
        (row["epoch"], row["step"], row["right_accuracy"])
        for row in callback.rows
    ]
    assert found == [(2, 4, 1.0), (3, 6, 1.0)]
    is_nan = [math.isnan(v) for v in history["right_accuracy"]]
    assert is_nan == [True, False, False]


def test_steps_are_those_of_the_optimizer(identity):
    # 2 updates before; then 5 batches, whose number nobody knows before.
    def batches():
        for _ in range(5):
            yield X, Y

    model = identity()
    model.fit(X, Y, epochs=2, verbose=0)
    callback = TaskAccuracy(
        {"n": lambda model: int(np.asarray(model.optimizer.iterations))},
        every=Schedule(3, "step"),
    )
    model.fit(
        batches(), epochs=3, initial_epoch=2, verbose=0, callbacks=[callback]
    )
    # Keras on TensorFlow reads the first batch of a generator twice.
    last = int(np.asarray(model.optimizer.iterations))
    assert [row["step"] for row in callback.rows] == [3, 6, last]
    assert [row["n"] for row in callback.rows] == [3, 6, last]


def test_only_a_schedule_of_steps_has_a_batch_hook():
    # A callback with one makes every step of JAX wait.
    by_epoch = TaskAccuracy(TASKS)
    by_step = TaskAccuracy(TASKS, every=Schedule(4, "step"))
    hooks = [c.on_train_batch_end for c in (by_epoch, by_step)]
    assert [hasattr(hook, "_is_default") for hook in hooks] == [True, False]


def test_two_callbacks_cannot_write_one_key(fit_identity):
    with pytest.raises(ValueError, match=r"right_accuracy.* twice"):
        fit_identity(
            TaskAccuracy({"right": (X, Y)}), TaskAccuracy({"right": (X, Y)})
        )
    tasks = {"a_b": (X, Y), "a": (X, Y)}
    scores = {"c": max, "b_c": max}
    with pytest.raises(ValueError, match="a_b_c"):
        TaskAccuracy(tasks, scores=scores)


def test_names_of_fresh_tasks_must_stay(fit_identity):
    tasks = TaskAccuracy(lambda epoch: {f"task_{epoch}": (X, Y)})
    with pytest.raises(ValueError, match="task_2_accuracy"):
        fit_identity(tasks, epochs=2)


def test_a_schedule_says_when_it_is_time():
    def times(schedule, last):
        return [n for n in range(1, last + 1) if schedule.is_due(n)]

    assert times(Schedule(3), 10) == [3, 6, 9]
    # 10^(0/3), 10^(1/3) = 2.2, 10^(2/3) = 4.6, 10, 21.5, 46.4, 100
    assert times(Schedule(per_decade=3), 100) == [1, 2, 5, 10, 22, 46, 100]
    # Several steps at once: due if one of them is.
    assert Schedule(10, "step").is_due(12, before=8)
    assert not Schedule(10, "step").is_due(19, before=10)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"every": 0}, "every=0"),
        ({"every": 1.5}, "every=1.5"),
        ({"per_decade": 0}, "per_decade=0"),
        ({"unit": "batch"}, "unit='batch'"),
    ],
)
def test_impossible_schedules_are_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        Schedule(**arguments)
