"""Tests for tiny_gpt/callbacks/losses.py."""

import math

import keras
import numpy as np
import pytest

from tiny_gpt.callbacks import LossByTask, Schedule

pytestmark = pytest.mark.backend

X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], "float32")
Y = np.array([0, 1, 0, 1])


# The classifier's logits are 1 and 0, so that the right class costs
# -ln(e / (e + 1)) = ln(1 + 1/e), and the wrong one ln(1 + e).
RIGHT, WRONG = math.log1p(math.exp(-1)), math.log1p(math.e)


def test_each_part_gets_its_loss_into_history(fit_identity):
    targets = np.array([0, 1, 1, 0])  # two right, two wrong
    parts = {
        "right": np.array([True, True, False, False]),
        "wrong": np.array([False, False, True, True]),
        "some": np.array([True, True, True, False]),
    }
    callback = LossByTask(X, targets, parts)
    assert callback.log_keys == ("right_loss", "wrong_loss", "some_loss")
    history = fit_identity(callback, epochs=2).history
    assert history["right_loss"] == pytest.approx([RIGHT] * 2, rel=1e-6)
    assert history["wrong_loss"] == pytest.approx([WRONG] * 2, rel=1e-6)
    some = (2 * RIGHT + WRONG) / 3
    assert history["some_loss"] == pytest.approx([some] * 2, rel=1e-6)
    assert all(type(v) is float for v in history["some_loss"])


def test_a_floor_is_subtracted_from_its_part(fit_identity):
    parts = {"first": Y == 0, "second": Y == 1}
    callback = LossByTask(X, Y, parts, floors={"second": 0.25})
    history = fit_identity(callback).history
    assert history["first_loss"] == pytest.approx([RIGHT], rel=1e-6)
    assert history["second_loss"] == pytest.approx([RIGHT - 0.25], rel=1e-6)


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


def test_losses_are_measured_every_few_epochs_and_at_last(fit_identity):
    callback = LossByTask(X, Y, {"all": Y >= 0}, every=2)
    history = fit_identity(callback, epochs=5).history
    is_nan = [math.isnan(v) for v in history["all_loss"]]
    assert is_nan == [True, False, True, False, False]


def test_measuring_does_not_change_training(identity):
    weights = []
    for callbacks in ([], [LossByTask(X, 1 - Y, {"all": Y >= 0})]):
        model = identity()
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


def test_an_output_of_another_shape_is_refused_when_fit_begins(fit_identity):
    parts = {"all": np.ones((4, 3), bool)}
    with pytest.raises(ValueError, match="one axis more than the targets"):
        fit_identity(LossByTask(X, np.zeros((4, 3), int), parts))


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
