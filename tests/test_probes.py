"""Tests for tiny_gpt/probes: reading, lens, patches, and two controls."""

import re
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from tests import handmade
from tests.handmade import (
    A_TO_B,
    A_TO_C,
    ANSWER_POSITIONS,
    B_TO_C,
    SEPARATOR,
    WORD_POSITIONS,
    A,
    B,
    C,
)
from tiny_gpt import layers
from tiny_gpt.backend import Snapshot, compile_for_model
from tiny_gpt.model import GPTConfig, build_gpt, initialise_weights
from tiny_gpt.probes import (
    HeadPatch,
    Patch,
    Reader,
    Reading,
    ablate_head,
    attention_to,
    head_patching_effect,
    lens_probability,
    lens_rank,
    patching_effect,
)

pytestmark = pytest.mark.backend

VARIANTS = {
    "published": {},
    "usual": {
        "normalization": "pre",
        "logit_scale": "head_dim",
        "output_activation": None,
        "dropout": 0.3,
        "dropout_placement": "weights",
    },
    "no_positions": {
        "dropout": 0.3,
        "positions": "none",
        "num_layers": 1,
        "num_unused_classes": 0,
        "activation": "relu",
    },
}
# Of 16 sentences of 16 tokens JAX computes layers in another form on a CPU.
PLAIN, FAST = (3, 5), (16, 16)
CASES = [
    *((variant, PLAIN) for variant in VARIANTS),
    ("published", FAST),
    ("usual", FAST),
]
TOKENS = np.random.default_rng(7).integers(0, 11, PLAIN)


def draw_weights(model, seed=3):
    initialise_weights(model, np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 1)
    for v in model.variables:  # far from uniform outputs
        if v.name in ("kernel", "token_table"):
            v.assign(rng.normal(scale=0.6, size=v.shape))
        elif v.name in ("bias", "beta"):
            v.assign(rng.normal(scale=0.1, size=v.shape))


def small(variant):
    config = GPTConfig(
        vocabulary_size=11,
        sequence_length=16,
        num_heads=2,
        head_dim=4,
        **VARIANTS[variant],
    )
    model = build_gpt(config)
    draw_weights(model)
    return model


@dataclass(frozen=True)
class Case:
    """A model, two arrays of token ids, and what was read of them."""

    reader: Reader
    tokens: np.ndarray
    donor_tokens: np.ndarray
    outputs: list[np.ndarray]  # of the model's own layers, and its own
    own: Reading
    donor: Reading


@pytest.fixture(
    scope="module", params=CASES, ids=[f"{v}-{s[1]}" for v, s in CASES]
)
def case(request):
    variant, shape = request.param
    model = small(variant)
    reader = Reader(model)
    rng = np.random.default_rng(7)
    tokens = rng.integers(0, 11, shape)
    donor_tokens = (tokens + rng.integers(1, 11, shape)) % 11  # all others
    outputs = run_layer_by_layer(model, tokens)
    own, donor = reader.read(tokens), reader.read(donor_tokens)
    assert (donor.logits != own.logits).any(axis=-1).all()  # tests can fail
    assert outputs[-1].std() > 0.5
    return Case(reader, tokens, donor_tokens, outputs, own, donor)


def run_layer_by_layer(model, tokens):
    """Returns outputs of the embedding, of each block, and of the model."""

    def run(tokens):
        outputs = [model.get_layer("embedding")(tokens)]
        for layer in model.layers:
            if layer.name.startswith("block_"):
                outputs.append(layer(outputs[-1]))
        return [*outputs, model(tokens)]

    outputs = compile_for_model(model, run)(model, tokens.astype("int32"))
    return [as_array(ops.cast(x, "float32")) for x in outputs]


def as_array(x):
    return ops.convert_to_numpy(x)


def test_a_reading_gives_the_models_own_output(case):
    np.testing.assert_allclose(
        case.own.logits, case.outputs[-1], rtol=1e-4, atol=1e-4
    )


def test_the_fast_form_is_among_the_cases():
    if not layers.backend.is_jax_on_cpu():
        return
    block = small("usual").get_layer("block_0")
    assert layers._feature_major(block, np.zeros((*PLAIN, 8))) is None
    assert layers._feature_major(block, np.zeros((*FAST, 8))) is not None


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


