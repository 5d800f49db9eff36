"""Tests for networks with bidirectional spans: prefix language models."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from tests.helpers.forward import forward
from tests.helpers.probe_models import draw_weights
from tests.helpers.spans import LATER, MASKS, PROMPT, QUESTIONS, visible
from tiny_gpt.evaluation.every_sentence import CompiledAnswers, ExactEvaluator
from tiny_gpt.evaluation.greedy import GreedyDecoder
from tiny_gpt.models import chain
from tiny_gpt.models.attention import CausalSelfAttention
from tiny_gpt.models.blocks import TransformerBlock
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.looped import LoopedGPTConfig
from tiny_gpt.models.stepwise import CachedBlocks, reading_of, spans_of
from tiny_gpt.probes import Reader
from tiny_gpt.runtime.programs import compile_for_model

pytestmark = pytest.mark.backend

CONFIG = GPTConfig(
    vocabulary_size=11,
    sequence_length=16,
    num_heads=2,
    head_dim=4,
    normalization="pre",
    logit_scale="head_dim",
    output_activation=None,
    num_unused_classes=0,
)
SIZES = 11, 16
# Of 16 sentences of 16 tokens JAX computes layers in another form on a CPU.
PLAIN, FAST = 3, 16
TOKENS = np.random.default_rng(7).integers(1, 11, (FAST, 16)).astype("int32")


def built(spans, **changes):
    model = dataclasses.replace(CONFIG, bidirectional=spans, **changes).build()
    draw_weights(model)
    return model


@pytest.fixture(scope="module")
def models():
    """Networks with equal weights, by mask, which nobody may change."""
    masks = {"causal": (), "later": LATER, **MASKS}
    return {name: built(spans) for name, spans in masks.items()}


# The mask.


def test_equal_logits_average_what_is_visible():
    # Zero queries make all visible positions equally likely. With the span
    # (0, 2) output 0 is the mean of x[0] and x[1], as output 1; output 2 is
    # that of all three.
    layer = CausalSelfAttention(1, 2, bidirectional=((0, 2),))
    layer.build((1, 4, 2))
    for part, kernel in (
        *((part, np.zeros((2, 2))) for part in (layer.query, layer.key)),
        *((part, np.eye(2)) for part in (layer.value, layer.out)),
    ):
        part.set_weights([kernel, np.zeros(2)])
    x = np.array([[[1, 0], [0, 1], [1, 1], [2, 0]]], "float32")
    expected = [[[1 / 2, 1 / 2], [1 / 2, 1 / 2], [2 / 3, 2 / 3], [1, 1 / 2]]]
    found = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("num_queries", "num_keys", "first"),
    [(16, 16, 0), (5, 16, 7), (1, 16, 11), (3, 14, 11), (10, 10, 0)],
)
@pytest.mark.parametrize("spans", [(), PROMPT, QUESTIONS, LATER])
def test_weights_are_on_what_the_definition_shows(
    spans, num_queries, num_keys, first
):
    layer = CausalSelfAttention(2, 3, bidirectional=spans)
    layer.build((1, 16, 6))
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(2, n, 6)) for n in (num_queries, num_keys))
    k, _ = layer.keys_and_values(y.astype("float32"))
    for start in (first, ops.convert_to_tensor(first)):  # as the cache has it
        weights = layer.attention_weights(x.astype("float32"), k, start)
        found = ops.convert_to_numpy(weights) > 0
        expected = visible(spans, num_queries, num_keys, first)
        np.testing.assert_array_equal(
            found, np.broadcast_to(expected, found.shape)
        )
        sums = ops.convert_to_numpy(weights).sum(axis=-1)
        np.testing.assert_allclose(sums, 1, rtol=1e-5)


def test_without_spans_the_weights_are_the_causal_ones_to_the_bit():
    layer = CausalSelfAttention(2, 3)
    layer.build((1, 16, 6))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 16, 6)).astype("float32")
    k, _ = layer.keys_and_values(x)
    q = ops.reshape(layer.query(x), (-1, 16, 2, 3))
    logits = ops.einsum("bthk,bshk->bhts", q, k) * 3**-0.5
    is_future = np.triu(np.ones((16, 16), bool), 1)
    logits = ops.where(is_future, float("-inf"), logits)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(layer.attention_weights(x, k)),
        ops.convert_to_numpy(ops.softmax(logits, axis=-1)),
    )


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the other form is JAX's"
)
def test_the_fast_form_is_for_causal_blocks(monkeypatch):
    from tiny_gpt.models import fast_cpu

    monkeypatch.setattr(chain, "_is_fast_on", lambda shape: True)
    for spans, is_fast in (((), True), (QUESTIONS, False)):
        block = TransformerBlock(2, 4, 8, bidirectional=spans)
        assert (fast_cpu.form_of(block, False) is not None) == is_fast


@pytest.mark.parametrize("mask", [*MASKS, "later"])
def test_many_sentences_are_read_as_few(models, mask):
    many, few = (forward(models[mask], TOKENS[:n]) for n in (FAST, PLAIN))
    np.testing.assert_allclose(many[:PLAIN], few, rtol=1e-4, atol=1e-4)
    causal = forward(models["causal"], TOKENS)
    assert np.abs(many - causal).max() > 0.1


# What reaches a position.


@pytest.mark.parametrize("mask", ["causal", *MASKS, "later"])
def test_a_token_reaches_the_positions_that_see_it_and_no_others(models, mask):
    # Of two blocks: nobody sees more by way of another position.
    model = models[mask]
    expected = visible(masked(mask), 16, 16)
    own = forward(model, TOKENS[:PLAIN])
    for place in range(16):
        tokens = TOKENS[:PLAIN].copy()
        tokens[:, place] = tokens[:, place] % 10 + 1
        changes = np.abs(forward(model, tokens) - own).max(axis=(0, 2))
        np.testing.assert_array_equal(changes > 0, expected[:, place])


def masked(mask):
    return {"causal": (), "later": LATER, **MASKS}[mask]


# Reading by a decoder.


@pytest.mark.parametrize("num_sentences", [PLAIN, FAST])
@pytest.mark.parametrize(("mask", "num_prompt"), [("prompt", 12), ("later", 8)])
@pytest.mark.parametrize("num_loops", [1, 2])
def test_the_cache_gives_the_logits_of_whole_passes(
    mask, num_prompt, num_loops, num_sentences
):
    config = dataclasses.replace(CONFIG, bidirectional=masked(mask))
    model = LoopedGPTConfig(**vars(config), num_loops=num_loops).build()
    draw_weights(model)
    reading, tokens = reading_of(model), TOKENS[:num_sentences, :13]
    assert isinstance(reading, CachedBlocks)
    num_more = 13 - num_prompt

    def read(tokens):
        logits, cache = reading.read(tokens[:, :num_prompt], num_more)
        found = [logits]
        for position in range(num_prompt, 13):
            at = ops.convert_to_tensor(position)
            logits, cache = reading.read_one(tokens[:, position], at, cache)
            found.append(logits)
        rows = reading.logits_at(tokens, num_prompt - 1, num_more + 1)
        return ops.concatenate(found, axis=1), rows

    expected = forward(model, tokens)[:, num_prompt - 1 :]
    for found in compile_for_model(model, read)(model, tokens):
        np.testing.assert_allclose(
            ops.convert_to_numpy(found), expected, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("mask", [*MASKS, "later"])
def test_rows_inside_a_span_see_all_of_it(models, mask):
    model = models[mask]
    reading = reading_of(model)
    rows = compile_for_model(model, lambda x: reading.logits_at(x, 1, 9))
    np.testing.assert_allclose(
        ops.convert_to_numpy(rows(model, TOKENS)),
        forward(model, TOKENS)[:, 1:10],
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("decoding", ["aligned", "cached"])
@pytest.mark.parametrize(
    ("mask", "num_prompt"), [("prompt", 12), ("questions", 12), ("later", 8)]
)
def test_greedy_decoding_follows_the_definition(
    models, mask, num_prompt, decoding
):
    model, prompts = models[mask], TOKENS[:, :num_prompt]
    tokens = prompts
    for _ in range(4):  # a pass over what is there, and nothing after it
        ids = forward(model, tokens)[:, -1].argmax(axis=-1)
        tokens = np.concatenate([tokens, ids[:, None]], axis=1)
    answers = GreedyDecoder(model, decoding, 4, *SIZES)(prompts)
    np.testing.assert_array_equal(answers, tokens[:, num_prompt:])
    assert len({tuple(a) for a in answers}) > 1  # it can fail
    causal = GreedyDecoder(models["causal"], decoding, 4, *SIZES)(prompts)
    assert not np.array_equal(causal, answers)


@pytest.mark.parametrize("mask", MASKS)
def test_exact_answers_are_the_decoders(models, mask):
    model, prompts = models[mask], TOKENS[:, :12]
    compiled = CompiledAnswers(model, 4, *SIZES)
    target = TOKENS[:, 12:]
    answers = ExactEvaluator(compiled, model, 5).answer(prompts, target)
    expected = GreedyDecoder(model, "aligned", 4, *SIZES)(prompts)
    np.testing.assert_array_equal(answers.greedy, expected)
    logits = forward(model, TOKENS)[:, 11:15].astype("float64")
    found = np.exp(logits - logits.max(axis=-1, keepdims=True))
    np.testing.assert_allclose(
        answers.probabilities,
        found / found.sum(axis=-1, keepdims=True),
        rtol=1e-3,
        atol=1e-6,
    )


def test_probes_read_with_the_mask(models):
    for mask, model in models.items():
        reading = Reader(model).read(TOKENS[:PLAIN])
        np.testing.assert_allclose(
            reading.logits, forward(model, TOKENS[:PLAIN]), rtol=1e-4, atol=1e-4
        )
        seen = (reading.attention > 0).all(axis=(0, 1, 2))
        np.testing.assert_array_equal(seen, visible(masked(mask), 16, 16))


# What is refused.


def test_every_decoder_refuses_a_prompt_that_ends_in_a_span(models):
    model, prompts = models["prompt"], TOKENS[:, :8]
    compiled = CompiledAnswers(model, 4, *SIZES)
    answers = TOKENS[:, 8:12]
    asked = np.concatenate([prompts, answers], axis=1)
    for call in (
        lambda: GreedyDecoder(model, "aligned", 4, *SIZES)(prompts),
        lambda: GreedyDecoder(model, "cached", 4, *SIZES)(prompts),
        lambda: compiled.generate(prompts),
        lambda: compiled.probabilities(model, asked),
        lambda: ExactEvaluator(compiled, model).answer(prompts, answers),
    ):
        with pytest.raises(ValueError, match="a prompt of 8 tokens"):
            call()


def test_a_sliding_window_keeps_no_span(models):
    with pytest.raises(ValueError, match=r"slides the window.*'published'"):
        GreedyDecoder(models["prompt"], "published", 4, *SIZES)
    GreedyDecoder(models["causal"], "published", 4, *SIZES)


# What is saved.


def test_a_saved_network_keeps_its_spans(models, tmp_path):
    model = models["questions"]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert spans_of(loaded) == QUESTIONS
    np.testing.assert_allclose(
        forward(loaded, TOKENS), forward(model, TOKENS), rtol=1e-5, atol=1e-5
    )
    assert [v.path for v in model.variables] == [
        v.path for v in models["causal"].variables
    ]


@pytest.mark.parametrize(
    "layer",
    [
        CausalSelfAttention(2, 3, bidirectional=QUESTIONS),
        TransformerBlock(2, 3, 7, bidirectional=QUESTIONS),
    ],
)
def test_layers_survive_their_own_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.get_config()["bidirectional"] == QUESTIONS
