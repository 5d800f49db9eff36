"""The epoch program: a compiled epoch, for any Keras model on JAX."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tiny_gpt.runtime.backend import dividing
from tiny_gpt.runtime.programs import JaxProgram, memory_needed


class EpochProgram:
    """An epoch of training as one compiled call, for any Keras model.

    Args:
        model: a compiled model with a built optimizer. Its loss must be the
            mean over windows by weight (`mean_with_sample_weight`), since
            the last batch is filled up with windows of weight 0. Other
            metrics are left out.
        num_runs: runs in one batch; 1 for no batch.
        devices: devices of JAX that divide the windows of each update, for
            one run; each holds the whole state. With fewer than two, all is
            on the default device. Windows of weight 0 make equal shares. The
            gradient of the whole batch is computed before the optimizer
            clips it, so the number of devices changes only the order of sums.
            An `AbstractMesh` stands for devices that are not there.

    Attributes:
        program: what is compiled, of the arguments of a call.

    Raises:
        ValueError: if the backend is not JAX, the model is not compiled as
            above, or several runs are to be divided.
    """

    def __init__(
        self,
        model: keras.Model,
        num_runs: int = 1,
        devices: Any = (),
    ):
        check_trainable(model)
        self._model = model
        self._is_trainable = _is_trainable(model)
        epoch = self._epoch
        if num_runs > 1:
            import jax

            epoch = jax.vmap(epoch, in_axes=(0, 0, 0, 0, None))
        self._num_shares = max(_count(devices), 1)
        self._shardings = None
        if self._num_shares > 1:
            if num_runs > 1:
                raise ValueError(
                    "Several devices divide the batch of one run. "
                    f"Received: num_runs={num_runs} on {_count(devices)} "
                    "devices"
                )
            self._shardings = _shardings(devices)
            epoch = dividing()(epoch)
        self.program = JaxProgram(epoch, (0,), self._shardings)

    def __call__(
        self,
        state: Sequence[Any],
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        num_batches: int,
    ) -> tuple[list[Any], np.ndarray]:
        """Trains for an epoch.

        For several runs, all arguments but the last have a leading run axis.

        Args:
            state: values of all variables of the model, then of the
                optimizer. The call consumes them.
            inputs: batches, shape (S, B, ...).
            targets: batches of what `fit` calls y, shape (S, B, ...).
            weights: weight of each window, shape (S, B); 0 for windows that
                only fill a batch.
            num_batches: updates to make, at most S.

        Returns:
            The state after the epoch, and the mean loss of the epoch.
        """
        args = self._placed(state, inputs, targets, weights, num_batches)
        state, losses = self.program(*args)
        counts = weights.sum(axis=-1)
        losses = np.asarray(losses, "float64")
        mean = (losses * counts).sum(axis=-1) / counts.sum(axis=-1)
        return list(state), np.asarray(mean)

    def compiled(self, *args: Any) -> Any:
        """Returns JAX's executable for the arguments of a call."""
        return self.program.compiled(*self._placed(*args))

    def shapes(
        self,
        state: Sequence[Any],
        inputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
    ) -> tuple[Any, ...]:
        """Returns shapes and places of what `program` gets from a call."""
        import jax

        args: list[Any] = [state, inputs, targets, weights]
        args[1:] = (_filled(x, self._num_shares) for x in args[1:])
        args.append(np.int32(0))
        places = self._shardings[0] if self._shardings else (None,) * 5
        return tuple(
            jax.tree.map(
                lambda x, at=at: jax.ShapeDtypeStruct(
                    x.shape, x.dtype, sharding=at
                ),
                arg,
            )
            for arg, at in zip(args, places, strict=True)
        )

    def num_bytes(self, *args: Any) -> int:
        """Returns the memory that a call needs, its arguments included."""
        return memory_needed(self.compiled(*args))

    def _placed(self, state, inputs, targets, weights, num_batches):
        """Returns the arguments on the program's devices and in its sizes."""
        args = [list(state), inputs, targets, weights, np.int32(num_batches)]
        if self._shardings is None:
            return args
        args[1:4] = (_filled(x, self._num_shares) for x in args[1:4])
        places = self._shardings[0]
        args[0] = [_put(value, places[0]) for value in args[0]]
        args[1:] = map(_put, args[1:], places[1:])
        return args

    def _epoch(self, state, inputs, targets, weights, num_batches):
        import jax
        import jax.numpy as jnp

        model, num_model = self._model, len(self._is_trainable)
        of_model, of_optimizer = state[:num_model], state[num_model:]
        trainable, other = _part(self._is_trainable, of_model)
        # Zeros: the loss is collected here, batch by batch.
        metrics = [jnp.zeros(v.shape, v.dtype) for v in model.metrics_variables]

        # Keras losses have the shape of the output without its last axis.
        rank = len(model.outputs[0].shape) - 1

        def update(i, carry):
            (trainable, other, of_optimizer), losses = carry
            weight = weights[i].reshape(-1, *(1,) * (rank - 1))
            weight = jnp.broadcast_to(weight, targets[i].shape[:rank])
            logs, (trainable, other, of_optimizer, _) = model.train_step(
                (trainable, other, of_optimizer, metrics),
                (inputs[i], targets[i], weight),
            )
            state = list(trainable), list(other), list(of_optimizer)
            return state, losses.at[i].set(logs["loss"])

        carry = (trainable, other, of_optimizer), jnp.zeros(len(inputs))
        (trainable, other, of_optimizer), losses = jax.lax.fori_loop(
            0, num_batches, update, carry
        )
        of_model = _join(self._is_trainable, trainable, other)
        return [*of_model, *of_optimizer], losses


