"""A chain of layers, computed in the faster of two forms.

Both forms give the same result: each layer as Keras calls it, or, if JAX
compiles for a CPU, as in `fast_cpu.py`. Only this module chooses.
"""

from collections.abc import Sequence
from typing import Any

import keras

from tiny_gpt.runtime.backend import form


@keras.saving.register_keras_serializable(package="tiny_gpt")
class Chain(keras.Model):
    """Layers that follow one another, from token ids to logits.

    Args:
        inputs: a `keras.Input` of token ids, shape (B, T).
        outputs: output of the last layer.
        name: of the model.

    Call arguments:
        inputs: token ids, integers of shape (B, T).
        training: whether dropout acts.
    """

    def call(self, inputs, training=None, mask=None):
        if not _is_fast_on(inputs.shape):
            return super().call(inputs, training=training, mask=mask)
        x = inputs
        for layer in applied_layers(self):
            x = apply(layer, x, training)
        return x


def applied_layers(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers of a chain in the order in which they are applied.

    A layer that is applied several times is there as often; `model.layers`
    has it once.

    Args:
        model: any model.

    Returns:
        The layers after the input; empty if the model is not a chain.
    """
    layers: list[keras.Layer] = []
    tensors: Sequence[Any] = getattr(model, "outputs", None) or ()
    while len(tensors) == 1:
        layer, call, _ = tensors[0]._keras_history
        layers.append(layer)
        tensors = layer._inbound_nodes[call].input_tensors
    return [] if tensors else layers[-2::-1]  # without the input


def apply(layer, x, training=False):
    """Applies a layer of a chain in the faster form.

    Args:
        layer: the layer.
        x: its input, shape (B, T) or (B, T, D).
        training: whether dropout acts.
    """
    fast = _fast_form(layer, x, training)
    return layer(x) if fast is None else fast(layer, x)


def apply_and_keep(block, x, num_more):
    """Applies a block in the faster form, and keeps its state.

    Args:
        block: a `MixerBlock`.
        x: float tensor of shape (B, P, D).
        num_more: positions that will be read after them.

    Returns:
        As `MixerBlock.read`.
    """
    fast = _fast_form(block, x, training=False)
    if fast is None or not hasattr(block, "keys_and_values"):
        return block.read(x, num_more)
    from tiny_gpt.models import fast_cpu

    x, k, v = fast_cpu.apply_block_and_keep(block, x)
    return x, block.attention.with_room(k, v, num_more)


def _fast_form(layer, x, training):
    """Returns the fast form of a layer, if it is the faster one, or None."""
    dtype = layer.variable_dtype
    is_plain = layer.compute_dtype == dtype and dtype in ("float32", "float64")
    if not is_plain or not _is_fast_on(x.shape):
        return None
    from tiny_gpt.models import fast_cpu

    return fast_cpu.form_of(layer, training)


def _is_fast_on(shape):
    """Tells whether the fast form is the faster one for B sentences of T."""
    if not form().has_fast_layers:
        return False
    from tiny_gpt.models import fast_cpu

    batch, length = shape[:2]
    return (
        batch is not None
        and length is not None
        and batch >= fast_cpu.SMALLEST_GROUP
        and length >= fast_cpu.SHORTEST_WINDOW
    )