def all_heads(reading, positions=None):
    num_blocks, _, num_heads, *_ = reading.head_values.shape
    return [
        HeadPatch(i, h, reading.head_values[i][:, h], positions)
        for i in range(num_blocks)
        for h in range(num_heads)
    ]


def test_a_run_patched_with_itself_is_the_same_bit_by_bit(case):
    own = case.own
    patches = [Patch(p, own.residual(p)) for p in case.reader.points]
    again = case.reader.read(case.tokens, patches + all_heads(own))
    np.testing.assert_array_equal(again.logits, own.logits)
    np.testing.assert_array_equal(again.residuals, own.residuals)


def test_everything_patched_at_one_point_gives_the_other_run(case):
    for point in case.reader.points:
        patch = Patch(point, case.donor.residual(point))
        patched = case.reader.read(case.tokens, [patch])
        np.testing.assert_array_equal(patched.logits, case.donor.logits)


def test_a_patch_acts_from_its_position_on(case):
    points = case.reader.points
    for point in points:
        patch = Patch(point, case.donor.residual(point), [2])
        patched = case.reader.read(case.tokens, [patch])
        is_other = (patched.logits != case.own.logits).any(axis=-1)
        assert not is_other[:, :2].any()
        assert is_other[:, 2].all()
        # After the last attention, no position hears of another.
        assert is_other[:, 3:].any() == (point not in points[-2:])


def test_positions_may_differ_from_sentence_to_sentence(case):
    point, own, donor = case.reader.points[1], case.own, case.donor
    batch, length = case.tokens.shape
    positions = np.arange(2 * batch).reshape(batch, 2) % length
    patch = Patch(point, donor.residual(point), positions)
    found = case.reader.read(case.tokens, [patch]).residual(point)
    for b in range(batch):
        for t in range(length):
            source = donor if t in positions[b] else own
            np.testing.assert_array_equal(
                found[b, t], source.residual(point)[b, t]
            )


def test_of_two_patches_of_one_place_the_later_counts(case):
    patches = [Patch("embedding", 1.0), Patch("embedding", 2.0, [3])]
    found = case.reader.read(case.tokens, patches).residual("embedding")
    assert (found[:, 3] == 2).all()
    assert (np.delete(found, 3, axis=1) == 1).all()


def test_heads_of_another_run_bring_what_they_write(case):
    last = len(case.own.attention) - 1
    patched = case.reader.read(case.tokens, all_heads(case.donor, [3]))
    written, own, donor = (
        found.head_outputs(last) for found in (patched, case.own, case.donor)
    )
    np.testing.assert_array_equal(written[:, :, 3], donor[:, :, 3])
    np.testing.assert_array_equal(written[:, :, :3], own[:, :, :3])
    # The stream at that point is the own one before, and what is written now.
    if case.reader.model.get_layer("block_0").normalization == "pre":
        before, after = case.reader.points[-3], case.reader.points[-2]
        expected = patched.residual(before) + written.sum(axis=1)
        np.testing.assert_allclose(
            patched.residual(after),
            expected + case.own.attention_biases[last],
            rtol=1e-4,
            atol=1e-4,
        )
    is_other = (patched.logits != case.own.logits).any(axis=-1)
    assert not is_other[:, :3].any()
    assert is_other[:, 3].all()


def test_one_head_is_replaced_and_no_other(case):
    patch = HeadPatch(0, 1, case.donor.head_values[0][:, 1])
    found = case.reader.read(case.tokens, [patch]).head_values[0]
    np.testing.assert_array_equal(found[:, 1], case.donor.head_values[0][:, 1])
    np.testing.assert_array_equal(found[:, 0], case.own.head_values[0][:, 0])


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


# By hand: `handmade.py` explains the two networks. All 24 sentences of three
# different words, in A words and in B words; and others, with another word at
# each position.

WORDS = np.array(list(permutations(range(handmade.NUM_WORDS), 3)))
OTHERS = np.roll(WORDS, -1, axis=1)


