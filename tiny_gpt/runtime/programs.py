"""The interface to JAX and TensorFlow: how a function is compiled."""

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import keras

from tiny_gpt.runtime.backend import (
    building_for,
    default_device,
    form,
    target,
)

SUPPORTED = ("jax", "tensorflow")


@dataclass(frozen=True)
class Weight:
    """One weight of a snapshot.

    Attributes:
        path: name, as of a Keras variable.
        value: array.
    """

    path: str
    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(self.value.shape)


class Snapshot:
    """Weights of a model at one moment, for use in place of the model.

    Args:
        model: the model.
        values: values of all its variables, in its order.
        predict: from (snapshot, inputs) to outputs.
    """

    def __init__(
        self,
        model: keras.Model,
        values: Sequence[Any],
        predict: Callable[["Snapshot", Any], Any],
    ):
        self.values = list(values)
        self._model = model
        self._predict = predict

    def predict_on_batch(self, x: Any) -> Any:
        """Returns outputs, as `keras.Model.predict_on_batch` does."""
        return self._predict(self, x)

    @property
    def weights(self) -> list[Weight]:
        """The weights, in the order of those of the model."""
        return self._select(self._model.weights)

    @property
    def trainable_weights(self) -> list[Weight]:
        """The trainable weights."""
        return self._select(self._model.trainable_weights)

    def save_weights(self, path: Any) -> None:
        """Writes the weights as `keras.Model.save_weights` does."""
        # Other threads train with the model itself.
        model = type(self._model).from_config(self._model.get_config())
        for variable, weight in zip(model.weights, self.weights, strict=True):
            variable.assign(weight.value)
        model.save_weights(path)

    def _select(self, variables: Sequence[Any]) -> list[Weight]:
        values = zip(self._model.variables, self.values, strict=True)
        value_by_id = {id(variable): value for variable, value in values}
        return [Weight(v.path, value_by_id[id(v)]) for v in variables]


def compile_for_model(
    model: keras.Model, function: Callable[..., Any]
) -> Callable[..., Any]:
    """Compiles a function that calls a model, with XLA where there is one.

    The compiled function reads the weights anew at each call, so it need not
    be compiled again when training has changed them.

    Args:
        model: model whose layers `function` calls.
        function: from tensors to tensors; shapes must not depend on values.

    Returns:
        Function of a source of weights, the model or a `Snapshot` (JAX), and
        of the same arguments. Each new argument shape is compiled once.

    Raises:
        ValueError: if the backend is neither JAX nor TensorFlow.
    """
    name = keras.backend.backend()
    if name == "jax":
        return ModelProgram(model, function)
    if name == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(
            function, jit_compile=form().has_xla, autograph=False
        )
        return lambda source, *args: compiled(*args)
    raise ValueError(
        f"Compiled calls need one of the backends {SUPPORTED}. "
        f"Received: KERAS_BACKEND={name!r}"
    )


