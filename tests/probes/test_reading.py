"""Tests for tiny_gpt/probes: what is read, and the lens."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.helpers.probe_models import (
    CASES,
    FAST,
    PLAIN,
    TOKENS,
    all_heads,
    as_array,
    draw_weights,
    make_case,
    run_layer_by_layer,
    small,
)
from tiny_gpt.models import chain
from tiny_gpt.probes import Patch, Reader, patching_effect
from tiny_gpt.runtime.backend import form
from tiny_gpt.runtime.programs import Snapshot

pytestmark = pytest.mark.backend


@pytest.fixture(
    scope="module", params=CASES, ids=[f"{v}-{s[1]}" for v, s in CASES]
)
def case(request):
    return make_case(*request.param)


def test_a_reading_gives_the_models_own_output(case):
    np.testing.assert_allclose(
        case.own.logits, case.outputs[-1], rtol=1e-4, atol=1e-4
    )


def test_the_fast_form_is_among_the_cases():
    if not form().has_fast_layers:
        return
    block = small("usual").get_layer("block_0")
    assert chain._fast_form(block, np.zeros((*PLAIN, 8)), False) is None
    assert chain._fast_form(block, np.zeros((*FAST, 8)), False) is not None


def normalise(x, norm):
    gamma, beta = (as_array(v) for v in (norm.gamma, norm.beta))
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + norm.epsilon)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation * gamma + beta


def test_points_are_what_the_models_layers_give(case):
    model, found = case.reader.model, case.own
    names = ["embedding", *case.reader.points[2::2]]
    for name, output in zip(names, case.outputs[:-1], strict=True):
        np.testing.assert_allclose(
            found.residual(name), output, rtol=1e-4, atol=1e-4
        )
    for i, x in enumerate(case.outputs[:-2]):
        # The stream plus what all heads write; then the norm, if post-norm.
        heads = found.head_outputs(i).sum(axis=1)
        middle = x + heads + found.attention_biases[i]
        block = model.get_layer(f"block_{i}")
        if block.normalization == "post":
            middle = normalise(middle, block.attention_norm)
        np.testing.assert_allclose(
            found.residual(f"block_{i}.attention"), middle, rtol=1e-4, atol=1e-4
        )
        assert np.abs(heads).max() > 0.1  # it can fail


def test_attention_is_causal_and_sums_to_1(case):
    attention = case.own.attention
    np.testing.assert_allclose(attention.sum(axis=-1), 1.0, rtol=1e-5)
    length = case.tokens.shape[1]
    is_future = np.triu(np.ones((length, length), bool), 1)
    assert (attention[..., is_future] == 0).all()
    assert (attention[..., ~is_future] > 0).all()


def test_the_lens_at_the_last_point_is_the_models_prediction(case):
    expected = as_array(ops.log_softmax(case.outputs[-1]))
    for found in (
        case.own.log_probabilities,
        case.reader.lens(case.own.residuals[-1]),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_lens_looks_at_all_points_at_once(case):
    together = case.reader.lens(case.own.residuals)
    num_points = len(case.reader.points)
    assert together.shape == (num_points, *case.outputs[-1].shape)
    rows = [case.reader.lens(r[1, 2]) for r in case.own.residuals]
    np.testing.assert_allclose(together[:, 1, 2], rows, rtol=1e-4, atol=1e-4)


def test_one_program_serves_every_patch(monkeypatch):
    traced = []
    compute = Reader._compute

    def counted(self, *args):
        traced.append(1)
        return compute(self, *args)

    monkeypatch.setattr(Reader, "_compute", counted)
    reader, tokens = Reader(small("usual")), TOKENS
    found = reader.read(tokens)
    before = len(traced)
    for point in reader.points:
        reader.read(tokens, [Patch(point, 0.0, [1])])
    for patch in all_heads(found):
        reader.read(tokens, [patch])
    assert len(traced) == before > 0


def test_a_reading_sees_new_weights_and_those_of_a_snapshot():
    model, tokens = small("usual"), TOKENS
    reader = Reader(model)
    values = [as_array(v) for v in model.variables]
    snapshot = Snapshot(model, values, lambda snapshot, x: None)
    old = reader.read(tokens)
    draw_weights(model, seed=11)
    new = reader.read(tokens)
    assert np.abs(new.logits - old.logits).max() > 0.1
    if keras.backend.backend() != "jax":
        with pytest.raises(ValueError, match="need JAX"):
            reader.read(tokens, source=snapshot)
        with pytest.raises(ValueError, match="need JAX"):
            reader.lens(old.residuals, source=snapshot)
        return
    again = reader.read(tokens, source=snapshot)
    np.testing.assert_array_equal(again.logits, old.logits)
    np.testing.assert_array_equal(again.head_outputs(1), old.head_outputs(1))
    np.testing.assert_allclose(
        reader.lens(old.residuals[-1], source=snapshot),
        old.log_probabilities,
        rtol=1e-4,
        atol=1e-5,
    )
    effect = patching_effect(
        reader, tokens, tokens, [4], tokens[:, :1], source=snapshot
    )
    assert (effect == 0).all()


def test_mixed_precision_can_be_read():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        reader, tokens = Reader(small("no_positions")), TOKENS
    finally:
        keras.config.set_dtype_policy(policy)
    found = reader.read(tokens)
    assert found.residuals.dtype == found.logits.dtype == np.float32
    expected = run_layer_by_layer(reader.model, tokens)[-1]
    # bfloat16 has 8 bits; the compiler may leave out some of the roundings.
    assert np.abs(found.logits - expected).mean() < 0.1 * expected.std()
    patches = [Patch(p, found.residual(p)) for p in reader.points]
    again = reader.read(tokens, patches)
    np.testing.assert_array_equal(again.logits, found.logits)
