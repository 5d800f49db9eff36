"""Measuring in the middle of a training, without a trace.

A measurement sees the weights that Keras itself would validate: with
`SwapEMAWeights` the averaged ones. Afterwards the model is as it was.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np


class Measuring(keras.callbacks.Callback):
    """A callback that measures the model; the base of those that do."""

    def set_model(self, model):
        super().set_model(model)
        self._averages = [
            callback
            for callback in callbacks_of_fit()
            if isinstance(callback, keras.callbacks.SwapEMAWeights)
        ]

    def measuring(self) -> contextlib.AbstractContextManager[Any]:
        """Context in which the model may be evaluated; gives the model."""
        return _measuring(self.model, getattr(self, "_averages", ()))

    def __getstate__(self):
        # They belong to one call of `fit`.
        return {k: v for k, v in self.__dict__.items() if k != "_averages"}


def callbacks_of_fit() -> list[Any]:
    """Returns all callbacks of the `fit` that is calling.

    Keras tells a callback its model, not what else is listed. The list itself
    is on the stack of that call.
    """
    frame = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList):
            return caller.callbacks
        frame = frame.f_back  # type: ignore[assignment]
    return []


@contextlib.contextmanager
def _measuring(model: Any, averages: Sequence[Any]) -> Iterator[Any]:
    optimizer: Any = getattr(model, "optimizer", None)
    # Those that show the averaged weights already, go on doing so.
    to_swap = [
        callback
        for callback in averages
        if not getattr(callback, "_ema_weights_in_model", False)
        and getattr(optimizer, "built", False)
    ]
    variables = [
        *getattr(model, "non_trainable_variables", ()),
        *getattr(model, "metrics_variables", ()),
        *_states(model),
        *_global_generator(),
    ]
    if to_swap:  # TensorFlow swaps by sums, which round
        variables += [*model.trainable_variables, *optimizer.variables]
    before = [_value(variable) for variable in variables]
    put_back = _torch_state(model)
    attached = _attached(model)
    for callback in to_swap:
        callback.on_test_begin()
    try:
        yield model
    except BaseException:
        _attach(model, attached)
        raise
    finally:
        for callback in to_swap:
            callback.on_test_end()
        for variable, value in zip(variables, before, strict=True):
            if _value(variable).tobytes() != value.tobytes():
                variable.assign(value)
        put_back()


def _attached(model: Any) -> list[tuple[Any, Any]]:
    """Returns the arrays of a model's variables (JAX)."""
    if keras.backend.backend() != "jax":
        return []
    variables = [
        *getattr(model, "variables", ()),
        *getattr(model, "metrics_variables", ()),
    ]
    return [(v, v.value) for v in variables if isinstance(v, keras.Variable)]


def _attach(model: Any, attached: list[tuple[Any, Any]]) -> None:
    """Gives a model its arrays again, which Keras takes away to evaluate.

    Without this, an error in an evaluation would leave it without weights.
    After the first batch they are in the state of the evaluation.
    """
    if any(array.is_deleted() for _, array in attached):
        model.jax_state_sync()
    for variable, array in attached:
        if not array.is_deleted():
            variable.assign(array)


def _states(model: Any) -> list[Any]:
    """Returns the states of stateful recurrent layers, at any depth."""
    # They are not among a model's variables.
    layers = getattr(model, "_flatten_layers", lambda: ())()
    return [
        state
        for layer in layers
        if getattr(layer, "stateful", False)
        for state in keras.tree.flatten(getattr(layer, "states", None))
        if isinstance(state, keras.Variable)
    ]


def _torch_state(model: Any) -> Callable[[], None]:
    """Returns what puts PyTorch's own state back; nothing elsewhere.

    Its loaders draw a seed whenever they are read, and its modules know
    whether they train.
    """
    if keras.backend.backend() != "torch":
        return lambda: None
    import torch

    state, mode = torch.get_rng_state(), getattr(model, "training", False)
    on_gpus = torch.cuda.get_rng_state_all()

    def put_back():
        torch.set_rng_state(state)
        torch.cuda.set_rng_state_all(on_gpus)
        if hasattr(model, "train"):
            model.train(mode)

    return put_back


def _value(variable: Any) -> np.ndarray:
    # Through a tensor: `tf.distribute` has no other way.
    value = keras.ops.convert_to_tensor(variable)
    return np.array(keras.ops.convert_to_numpy(value))


def _global_generator() -> list[Any]:
    """Returns the state from which unseeded random layers draw, if any."""
    try:
        from keras.src.backend.common import global_state
    except ImportError:  # moved by a newer Keras
        return []
    generator = global_state.get_global_attribute("global_seed_generator")
    return [] if generator is None else [generator.state]


def num_replicas(model: Any) -> int:
    """Returns how many replicas a model has under `tf.distribute`."""
    if keras.backend.backend() != "tensorflow":
        return 1
    strategy = getattr(model, "distribute_strategy", None)
    return getattr(strategy, "num_replicas_in_sync", 1)
