"""Replicas: `fit` on several devices, with the results of one.

Each device has a replica of the model and reads an equal share of every batch.
Three things would make the results depend on the number of devices. They are
therefore computed over the whole batch:

- The loss is the mean over all windows of a batch, not the mean of the means
  of its shares. Windows of weight 0 fill a batch up to equal shares. Targets
  that are not scored have weight 0, too.
- Gradients are summed before they are clipped. On TensorFlow, Keras clips
  those of each replica (`TrainConfig.clipping`), and the sum of clipped
  gradients is a different one. On JAX the compiler sums them first.
- An epoch's loss weighs each batch by the number of its windows.

Questions are asked of a copy of the model on one device.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tiny_gpt.evaluation.data import NOT_SCORED
from tiny_gpt.runtime.devices import Placement

LOSS_METRIC = "loss_of_windows"


class _ClipsSum(keras.optimizers.Optimizer):
    """The clipping of `ClipAfterSum`, for an optimizer of Keras after it.

    TensorFlow sums the gradients of all replicas between clipping (`clipnorm`)
    and `update_step`, so this clips in the latter. With one replica it is the
    optimizer with `clipnorm`, and has the same variables.

    Args:
        learning_rate: as of the optimizer.
        sum_clipnorm: largest norm of each variable's gradient.
        **kwargs: passed on to the optimizer.
    """

    def __init__(self, learning_rate=1e-3, sum_clipnorm=1.0, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.sum_clipnorm = sum_clipnorm

    def update_step(self, gradient, variable, learning_rate):
        import tensorflow as tf  # it also clips gradients of repeated tokens

        gradient = tf.clip_by_norm(gradient, self.sum_clipnorm)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        return {**super().get_config(), "sum_clipnorm": self.sum_clipnorm}


@keras.saving.register_keras_serializable(package="tiny_gpt")
class ClipAfterSum(_ClipsSum, keras.optimizers.Adam):
    """Adam that clips each variable's gradient after the replicas' sum."""


@keras.saving.register_keras_serializable(package="tiny_gpt")
class SGDClipAfterSum(_ClipsSum, keras.optimizers.SGD):
    """Plain SGD that clips each variable's gradient after that sum."""


class MeanOverReplicas(keras.losses.SparseCategoricalCrossentropy):
    """This replica's part of the mean cross-entropy over a whole batch.

    It is the sum of this replica's weighted losses over the weights of all
    replicas. The parts add up to the mean, and their gradients to its
    gradient. (Keras takes the mean over a replica, divided by the number of
    replicas.)
    """

    def __init__(self, **kwargs):
        super().__init__(from_logits=True, reduction="sum", **kwargs)

    def __call__(self, y_true, y_pred, sample_weight=None):
        import tensorflow as tf

        if sample_weight is None:
            raise ValueError(
                "The loss over replicas needs the weights of all tokens. "
                "Received: sample_weight=None"
            )
        total = ops.sum(ops.cast(sample_weight, self.dtype))
        context = tf.distribute.get_replica_context()
        if context is not None:  # Keras first builds the model outside one
            total = context.all_reduce("SUM", total)
        summed = super().__call__(y_true, y_pred, sample_weight=sample_weight)
        return ops.divide_no_nan(summed, total)


class FilledWindows(keras.utils.PyDataset):
    """Batches of equal size, with a weight for each token.

    The weight is 1 if all targets are scored. Otherwise it is 0 for those that
    are not, and equal for the others: the weights of a batch add up to its
    number of tokens, so that an epoch's loss weighs batches as `fit` does.

    Args:
        windows: batches of inputs and targets, each of shape (B, T).
        batch_size: windows in each whole batch, B.
        num_replicas: the size is rounded up to a multiple of it.
    """

    def __init__(
        self,
        windows: keras.utils.PyDataset,
        batch_size: int,
        num_replicas: int,
    ):
        super().__init__(workers=0)
        self._windows = windows
        self._size = -(-batch_size // num_replicas) * num_replicas

    def __len__(self):
        return len(self._windows)

    def __getitem__(self, index):
        inputs, targets = self._windows[index]
        missing = self._size - len(inputs)
        is_scored = targets != NOT_SCORED
        weight = is_scored.size / max(is_scored.sum(), 1)
        weights = (is_scored * weight).astype("float32")
        filled = (
            np.pad(x, ((0, missing), (0, 0)))
            for x in (inputs, targets, weights)
        )
        return tuple(filled)

    def as_tensorflow(self):
        """Returns the batches as a `tf.data.Dataset` of known shapes.

        Each replica's share then has a shape at compile time, which a TPU
        needs.
        """
        import tensorflow as tf

        def batches():
            for index in range(len(self)):
                yield self[index]

        return tf.data.Dataset.from_generator(
            batches,
            output_signature=tuple(
                tf.TensorSpec(x.shape, x.dtype) for x in self[0]
            ),
        )


def filled_windows(
    windows: keras.utils.PyDataset, batch_size: int, placement: Placement
) -> Any:
    """Returns batches that the devices of a placement can share evenly."""
    filled = FilledWindows(windows, batch_size, placement.num_devices)
    return filled if placement.strategy is None else filled.as_tensorflow()


class CallbacksOnACopy(keras.callbacks.Callback):
    """Calls callbacks with a copy of the model on one device.

    It must be listed first, since it also gives `logs` the loss of the epoch.

    Args:
        callbacks: those that ask questions; they share the same `logs`.
        copy: model of the same shape, not replicated.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        copy: keras.Model,
    ):
        super().__init__()
        self._callbacks, self._copy = callbacks, copy

    def on_train_begin(self, logs=None):
        for callback in self._callbacks:
            callback.set_params(self.params)
            callback.set_model(self._copy)
            callback.on_train_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        logs["loss"] = float(logs.pop(LOSS_METRIC))
        copy_weights(self.model, self._copy)
        with _without_distribution():
            for callback in self._callbacks:
                callback.on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        for callback in self._callbacks:
            callback.on_train_end(logs)


def copy_weights(model: keras.Model, copy: keras.Model) -> None:
    """Gives a model the weights of another one of its shape."""
    with _without_distribution():
        for value, variable in zip(
            model.variables, copy.variables, strict=True
        ):
            variable.assign(ops.convert_to_numpy(value))


@contextlib.contextmanager
def _without_distribution() -> Iterator[None]:
    """Turns off Keras's distribution, which would divide all arrays on JAX."""
    kept = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(kept)


@contextlib.contextmanager
def fitting(placement: Placement) -> Iterator[None]:
    """Context in which `fit` is called: Keras's distribution on JAX.

    On TensorFlow the model knows its strategy, and callbacks must not run
    inside it.
    """
    if placement.strategy is not None:
        yield
    else:
        with placement.scope():
            yield
