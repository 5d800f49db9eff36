"""Tests for tiny_gpt/callbacks/tasks.py, losses.py and schedule.py."""

import csv
import math

import keras
import numpy as np
import pytest

from tiny_gpt.callbacks import LossByTask, Schedule, TaskAccuracy
from tiny_gpt.callbacks.outputs import accuracy, predict

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
        metrics=["accuracy"],
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
    assert sorted(callback.log_keys) == ["right_accuracy", "right_loss"]
    named = TaskAccuracy({"right": (X, Y)}, scores=["accuracy"])
    assert named.log_keys == ("right_accuracy",)
    assert fit(named).history["right_accuracy"] == [1.0]


def test_fresh_tasks_are_asked_by_epoch():
    asked = []

    def tasks(epoch):
        asked.append(epoch)
        return {"right": (X, Y)}

    callback = TaskAccuracy(tasks)
    asked.clear()  # the names were read once
    fit(callback, epochs=3)
    assert asked == [1, 1, 2, 3]  # tried once, when fit begins


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


def test_a_task_can_be_a_function_of_the_model():
    tasks = {"right": (X, Y), "norm": lambda model: len(model.weights)}
    callback = TaskAccuracy(tasks)
    assert callback.log_keys == ("norm",)  # the others are known later
    history = fit(callback, epochs=2).history
    assert history["norm"] == [2.0, 2.0]  # kernel and bias
    assert history["right_accuracy"] == [1.0, 1.0]


def test_keras_metrics_start_anew_for_each_task():
    scores = {"top": keras.metrics.SparseCategoricalAccuracy()}
    history = fit(TaskAccuracy(TASKS, scores=scores), epochs=2).history
    assert history["right_top"] == [1.0, 1.0]
    assert history["wrong_top"] == [0.0, 0.0]
    assert history["half_top"] == [0.5, 0.5]


def test_large_sets_are_read_in_batches_of_one_shape():
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
    history = fit(largest).history
    assert history["half_accuracy"] == [0.5]


def test_tasks_can_be_asked_by_step():
    # 2 batches of 2 an epoch: updates 1 to 6; every 4, and the end.
    callback = TaskAccuracy({"right": (X, Y)}, every=Schedule(4, "step"))
    history = fit(callback, epochs=3, batch_size=2).history
    found = [
        (row["epoch"], row["step"], row["right_accuracy"])
        for row in callback.rows
    ]
    assert found == [(2, 4, 1.0), (3, 6, 1.0)]
    is_nan = [math.isnan(v) for v in history["right_accuracy"]]
    assert is_nan == [True, False, False]


def test_steps_are_those_of_the_optimizer():
    # 2 updates before; then 5 batches, whose number nobody knows before.
    def batches():
        for _ in range(5):
            yield X, Y

    model = classifier()
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


def test_two_callbacks_cannot_write_one_key():
    with pytest.raises(ValueError, match=r"right_accuracy.* twice"):
        fit(TaskAccuracy({"right": (X, Y)}), TaskAccuracy({"right": (X, Y)}))
    tasks = {"a_b": (X, Y), "a": (X, Y)}
    scores = {"c": max, "b_c": max}
    with pytest.raises(ValueError, match="a_b_c"):
        TaskAccuracy(tasks, scores=scores)


def test_names_of_fresh_tasks_must_stay():
    tasks = TaskAccuracy(lambda epoch: {f"task_{epoch}": (X, Y)})
    with pytest.raises(ValueError, match="task_2_accuracy"):
        fit(tasks, epochs=2)


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
    assert callback.log_keys == ("right_loss", "wrong_loss", "some_loss")
    history = fit(callback, epochs=2).history
    assert history["right_loss"] == pytest.approx([RIGHT] * 2, rel=1e-6)
    assert history["wrong_loss"] == pytest.approx([WRONG] * 2, rel=1e-6)
    some = (2 * RIGHT + WRONG) / 3
    assert history["some_loss"] == pytest.approx([some] * 2, rel=1e-6)
    assert all(type(v) is float for v in history["some_loss"])


