"""Tests for tiny_gpt/models/config.py: a network of one's own, everywhere."""

import dataclasses
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import pytest

from benchmarks.tiny_runs import TINY
from tiny_gpt.evaluation.greedy import GreedyDecoder
from tiny_gpt.experiment import config_of
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.models.stepwise import has_cache
from tiny_gpt.probes import Reader
from tiny_gpt.sweep.axes import has_field, with_values
from tiny_gpt.train import run
from tiny_gpt.training.many_seeds import run_seeds

pytestmark = pytest.mark.backend


@dataclass(frozen=True)
class GRUConfig:
    """A recurrent network, as a stranger would add it."""

    vocabulary_size: int = 30
    sequence_length: int = 45
    hidden_dim: int = 16

    def build(self):
        token_ids = keras.Input((None,), dtype="int32")
        x = keras.layers.Embedding(self.vocabulary_size, self.hidden_dim)(
            token_ids
        )
        x = keras.layers.GRU(self.hidden_dim, return_sequences=True)(x)
        logits = keras.layers.Dense(self.vocabulary_size + 1)(x)
        return keras.Model(token_ids, logits)


SIZES = TINY.model.vocabulary_size, TINY.model.sequence_length
RECURRENT = dataclasses.replace(TINY, model=GRUConfig(*SIZES, 8))


def gru():
    model = RECURRENT.model.build()
    initialise_weights(model, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    for v in model.trainable_variables:  # far from uniform outputs
        v.assign(rng.normal(scale=0.8, size=v.shape))
    return model


@pytest.mark.slow
def test_it_trains_and_is_evaluated_exactly():
    by_fit = run(RECURRENT, 1).metrics
    losses = by_fit.query("metric == 'loss'")["value"].to_numpy()
    assert losses[-1] < losses[0]
    exact = by_fit.query("metric == 'log_probability'")["value"]
    assert len(exact) > 0
    assert np.isfinite(exact).all()
    if keras.backend.backend() != "jax":
        return
    (compiled,) = run_seeds(RECURRENT, [1])
    found = compiled.metrics.query("metric == 'loss'")["value"]
    np.testing.assert_allclose(found, losses, rtol=1e-4)
    others = compiled.metrics.drop(columns="value")
    pd.testing.assert_frame_equal(others, by_fit.drop(columns="value"))


def test_without_a_cache_the_decoder_makes_whole_passes():
    model = gru()
    assert not has_cache(model)
    prompts = np.random.default_rng(3).integers(1, SIZES[0], (8, 5))
    cached, aligned = (
        np.asarray(GreedyDecoder(model, decoding, 4, *SIZES)(prompts))
        for decoding in ("cached", "aligned")
    )
    np.testing.assert_array_equal(cached, aligned)
    # The definition: one token, one whole pass at a time.
    tokens = prompts
    for _ in range(4):
        ids = np.argmax(model.predict_on_batch(tokens)[:, -1], axis=-1)
        tokens = np.concatenate([tokens, ids[:, None]], axis=1)
    assert (tokens < SIZES[0]).all()  # no unused class, or this would differ
    np.testing.assert_array_equal(cached, tokens[:, 5:])
    assert len({tuple(a) for a in cached}) > 1  # it can fail


def test_a_sweep_changes_a_field_of_its_config():
    assert has_field(RECURRENT, "model.hidden_dim")
    assert not has_field(RECURRENT, "model.num_heads")
    labels = "sweep", "cell"
    changed = with_values(RECURRENT, {"model.hidden_dim": 4}, labels, "A->C")
    assert changed.model == GRUConfig(*SIZES, 4)
    assert config_of(changed)["model"]["class"].endswith("GRUConfig")
    with pytest.raises(ValueError, match="Received: GRUConfig, with"):
        with_values(RECURRENT, {"width": 4}, labels, "A->C")


def test_probes_refuse_it_in_one_line():
    with pytest.raises(ValueError, match="read a model of `GPTConfig`") as e:
        Reader(gru())
    assert "\n" not in str(e.value)
