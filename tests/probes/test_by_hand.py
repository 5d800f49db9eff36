"""Tests for tiny_gpt/probes by hand: one network has B, the other has not.

`handmade.py` explains the two networks.
"""

import numpy as np
import pytest

from tests.helpers import handmade
from tests.helpers.handmade import (
    A_TO_B,
    A_TO_C,
    ANSWER_POSITIONS,
    OTHERS,
    SEPARATOR,
    WORD_POSITIONS,
    WORDS,
    B,
    C,
    in_a,
    in_b,
)
from tiny_gpt.probes import (
    Reader,
    ablate_head,
    attention_to,
    head_patching_effect,
    lens_probability,
    lens_rank,
    patching_effect,
)

pytestmark = pytest.mark.backend


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