def in_a(words):
    return handmade.encode(A[words], C[A_TO_C[words]])


def in_b(words):
    """The same sentences after A->B."""
    words = A_TO_B[words]
    return handmade.encode(B[words], C[B_TO_C[words]])


@pytest.fixture(scope="module")
def readers():
    return {
        kind: Reader(handmade.build_translator(kind)) for kind in handmade.KINDS
    }


@pytest.mark.parametrize("kind", handmade.KINDS)
@pytest.mark.parametrize("encode", [in_a, in_b])
def test_both_networks_translate_right(readers, kind, encode):
    logits = readers[kind].read(encode(WORDS)).logits
    predicted = logits[:, ANSWER_POSITIONS].argmax(axis=-1)
    np.testing.assert_array_equal(predicted, C[A_TO_C[WORDS]])


def stream(*parts):
    """The residual stream (u, -u) of some coordinates (size, index) of u."""
    u = np.zeros(handmade.WIDTH)
    for size, index in parts:
        u[index] += size
    return np.concatenate([u, -u])


# "." at position 4, where the first word of the answer is asked for.
ASKED = [(1, SEPARATOR), (1, handmade.NUM_IDS + 4)]


def test_the_residual_stream_by_hand(readers):
    # Of sentence 0: "." and its position; 2 of the B word of the first word
    # from block 0 on; 6 of its C word at the end.
    found = readers["composed"].read(in_a(WORDS))
    b, c = (2, B[A_TO_B[WORDS[0, 0]]]), (6, C[A_TO_C[WORDS[0, 0]]])
    for point, parts in {
        "embedding": ASKED,
        "block_0.attention": [*ASKED, b],
        "block_0.feed_forward": [*ASKED, b],
        "block_1.attention": [*ASKED, b],
        "block_1.feed_forward": [*ASKED, b, c],
    }.items():
        np.testing.assert_allclose(
            found.residual(point)[0, 4], stream(*parts), atol=1e-5
        )
    # Head 0 of block 0 writes the B word, and all others nothing.
    np.testing.assert_allclose(
        found.head_outputs(0)[0, 0, 4], stream(b), atol=1e-5
    )
    assert (found.head_outputs(0)[:, 1] == 0).all()
    assert (found.head_outputs(1) == 0).all()


def test_attention_by_hand(readers):
    # Head 0 looks from positions 0 to 6 at 0, 0, 0, 0, 1, 2, 3. Head 1 has
    # products of 0, so it looks at all that it sees: 1/5 from position 4.
    found = readers["composed"].read(in_a(WORDS))
    looked_at = np.eye(7)[[0, 0, 0, 0, 1, 2, 3]]
    for weights in found.attention:
        assert (weights[:, 0] == looked_at).all()
    seen = attention_to(found, ANSWER_POSITIONS, WORD_POSITIONS)
    assert seen.shape == (2, 24, 2, 3)
    assert (seen[:, :, 0] == 1).all()
    np.testing.assert_allclose(
        seen[:, :, 1], np.broadcast_to([1 / 5, 1 / 6, 1 / 7], (2, 24, 3))
    )


def test_attention_to_positions_of_each_sentence(readers):
    # From 4 to 1, where head 0 looks, in sentences 0 and 3, else to 2; the
    # future is never seen.
    found = readers["composed"].read(in_a(WORDS))
    is_looked_at = np.isin(np.arange(24), [0, 3])
    keys = np.where(is_looked_at, 1, 2)[:, None]
    seen = attention_to(found, [4], keys)[:, :, 0, 0]
    np.testing.assert_array_equal(seen, [is_looked_at] * 2)
    assert (attention_to(found, [3], [5]) == 0).all()


def test_the_lens_by_hand(readers):
    # The final norm makes a sqrt(22) / |u| of a coordinate a, and the head 5
    # times that. After block 0 the coordinates are 2 (the B word), 1 (".", and
    # the position) and 0 (13 other ids), so |u|^2 = 6.
    reader = readers["composed"]
    seen = reader.lens(reader.read(in_a(WORDS)).residual("block_0.attention"))
    logits = np.zeros(15)
    logits[B[A_TO_B[WORDS[0, 0]]]] = 2 * 5 * np.sqrt(22 / 6)
    logits[SEPARATOR] = 5 * np.sqrt(22 / 6)
    expected = logits - np.log(np.exp(logits).sum())
    np.testing.assert_allclose(seen[0, 4], expected, rtol=1e-5, atol=1e-6)


