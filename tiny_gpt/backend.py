"""The one seam to JAX and TensorFlow: how a function is compiled."""

from collections.abc import Callable
from typing import Any

import keras

SUPPORTED = ("jax", "tensorflow")


def compile_for_model(
    model: keras.Model, function: Callable[..., Any]
) -> Callable[..., Any]:
    """Compiles a function that calls a model, with XLA on both backends.

    The compiled function reads the model's weights anew at each call, so it
    need not be compiled again when training has changed them.

    Args:
        model: model whose layers `function` calls.
        function: from tensors to tensors; shapes must not depend on values.

    Returns:
        Function of the same arguments. Each new argument shape is compiled
        once.

    Raises:
        ValueError: if the backend is neither JAX nor TensorFlow.
    """
    name = keras.backend.backend()
    if name == "jax":
        return _compile_jax(model, function)
    if name == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)
    raise ValueError(
        f"Compiled calls need one of the backends {SUPPORTED}. "
        f"Received: KERAS_BACKEND={name!r}"
    )


def _compile_jax(model, function):
    import jax

    @jax.jit
    def stateless(values, *args):
        # Layers read `values` in place of their variables inside this scope.
        mapping = list(zip(model.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*args)

    return lambda *args: stateless([v.value for v in model.variables], *args)