def first_copy(state: Sequence[Any]) -> list[Any]:
    """Returns the state of a program on the first device of this process.

    If several devices hold the whole state, one copy is taken; the state of
    one device is returned unchanged.
    """
    return [
        value.addressable_data(0) if hasattr(value, "sharding") else value
        for value in state
    ]


def _count(devices: Any) -> int:
    return devices.size if hasattr(devices, "size") else len(devices)


def _shardings(devices: Any) -> tuple[Any, Any]:
    """Returns the shardings of a divided epoch's arguments and results."""
    from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

    mesh = devices
    if not isinstance(devices, AbstractMesh):
        mesh = Mesh(np.array(devices), ("windows",))
    (axis,) = mesh.axis_names
    whole = NamedSharding(mesh, PartitionSpec())
    shared = NamedSharding(mesh, PartitionSpec(None, axis))
    return (whole, shared, shared, shared, whole), whole


def _filled(batches: np.ndarray, multiple: int) -> np.ndarray:
    """Fills (S, B, ...) up with zeros so that B is a multiple."""
    missing = -batches.shape[1] % multiple
    after = [(0, 0), (0, missing)] + [(0, 0)] * (batches.ndim - 2)
    return np.pad(batches, after) if missing else batches


def _put(value: Any, sharding: Any) -> Any:
    """Places a value that every host holds, by a sharding."""
    import jax

    if getattr(value, "sharding", None) == sharding:
        return value
    array = np.asarray(value)
    return jax.make_array_from_callback(
        array.shape, sharding, lambda index: array[index]
    )


def check_trainable(model: keras.Model) -> None:
    """Checks that a model can be trained by an `EpochProgram`.

    Raises:
        ValueError: if it cannot.
    """
    if keras.backend.backend() != "jax":
        raise ValueError(
            "Programs of whole epochs need JAX; elsewhere use `train.run`. "
            f"Received: KERAS_BACKEND={keras.backend.backend()!r}"
        )
    loss = getattr(model, "loss", None)
    reduction = getattr(loss, "reduction", None)
    if reduction != "mean_with_sample_weight":
        raise ValueError(
            "A model must be compiled with one loss object whose `reduction` "
            "is 'mean_with_sample_weight'. "
            f"Received: loss={loss!r} with reduction={reduction!r}"
        )
    if len(getattr(model, "outputs", None) or ()) != 1:
        raise ValueError(
            "A model must be functional or sequential, with one output. "
            f"Received: {type(model).__name__} {model.name!r}"
        )
    if not model.optimizer.built:
        raise ValueError(
            "The optimizer must be built: optimizer.build("
            f"model.trainable_variables). Received: {model.optimizer.name!r}"
        )


def _is_trainable(model: keras.Model) -> list[bool]:
    trainable = {id(v) for v in model.trainable_variables}
    return [id(v) in trainable for v in model.variables]


def _part(is_first: list[bool], values: Sequence[Any]) -> tuple[list, list]:
    pairs = list(zip(is_first, values, strict=True))
    return [v for first, v in pairs if first], [v for f, v in pairs if not f]


def _join(is_first: list[bool], first: list, second: list) -> list:
    one, other = iter(first), iter(second)
    return [next(one) if is_one else next(other) for is_one in is_first]
