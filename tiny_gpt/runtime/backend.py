"""The interface to JAX and TensorFlow: how a function is compiled."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras

SUPPORTED = ("jax", "tensorflow")
# XLA leaves half of a vector register idle unless it is told otherwise.
CPU_OPTIONS = {"xla_cpu_prefer_vector_width": 512}


def is_jax_on_cpu() -> bool:
    """Tells whether the backend is JAX, on a CPU by default."""
    if keras.backend.backend() != "jax":
        return False
    return default_device().platform == "cpu"


_is_dividing = ContextVar("_is_dividing", default=False)


@contextmanager
def dividing() -> Iterator[None]:
    """Context in which a program is traced if devices divide its batch."""
    token = _is_dividing.set(True)
    try:
        yield
    finally:
        _is_dividing.reset(token)


def is_dividing() -> bool:
    """Tells whether the traced program's batch is divided among devices."""
    return _is_dividing.get()


def default_device() -> Any:
    """Returns the device that JAX computes on in this thread."""
    import jax

    # Set by `devices.choose_devices` or, in threads, by `many_seeds`.
    device = getattr(jax.config, "jax_default_device", None)
    if device is None:
        return jax.local_devices()[0]
    return jax.devices(device)[0] if isinstance(device, str) else device


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
    """Compiles a function that calls a model, with XLA on both backends.

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
        return _compile_for_jax_model(model, function)
    if name == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(function, jit_compile=True, autograph=False)
        return lambda source, *args: compiled(*args)
    raise ValueError(
        f"Compiled calls need one of the backends {SUPPORTED}. "
        f"Received: KERAS_BACKEND={name!r}"
    )


def _compile_for_jax_model(model, function):
    def stateless(values, *args):
        # Layers read `values` in place of their variables inside this scope.
        mapping = list(zip(model.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*args)

    compiled = JaxProgram(stateless)

    def call(source, *args):
        if isinstance(source, Snapshot):
            return compiled(source.values, *args)
        return compiled([v.value for v in source.variables], *args)

    return call


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

    # In the scope of `_compile_for_jax_model` a variable has the value of
    # whose weights are used.
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

        self._is_sharded = shardings is not None
        places = {}
        if shardings is not None:
            places = {
                "in_shardings": shardings[0],
                "out_shardings": shardings[1],
            }
        self._jit = jax.jit(function, donate_argnums=tuple(donated), **places)
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
                    with self._lock:  # a model is traced by one at a time
                        lowered = self._jit.lower(*args)
                    self._programs[key] = _compile(lowered)
        return self._programs[key]


def _dtype(x: Any) -> str:
    return str(getattr(x, "dtype", type(x).__name__))


def _compile(lowered: Any) -> Any:
    import jax

    if not is_jax_on_cpu():
        return lowered.compile()
    try:
        return lowered.compile(compiler_options=CPU_OPTIONS)
    except jax.errors.JaxRuntimeError:  # a version without this option
        return lowered.compile()
