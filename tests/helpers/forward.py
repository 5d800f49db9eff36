"""A model's logits, in one program where that is the quicker way."""

import weakref

import keras
import numpy as np
from keras import ops

from tiny_gpt.runtime.backend import compile_for_model

_PROGRAMS = weakref.WeakKeyDictionary()


def forward(model, tokens):
    """Returns the logits of token ids as an array.

    JAX compiles each operation by itself when a model is called, for each
    shape; TensorFlow does not.

    Args:
        model: model from token ids to logits.
        tokens: token ids, shape (B, T).
    """
    tokens = np.asarray(tokens, "int32")
    if keras.backend.backend() != "jax":
        return ops.convert_to_numpy(model(tokens))
    if model not in _PROGRAMS:
        own = weakref.proxy(model)
        _PROGRAMS[model] = compile_for_model(model, lambda ids: own(ids))
    return ops.convert_to_numpy(_PROGRAMS[model](model, tokens))