class ModelProgram:
    """A function that calls a model, compiled by JAX.

    Args:
        model: the model whose layers `function` calls.
        function: from tensors to tensors.

    Attributes:
        program: the same as a `JaxProgram` of the values of all variables of
            the model and of the tensors.
    """

    def __init__(self, model: keras.Model, function: Callable[..., Any]):
        def stateless(values, *args):
            # Layers read `values` in place of their variables in this scope.
            mapping = list(zip(model.variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function(*args)

        self.program = JaxProgram(stateless)

    def __call__(self, source: Any, *args: Any) -> Any:
        """Calls it with the weights of a model or of a `Snapshot`."""
        if isinstance(source, Snapshot):
            return self.program(source.values, *args)
        return self.program([v.value for v in source.variables], *args)


def compile_gradient(
    model: keras.Model, function: Callable[..., Any]
) -> Callable[..., Any]:
    """Compiles the gradient of a function that calls a model.

    Args:
        model: model whose layers `function` calls.
        function: from tensors to a scalar; shapes must not depend on values.

    Returns:
        Function of a source of weights, as in `compile_for_model`, and of the
        same arguments. It returns one tensor for each of the model's
        trainable variables, in their order and of their shapes.

    Raises:
        ValueError: if the backend is neither JAX nor TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        return compile_for_model(
            model, lambda *args: _jax_gradient(model, function, args)
        )
    import tensorflow as tf

    def gradient(*args):
        variables = [v.value for v in model.trainable_variables]
        with tf.GradientTape() as tape:
            result = function(*args)
        found = tape.gradient(result, variables)
        return [tf.convert_to_tensor(g) for g in found]

    return compile_for_model(model, gradient)


def _jax_gradient(model, function, args):
    import jax

    # In the scope of a `ModelProgram` a variable has the value of whose
    # weights are used.
    variables = model.trainable_variables
    all_values = [(v, v.value) for v in model.variables]

    def result(values):
        mapping = all_values + list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*args)

    return jax.grad(result)([v.value for v in variables])


class JaxProgram:
    """A function compiled by JAX, once per argument shapes and device.

    Any thread may call it. It runs on the default device of the thread, or on
    those of the shardings.

    Args:
        function: from arrays to arrays.
        donated: places of arguments whose memory may be used for results.
        shardings: of the arguments and of the results, as for `jax.jit`; None
            for one device.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        donated: Sequence[int] = (),
        shardings: tuple[Any, Any] | None = None,
    ):
        import jax

        self._target = target()
        rewritten = (self._target.rewrite or _unchanged)(function)

        # JAX keeps traces by function; ours are also by target.
        @functools.wraps(function)
        def own(*args):
            return rewritten(*args)

        self._is_sharded = shardings is not None
        places = {}
        if shardings is not None:
            places = {
                "in_shardings": shardings[0],
                "out_shardings": shardings[1],
            }
        self._jit = jax.jit(own, donate_argnums=tuple(donated), **places)
        self._programs: dict[Any, Any] = {}
        self._lock = threading.Lock()
        self._locks: dict[Any, threading.Lock] = {}

    def __call__(self, *args: Any) -> Any:
        return self.compiled(*args)(*args)

    def compiled(self, *args: Any) -> Any:
        """Returns the executable for arguments of these shapes."""
        import jax

        leaves, structure = jax.tree.flatten(args)
        shapes = tuple((jax.numpy.shape(x), _dtype(x)) for x in leaves)
        device = None if self._is_sharded else default_device()
        key = structure, shapes, device
        if key not in self._programs:
            with self._lock:
                lock = self._locks.setdefault(key, threading.Lock())
            with lock:  # two threads would compile the same
                if key not in self._programs:
                    lowered = self.lowered(*args)
                    self._programs[key] = self._compile(lowered)
        return self._programs[key]

    def lowered(self, *args: Any) -> Any:
        """Returns the program before it is compiled, see `jax.stages`."""
        with self._lock, self._building():  # a model is traced by one at a time
            return self._jit.lower(*args)

    def exported(self, platform: str, *args: Any) -> Any:
        """Returns the program lowered for another platform.

        Args:
            platform: "tpu" or "cuda", as JAX calls it.
            *args: arrays, or their shapes (`jax.ShapeDtypeStruct`).

        Returns:
            A `jax.export.Exported`.
        """
        from jax import export

        with self._lock, self._building():
            return export.export(self._jit, platforms=[platform])(*args)

    def _building(self) -> AbstractContextManager[None]:
        return building_for(self._target.platform)

    def _compile(self, lowered: Any) -> Any:
        import jax

        with self._building():
            options = dict(form().compiler_options)
        if not options:
            return lowered.compile()
        try:
            return lowered.compile(compiler_options=options)
        except jax.errors.JaxRuntimeError:  # a version without this option
            return lowered.compile()


def memory_needed(executable: Any) -> int:
    """Returns the bytes of a device that an executable of JAX needs.

    They are those of its arguments, results and buffers at the same time.
    Memory whose use the arguments give away counts once.
    """
    analysis = executable.memory_analysis()
    if analysis is None:
        return 0
    parts = (
        analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
        - analysis.alias_size_in_bytes
        + analysis.temp_size_in_bytes
    )
    return max(parts, getattr(analysis, "peak_memory_in_bytes", 0))


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _dtype(x: Any) -> str:
    return str(getattr(x, "dtype", type(x).__name__))
