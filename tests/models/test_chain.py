"""Tests for tiny_gpt/models/chain.py: what is saved, and was."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from tiny_gpt.models.chain import Chain
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.models.stepwise import has_cache

pytestmark = pytest.mark.backend

# Saved while the head and the final norm were layers of our own.
BEFORE = Path(__file__).parents[1] / "data" / "gpt_before_chain.keras"
CONFIG = GPTConfig(
    vocabulary_size=7,
    sequence_length=16,
    num_layers=1,
    num_heads=2,
    head_dim=2,
    normalization="pre",
    intermediate_ratio=2,
)
TOKENS = np.random.default_rng(0).integers(0, 7, (16, 16)).astype("int32")


def built():
    model = CONFIG.build()
    initialise_weights(model, np.random.default_rng(1))
    return model


def assert_same_model(loaded, model):
    assert [v.path for v in loaded.variables] == [
        v.path for v in model.variables
    ]
    for found, expected in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(found), ops.convert_to_numpy(expected)
        )
    np.testing.assert_allclose(
        loaded.predict_on_batch(TOKENS),
        model.predict_on_batch(TOKENS),
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_file_of_before_is_the_same_network():
    loaded = keras.saving.load_model(BEFORE)
    assert has_cache(loaded)  # probes and the decoder read it
    assert_same_model(loaded, built())


def test_a_saved_chain_is_a_chain_again(tmp_path):
    model = built()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is Chain
    assert has_cache(loaded)
    assert_same_model(loaded, model)