def test_the_lens_finds_b_where_it_is(readers):
    # The B word of word i stands at position 4 + i, from block 0 on. There it
    # is first of all ids until its C word is written, and then second (6, 2,
    # and the token's 1). The other three share ranks 2 to 4 there, and all
    # four share 1 to 4 elsewhere.
    reader = readers["composed"]
    seen = reader.lens(reader.read(in_a(WORDS)).residuals)
    b_words = B[A_TO_B[WORDS]]
    probability = lens_probability(seen, b_words)
    ranks, among_b = lens_rank(seen, b_words), lens_rank(seen, b_words, B)
    assert probability.shape == ranks.shape == among_b.shape == (5, 24, 7, 3)
    is_there = np.zeros((5, 24, 7, 3), bool)
    for i, position in enumerate(ANSWER_POSITIONS):
        is_there[1:, :, position, i] = True
    assert (among_b[is_there] == 1).all()
    assert (ranks[:4][is_there[:4]] == 1).all()
    assert (ranks[4][is_there[4]] == 2).all()
    assert set(among_b[~is_there]) == {2.5, 3.0}
    # 1 to 0.9999 by the odds exp(5 sqrt(22/6)) = 14,000 against the token.
    assert probability[:4][is_there[:4]].min() > 0.9999
    assert probability[~is_there].max() < 1e-6


def test_the_lens_finds_no_b_where_there_is_none(readers):
    # No B word is more probable than another, at any point, position or head.
    # (A head that writes nothing leaves all 15 ids alike.)
    reader = readers["direct"]
    found = reader.read(in_a(WORDS))
    b_words = B[A_TO_B[WORDS]]
    stream_seen = reader.lens(found.residuals)
    heads_seen = [
        reader.lens(found.head_outputs(i).swapaxes(0, 1)) for i in range(2)
    ]
    for seen in (stream_seen, *heads_seen):
        assert (lens_rank(seen, b_words, B) == 2.5).all()
    assert lens_probability(stream_seen, b_words).max() < 1e-6
    # The C word is there at once.
    c_words = C[A_TO_C[WORDS]]
    ranks = lens_rank(stream_seen, c_words)
    for i, position in enumerate(ANSWER_POSITIONS):
        assert (ranks[1:, :, position, i] == 1).all()
    np.testing.assert_allclose(
        lens_probability(heads_seen[1], b_words), 1 / 15, rtol=1e-5
    )


def effect_of_b(reader, others=OTHERS):
    """Puts B->C runs of other words into A->C runs, where the first is asked.

    Returns changes of log p of the C word of `others`, shape (P, 24).
    """
    effect = patching_effect(
        reader, in_b(OTHERS), in_a(WORDS), [4], C[A_TO_C[others]][:, :1], [4]
    )
    return effect[:, 0, :, 0]


# Coordinates come out of the head as 5 sqrt(22) / |u| times what they are.


def test_patching_finds_b_where_it_is(readers):
    # An A->C run has 6 of its own C word, 2 of B, 1 of token and position, and
    # 0 of another C word, whose log p is -6 * 5 sqrt(22 / 42) = -21.7. From
    # block 0 on, the B word of a B->C run makes it the answer. The embedding
    # of "." is the same in both.
    effect = effect_of_b(readers["composed"])
    assert (effect[0] == 0).all()
    np.testing.assert_allclose(effect[1:], 30 * np.sqrt(22 / 42), rtol=1e-5)


