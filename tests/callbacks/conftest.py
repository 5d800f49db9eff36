"""Two models on a few points, for the tests of callbacks."""

import keras
import numpy as np
import pytest

X = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
Y = np.array([0, 1])


@pytest.fixture
def classifier():
    """Returns a function that makes the model."""
    return make_classifier


@pytest.fixture
def fit():
    """Returns a function that trains a new one, with some callbacks."""
    return fit_classifier


def make_classifier(rate=0.0):
    """Kernel (3 0; 0 4), bias (0, 12): norms 5 and 12, together 13."""
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2, name="dense")]
    )
    model.layers[0].set_weights([np.diag([3.0, 4.0]), np.array([0.0, 12.0])])
    model.compile(
        keras.optimizers.SGD(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def fit_classifier(*callbacks, epochs=1, rate=0.0, **options):
    return make_classifier(rate).fit(
        X, Y, epochs=epochs, callbacks=list(callbacks), verbose=0, **options
    )


@pytest.fixture
def identity():
    """Returns a function that makes a model whose logits are its inputs."""
    return make_identity


@pytest.fixture
def fit_identity():
    """Returns a function that trains a new one, which changes nothing."""
    return train_identity


def make_identity():
    """Says 0 for (1, 0) and 1 for (0, 1), and does not train."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.layers[0].set_weights([np.eye(2), np.zeros(2)])
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def train_identity(*callbacks, epochs=1, **options):
    return make_identity().fit(
        np.tile(X, (2, 1)),
        np.tile(Y, 2),
        epochs=epochs,
        callbacks=list(callbacks),
        verbose=0,
        **options,
    )
