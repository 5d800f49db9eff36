"""Lemma 1 on layers whose answer is known, and on a miniature stream."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops

from benchmarks.tiny_runs import TINY
from experiments.measurements import linear_models, perturbation
from tiny_gpt.analysis.linear_attention import (
    lsa_stack,
    mix,
    pair_weights,
    softmax_weights,
)
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.models.linear_attention import build_linear_gpt
from tiny_gpt.probes import Reader
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import build_stream

pytestmark = pytest.mark.backend
RUN = perturbation.NEEDS[0]


@pytest.fixture(scope="module")
def stream():
    mixture = Mixture(
        (Component("A->B", 40),), alphabet_size=4, sentence_length=2
    )
    return build_stream(mixture, "words", 20, np.random.default_rng(0))


def test_numpy_repeats_the_layers_of_a_model():
    model = build_linear_gpt(9, 6, 8, num_layers=2, num_heads=2)
    initialise_weights(model, np.random.default_rng(0))
    embedding, head = model.get_layer("embedding"), model.get_layer("head")
    embedding.set_weights([20 * x for x in embedding.get_weights()])
    tokens = np.array([[1, 2, 3, 4], [8, 8, 1, 0]])
    layers = linear_models.layers_of(model)
    weights = [linear_models.weights_of(layer) for layer in layers]
    z = ops.convert_to_numpy(embedding(tokens)).astype(float)
    output = lsa_stack(z, weights, pair_weights(4))[-1]
    assert np.abs(output - z).max() > 0.1  # the layers do something
    kernel, bias = head.get_weights()
    np.testing.assert_allclose(
        output @ kernel + bias,
        ops.convert_to_numpy(model(tokens)),
        rtol=1e-4,
        atol=1e-5,
    )


def test_numpy_repeats_the_attention_of_a_gpt():
    model, tokens = random_gpt(), np.array([[1, 3, 4], [2, 9, 14]])
    reading = Reader(model).read(tokens)
    pairs = pair_weights(tokens.shape[1])
    parts = perturbation.gpt_attention(model, tokens)
    assert len(parts) == len(reading.attention)
    for i, (logits, values) in enumerate(parts):
        weights = softmax_weights(logits, pairs)
        np.testing.assert_allclose(
            weights, reading.attention[i], rtol=1e-4, atol=1e-5
        )
        # The bias of the values passes through, for the weights sum to 1.
        expected = reading.head_outputs(i).sum(axis=1)
        np.testing.assert_allclose(
            mix(weights, values), expected, rtol=1e-4, atol=1e-4
        )


def random_gpt():
    model = dataclasses.replace(TINY.model, num_layers=2).build()
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.normal(size=variable.shape))
    return model


@pytest.mark.slow
def test_measures_what_is_known(monkeypatch, stream):
    monkeypatch.setattr(perturbation, "DEPTHS", (1, 2))
    monkeypatch.setattr(perturbation, "NUM_UPDATES", 5)
    monkeypatch.setattr(perturbation, "SCALES", (1.0, 8.0))
    monkeypatch.setattr(perturbation, "NUM_WINDOWS", 4)
    data = SimpleNamespace(stream=stream)
    run = SimpleNamespace(model=random_gpt(), data=data)
    rows = perturbation.measure({RUN: run}, 3)

    found = {row[1:4]: row[4] for row in rows}
    assert len(found) == len(rows)
    assert all(
        math.isfinite(x) and isinstance(x, float) for x in found.values()
    )
    for tier in ("random_1", "trained_1"):
        for prompt in ("uniform", "per_pair"):
            one_layer = tier, prompt
            assert found[(*one_layer, "slope")] == pytest.approx(1)
            assert found[(*one_layer, "departure_1")] < 1e-9
        assert found[tier, "uniform_z_j", "slope"] == pytest.approx(1)
    # Where one layer adds as much as it is given, float32 is exact enough.
    assert found["random_1", "uniform", "layer_slope"] == pytest.approx(1, 1e-3)
    assert found["random_1", "uniform", "layer_error"] < 1e-4
    assert found["random_1", "per_pair", "layer_error"] < 1e-4
    # 1 % of independent normal f: 1 % of their sum, within a factor of 2.
    assert 0.005 < found["random_1", "per_pair", "update_change"] < 0.02
    # Two layers hold squares of epsilon: ten times epsilon, ten times that.
    departures = [
        found["random_2", "uniform", f"departure_{x}"] for x in (0.001, 0.01)
    ]
    assert departures[1] / departures[0] == pytest.approx(10, rel=0.05)
    breaks = [found[f"softmax_{x}", "per_pair", "breaks_at"] for x in (1, 8)]
    assert breaks[1] < breaks[0] / 3
    for tier in ("softmax_1", "softmax_8", "gpt_0"):
        assert found[tier, "uniform", "update_change_at_1"] < 1e-12
        assert found[tier, "weights", "departure_1"] < 1e-12
    assert found["softmax_8", "all", "spread"] == pytest.approx(8, rel=0.2)

    assert perturbation.measure({RUN: run}, 3) == rows


def test_a_model_that_diverges_is_trained_at_a_lower_rate(monkeypatch, stream):
    rates = []

    def train(shape, stream, order, seed, rate):
        rates.append(rate)
        weights = linear_models._build(*shape).get_weights()
        return [w * (np.nan if len(rates) < 3 else 1.0) for w in weights]

    monkeypatch.setattr(linear_models, "_train", train)
    linear_models.train_linear_gpt(stream, 2, np.random.default_rng(0), 2)
    assert rates == list(linear_models.RATES[:3])
    rates.clear()
    monkeypatch.setattr(linear_models, "RATES", (0.1,))
    with pytest.raises(ValueError, match="2 layers of linear attention"):
        linear_models.train_linear_gpt(stream, 2, np.random.default_rng(0), 2)