def test_patching_finds_no_b_where_there_is_none(readers):
    # Here 6 of the C word, 1 of token and position, |u|^2 = 38, and 0 of
    # another C word: log p = -30 sqrt(22 / 38) = -22.8. After block 0 the B->C
    # run has no answer yet. Patched, the own answer is lost, and log p is that
    # of any id that is not ".", -log(exp(5 sqrt(22 / 2)) + 14), no more for
    # the donor's word than for a third. Block 1 brings the answer itself.
    effect = effect_of_b(readers["direct"])
    own = -30 * np.sqrt(22 / 38)
    lost = -np.log(np.exp(5 * np.sqrt(11)) + 14)
    assert (effect[0] == 0).all()
    np.testing.assert_allclose(effect[1:3], lost - own, rtol=1e-5)
    third = effect_of_b(readers["direct"], np.roll(WORDS, 1, axis=1))
    np.testing.assert_array_equal(third[1:3], effect[1:3])
    np.testing.assert_allclose(effect[3:], -own, rtol=1e-5)


def test_patching_shows_the_way_through_the_network(readers):
    # Another A word matters at its own position until block 0 has read it,
    # and from then on where the answer is given. All else is exactly 0.
    effect = patching_effect(
        readers["composed"],
        in_a(OTHERS),
        in_a(WORDS),
        [4],
        C[A_TO_C[OTHERS]][:, :1],
    )
    assert effect.shape == (5, 7, 24, 1)
    is_on_the_way = np.zeros((5, 7), bool)
    is_on_the_way[0, 1] = is_on_the_way[1:, 4] = True
    assert (effect[~is_on_the_way] == 0).all()
    np.testing.assert_allclose(
        effect[is_on_the_way], 30 * np.sqrt(22 / 42), rtol=1e-5
    )


def test_several_answers_are_asked_at_once(readers):
    # The embedding of word i decides answer i, at position 4 + i.
    effect = patching_effect(
        readers["composed"],
        in_a(OTHERS),
        in_a(WORDS),
        ANSWER_POSITIONS,
        C[A_TO_C[OTHERS]],
        WORD_POSITIONS,
    )[0]
    decides = np.broadcast_to(np.eye(3, dtype=bool)[:, None], (3, 24, 3))
    assert (effect[~decides] == 0).all()
    assert effect[decides].min() > 20


def test_one_head_carries_the_answer(readers):
    # Where it is asked for, and nowhere else.
    for position, expected in ((4, 30 * np.sqrt(22 / 42)), (3, 0.0)):
        effect = head_patching_effect(
            readers["composed"],
            in_a(OTHERS),
            in_a(WORDS),
            [4],
            C[A_TO_C[OTHERS]][:, :1],
            positions=[position],
        )
        assert effect.shape == (2, 2, 24, 1)
        np.testing.assert_allclose(effect[0, 0], expected, rtol=1e-5)
        assert (effect[0, 1] == 0).all()
        assert (effect[1] == 0).all()


def test_a_head_ablated_by_hand(readers):
    # Without head 0 of block 0, nothing is written. Its mean over all
    # sentences is 2/4 of each B word: then |u|^2 = 3, the feed-forward layer
    # finds sqrt(22 / 3) / 2 where it finds 2 sqrt(22 / 6) of a single word and
    # writes 6, so it writes 6 sqrt(6 / 3) / 4 = 1.5 sqrt(2) of each C word.
    reader, tokens = readers["composed"], in_a(WORDS)
    own = reader.read(tokens)
    mean = [*((0.5, b) for b in B), *((1.5 * np.sqrt(2), c) for c in C)]
    for kind, parts in (("zero", ASKED), ("mean", [*ASKED, *mean])):
        found = reader.read(tokens, [ablate_head(own, 0, 0, kind)])
        expected = np.broadcast_to(stream(*parts), (24, 44))
        np.testing.assert_allclose(
            found.residuals[-1][:, 4], expected, atol=1e-5
        )
        for block, head in ((0, 1), (1, 0), (1, 1)):
            patch = ablate_head(own, block, head, kind)
            found = reader.read(tokens, [patch])
            np.testing.assert_array_equal(found.logits, own.logits)


READ_A = in_a(WORDS[:2])
IDS = C[A_TO_C[WORDS[:2]]]