def measured(callback, model, logs):
    """What an epoch of a model writes that is not compiled."""
    callback.set_model(model)
    callback.set_params({"epochs": 1})
    callback.on_train_begin()
    callback.on_epoch_end(0, logs)
    return logs


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
    logs = measured(callback, model, {"loss": 9.0})
    assert logs == {"loss": 9.0, "first_place_loss": 5e5, "last_loss": 0.0}


def test_probabilities_cost_as_much_as_their_logits():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2), keras.layers.Softmax()]
    )
    model.layers[0].set_weights([np.eye(2), np.zeros(2)])
    callback = LossByTask(
        X, Y, {"all": Y >= 0}, from_logits=False, batch_size=3
    )
    logs = measured(callback, model, {})
    assert logs["all_loss"] == pytest.approx(RIGHT, rel=1e-6)


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


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_bfloat16_has_too_few_digits_for_sums(activation):
    # 2000 equal classes cost ln(2000); bfloat16 counts to 256.
    dense = keras.layers.Dense(2000, activation=activation, dtype="bfloat16")
    model = keras.Sequential([keras.Input((2,)), dense])
    model.set_weights([np.zeros((2, 2000)), np.zeros(2000)])
    is_logits = activation is None
    callback = LossByTask(X, Y, {"all": Y >= 0}, from_logits=is_logits)
    logs = measured(callback, model, {})
    # The probability itself, 0.0005, is rounded to 8 bits.
    tolerance = 1e-6 if is_logits else 1e-3
    assert logs["all_loss"] == pytest.approx(math.log(2000), rel=tolerance)


def test_one_column_is_the_second_of_two_classes():
    # The logit is 1 for (1, 0): class 1 costs ln(1 + 1/e), class 0 ln(1 + e).
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.layers[0].set_weights([np.array([[1.0], [-1.0]]), np.zeros(1)])
    parts = {"ones": (Y == 0)[:, None], "zeros": (Y == 1)[:, None]}
    column = (1 - Y)[:, None]  # (4, 1), as keras.datasets gives labels
    logs = measured(LossByTask(X, column, parts), model, {})
    assert logs["ones_loss"] == pytest.approx(RIGHT, rel=1e-6)
    assert logs["zeros_loss"] == pytest.approx(RIGHT, rel=1e-6)
    logs = measured(LossByTask(X, 1 - column, parts), model, {})
    assert logs["ones_loss"] == pytest.approx(WRONG, rel=1e-6)


def test_probabilities_are_not_taken_for_logits():
    probabilities = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2), keras.layers.Softmax()]
    )
    parts = {"all": Y >= 0}
    with pytest.raises(ValueError, match="must return logits"):
        measured(LossByTask(X, Y, parts), probabilities, {})
    logits = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    logits.layers[0].set_weights([np.eye(2), np.full(2, -1.0)])
    with pytest.raises(ValueError, match="must return probabilities"):
        measured(LossByTask(X, Y, parts, from_logits=False), logits, {})
    # What the compiled loss says is known.
    probabilities.compile("sgd", "sparse_categorical_crossentropy")
    measured(LossByTask(X, Y, parts), probabilities, {})
    with pytest.raises(ValueError, match="what the compiled loss says"):
        measured(LossByTask(X, Y, parts, from_logits=True), probabilities, {})


def test_an_output_of_another_shape_is_refused_when_fit_begins():
    parts = {"all": np.ones((4, 3), bool)}
    with pytest.raises(ValueError, match="one axis more than the targets"):
        fit(LossByTask(X, np.zeros((4, 3), int), parts))


@pytest.mark.parametrize(
    ("parts", "every", "rule"),
    [
        ({"a": np.ones(3, bool)}, 1, r"part 'a' of shape \(3,\)"),
        ({"a": np.zeros(4, bool)}, 1, "0 selected"),
        ({"a": np.ones(4, bool)}, 0, "every=0"),
        ({"a": np.ones(4, bool)}, Schedule(9, "step"), "end of epochs"),
    ],
)
def test_impossible_parts_are_refused(parts, every, rule):
    with pytest.raises(ValueError, match=rule):
        LossByTask(X, Y, parts, every)
