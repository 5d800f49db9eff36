"""A model's logits, in one program: quicker than one operation at a time."""

import weakref

import keras
import numpy as np
from keras import ops

from tiny_gpt.runtime.programs import compile_for_model

_PROGRAMS = weakref.WeakKeyDictionary()


def forward(model, tokens):
    """Returns the logits of token ids as an array.

    Args:
        model: model from token ids to logits.
        tokens: token ids, shape (B, T).
    """
    if model not in _PROGRAMS:
        _PROGRAMS[model] = _compiled(model)
    return ops.convert_to_numpy(_PROGRAMS[model](np.asarray(tokens, "int32")))


def _compiled(model):
    own = weakref.proxy(model)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda ids: own(ids), autograph=False)
    program = compile_for_model(model, lambda ids: own(ids))
    return lambda ids: program(own, ids)
