"""Tests for training/epoch_program.py: a program trains as `fit` does."""

import keras
import numpy as np
import pytest

from benchmarks.tiny_runs import TINY
from tiny_gpt.training.compiled_runs import CompiledPrograms
from tiny_gpt.training.epoch_program import EpochProgram, check_trainable
from tiny_gpt.training.run_setup import set_up_run
from tiny_gpt.training.train_batch import epoch_batches

if keras.backend.backend() != "jax":
    pytest.skip("programs of whole epochs need JAX", allow_module_level=True)


def train_with_fit_and_with_a_program(make, batches, num_batches, num_epochs):
    """Trains copies of a model both ways; returns losses and weights."""
    inputs, targets, weights = batches
    is_read = weights.ravel() > 0
    one, other = make(), make()
    other.set_weights(one.get_weights())
    flat = [x.reshape(-1, *x.shape[2:])[is_read] for x in (inputs, targets)]
    history = one.fit(
        *flat,
        batch_size=inputs.shape[1],
        epochs=num_epochs,
        shuffle=False,
        verbose=0,
    )
    program = EpochProgram(other)
    state = [
        np.array(v.value)
        for v in (*other.variables, *other.optimizer.variables)
    ]
    losses = []
    for _ in range(num_epochs):
        state, loss = program(state, *batches, num_batches)
        losses.append(loss)
    weights = [np.array(x) for x in state[: len(other.variables)]]
    return history.history["loss"], losses, one.get_weights(), weights


def with_batch_norm():
    return [keras.layers.Dense(7), keras.layers.BatchNormalization()]


def with_dropout():
    return [keras.layers.Dense(7), keras.layers.Dropout(0.2, seed=1)]


def with_two_axes():
    return [keras.layers.Reshape((3, 2)), keras.layers.Dense(4)]


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(1e-2, clipnorm=0.1),
    "sgd": lambda: keras.optimizers.SGD(1e-2, momentum=0.9, nesterov=True),
    "adamw": lambda: keras.optimizers.AdamW(1e-2, global_clipnorm=1.0),
}


def build(layers, optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), *layers()])
    if layers is not with_two_axes:
        model.add(keras.layers.Dense(4))
    model.compile(
        OPTIMIZERS[optimizer](),
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
    )
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "layers", [with_batch_norm, with_dropout, with_two_axes]
)
def test_any_keras_model_and_optimizer(layers, optimizer):
    # Whole batches, as batch normalisation sees what fills one up; 4 of 6
    # batches are to be read, and the others must change nothing.
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(6, 8, 6)).astype("float32")
    shape = (6, 8, 3) if layers is with_two_axes else (6, 8)
    targets = rng.integers(0, 4, shape).astype("int32")
    weights = np.repeat(np.arange(6) < 4, 8).reshape(6, 8).astype("float32")
    expected, found, a, b = train_with_fit_and_with_a_program(
        lambda: build(layers, optimizer), (inputs, targets, weights), 4, 3
    )
    if layers is not with_dropout:  # another seed state per call of `fit`
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        for one, other in zip(a, b, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert expected[0] - found[-1] > 1e-3


def test_a_ragged_batch_counts_what_it_holds():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(3, 8, 6)).astype("float32")
    targets = rng.integers(0, 4, (3, 8)).astype("int32")
    weights = (np.arange(24) < 19).reshape(3, 8).astype("float32")
    inputs[weights == 0] = 1e3  # it would show
    expected, found, a, b = train_with_fit_and_with_a_program(
        lambda: build(lambda: [keras.layers.Dense(7)], "adam"),
        (inputs, targets, weights),
        3,
        3,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_models_that_a_program_cannot_train_are_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", keras.losses.MeanSquaredError())
    with pytest.raises(ValueError, match="mean_with_sample_weight"):
        check_trainable(model)
    model.compile(
        "sgd",
        keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
    )
    with pytest.raises(ValueError, match="must be built"):
        EpochProgram(model)


def test_a_model_of_two_outputs_is_refused():
    x = keras.Input((2,))
    model = keras.Model(x, [keras.layers.Dense(1)(x), x])
    model.compile(
        "sgd",
        keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
    )
    with pytest.raises(ValueError, match="one output"):
        check_trainable(model)


def test_the_memory_of_a_call_has_the_state_and_the_batches():
    setup = set_up_run(TINY, 0)
    programs = CompiledPrograms(setup)
    batches = epoch_batches(setup, 0)
    state = list(programs.initial)
    needed = programs.epoch(1).num_bytes(state, *batches)
    arguments = [*state, *batches[:3]]
    assert needed >= sum(np.asarray(x).nbytes for x in arguments)
    shapes = programs.epoch(1).shapes(state, *batches[:3])
    assert [x.shape for x in shapes[0]] == [x.shape for x in state]
    assert [x.shape for x in shapes[1:4]] == [x.shape for x in batches[:3]]