@pytest.mark.parametrize(
    ("patch", "rule"),
    [
        (Patch("block_2.attention", 0.0), "point='block_2.attention'"),
        (Patch("embedding", 0.0, [7]), r"lie in \[0, 7\).*positions=\[7\]"),
        (Patch("embedding", 0.0, [-1]), r"positions=\[-1\]"),
        (Patch("embedding", 0.0, [0.5]), r"are integers.*positions=\[0.5\]"),
        (Patch("embedding", 0.0, []), r"positions=\[\]"),
        (Patch("embedding", 0.0, np.zeros((3, 1), int)), r"shape=\(3, 1\)"),
        (Patch("embedding", np.zeros(43)), r"\(2, 7, 44\).*shape=\(43,\)"),
        (HeadPatch(2, 0, 0.0), "block=2"),
        (HeadPatch(0, -1, 0.0), "head=-1"),
        (HeadPatch(0, 0, np.zeros(44)), r"\(2, 7, 22\).*shape=\(44,\)"),
    ],
)
def test_an_impossible_patch_is_refused(readers, patch, rule):
    with pytest.raises(ValueError, match=rule):
        readers["direct"].read(READ_A, [patch])


@pytest.mark.parametrize(
    ("tokens", "rule"),
    [
        ([1, 2], r"shape=\(2,\)"),
        ([[0.5]], "dtype=float64"),
        (np.zeros((0, 3), int), r"shape=\(0, 3\)"),
        (np.zeros((1, 8), int), r"sequence_length = 7 .*shape=\(1, 8\)"),
        ([[15]], r"\[0, 15\).*from 15 to 15"),
        ([[-1, 0]], "from -1 to 0"),
    ],
)
def test_tokens_that_cannot_be_read_are_refused(readers, tokens, rule):
    with pytest.raises(ValueError, match=rule):
        readers["direct"].read(tokens)


def test_questions_that_do_not_fit_are_refused(readers):
    reader = readers["direct"]
    own = reader.read(READ_A)
    seen = reader.lens(own.residuals)
    for function, rule in (
        (lambda: own.residual("end"), "point='end'"),
        (lambda: own.head_outputs(2), "block=2"),
        (lambda: reader.lens(np.zeros((2, 43))), r"shape=\(2, 43\)"),
        (lambda: reader.lens(0.0), r"shape=\(\)"),
        (lambda: ablate_head(own, 0, 0, "median"), "kind='median'"),
        (lambda: ablate_head(own, 2, 0), "block=2"),
        (lambda: ablate_head(own, 0, 2), "head=2"),
        (lambda: lens_rank(seen, IDS[:1]), r"shape=\(1, 3\)"),
        (lambda: lens_rank(seen, IDS, B), "among `candidates`"),
        (lambda: lens_probability(seen, IDS + 9), r"\[0, 15\)"),
        (lambda: attention_to(own, [4, 5], [1]), "2 queries, 1 keys"),
        (lambda: attention_to(own, [4], [7]), r"key_positions=\[7\]"),
        (
            lambda: patching_effect(
                reader, READ_A[:1], READ_A, [4], IDS[:, :1]
            ),
            r"donor_tokens of \(1, 7\), tokens of \(2, 7\)",
        ),
        (
            lambda: patching_effect(reader, READ_A, READ_A, [4], IDS),
            r"shape \(2, 1\). Received: shape=\(2, 3\)",
        ),
        (
            lambda: patching_effect(reader, READ_A, READ_A, [7], IDS[:, :1]),
            r"answer_positions=\[7\]",
        ),
        (
            lambda: head_patching_effect(
                reader, READ_A, READ_A, [4], [[0], [15]]
            ),
            r"\[0, 15\)",
        ),
    ):
        with pytest.raises(ValueError, match=rule):
            function()


def test_a_model_of_another_kind_is_refused():
    other = keras.Sequential([keras.layers.Dense(2, name="head")])
    other.build((None, 2))
    for model in (other, "gpt"):
        with pytest.raises(ValueError, match="build_gpt"):
            Reader(model)


def test_the_page_shows_what_its_code_prints(capsys):
    page = (Path(__file__).parent.parent / "docs" / "probes.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", page, re.S)
    assert len(blocks) >= 3
    names = {}
    for code, printed in blocks:
        exec(code, names)
        assert capsys.readouterr().out == printed
