"""Tests for `Mixture.together`: pairs about one sentence, side by side."""

import dataclasses

import numpy as np
import pytest

from tiny_gpt.evaluation.data import ANSWER, BETWEEN, OTHERS, SOURCE
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import build_stream
from tiny_gpt.tasks.translation.task import Translation
from tiny_gpt.tasks.translation.tiers import find_tiers

KINDS = ("words", "characters")
BOTH = ("A->B", "B->C")
# A->C stands between the two in corpus order.
MIXTURE = Mixture(
    (
        Component("C->A", 2),
        Component("B->C", 5, 2),
        Component("A->C", 3),
        Component("A->B", 5, 2),
    ),
    together=BOTH,
)


def build(mixture=MIXTURE, kind="words", length=29, **options):
    rng = np.random.default_rng(0)
    return build_stream(mixture, kind, length, rng, **options)


def text_of(stream):
    rows = np.concatenate([stream.inputs[:, :1], stream.targets], axis=1)
    return stream.vocabulary.decode(rows[rows > 0]).replace(" ", "")


def written(stream, label):
    """The pairs of one mapping, from languages and sentences alone."""
    mapping = stream.mapping(label)
    source, target = mapping.source.symbols, mapping.target.symbols
    return [
        "".join(source[i] for i in sentence)
        + "."
        + "".join(target[mapping.permutation[i]] for i in sentence)
        + "|"
        for sentence in stream.sentences[label]
    ]


@pytest.mark.parametrize("scrambled", [(), ("A->B",)])
@pytest.mark.parametrize("kind", KINDS)
def test_pairs_about_one_sentence_follow_each_other(kind, scrambled):
    mixture = dataclasses.replace(
        MIXTURE, given=("A->C", "B->C"), scrambled=scrambled
    )
    stream = build(mixture, kind)
    mapping = stream.mapping("A->B")
    sentences = stream.sentences["A->B"]
    assert sentences.shape == (10, 4)
    np.testing.assert_array_equal(
        stream.sentences["B->C"], mapping.translate(sentences)
    )
    is_other = (stream.sentences["B->C"] != sentences).all()
    assert is_other == bool(scrambled)  # others pair by position
    first, second = (written(stream, label) for label in BOTH)
    for one, other in zip(first, second, strict=True):
        assert one[5:9] == other[:4]
    both = [a + b for a, b in zip(first, second, strict=True)]
    # The first of both, A->B, is the last in corpus order.
    parts = [*written(stream, "C->A"), *written(stream, "A->C"), *both]
    assert text_of(stream) == "".join(parts)


def test_nothing_else_changes():
    apart = dataclasses.replace(MIXTURE, together=())
    one, other = build(), build(apart)
    assert one.languages == other.languages
    for label in ("C->A", "A->C", "A->B"):
        np.testing.assert_array_equal(
            one.sentences[label], other.sentences[label]
        )
    assert (one.sentences["B->C"] != other.sentences["B->C"]).any()
    assert one.inputs.shape == other.inputs.shape
    repeated = one.sentences["B->C"].reshape(2, 5, 4).tolist()
    assert sorted(repeated[0]) == sorted(repeated[1])
    assert repeated[0] != repeated[1]
    task = Translation(MIXTURE, BOTH, tokens="words")
    assert task.num_windows(29) == (len(one.inputs),) == (9,)


@pytest.mark.parametrize("kind", KINDS)
def test_every_target_has_its_component_and_place(kind):
    # Pairs of 10 words; one window has three.
    per_word = 2 if kind == "characters" else 1
    stream = build(kind=kind, length=30 * per_word - 1)
    order = [0] * 2 + [2] * 3 + [3, 1] * 10
    expected = [(i, p) for i in order for p in range(10 * per_word)]
    padding = [(-1, -1)] * (20 * per_word)
    last = 24 * 10 * per_word
    rows = np.reshape(
        [*expected[:last], *padding, *expected[last:]], (9, 30 * per_word, 2)
    )
    given = np.stack([stream.components, stream.places], axis=-1)
    np.testing.assert_array_equal(given, rows[:, 1:])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label", BOTH)
def test_windows_count_the_words_of_one_mapping(kind, label):
    per_word = 2 if kind == "characters" else 1
    # A window is one document, but for its first token.
    components = tuple(Component(m, 4, num_held_out=2) for m in BOTH)
    mixture = dataclasses.replace(MIXTURE, components=components)
    task = Translation(mixture, BOTH, tokens=kind)
    (data,) = task.draw(20 * per_word - 1, np.random.default_rng(0))
    pair = [SOURCE] * 4 + [BETWEEN] + [ANSWER] * 4 + [BETWEEN]
    others = [OTHERS] * 10
    by_word = pair + others if label == "A->B" else others + pair
    expected = np.repeat(by_word, per_word)[1:]
    fresh = data.fresh_windows(label, 30, np.random.default_rng(3))
    read = data.windows()[label]
    for windows, number in ((read, 4), (fresh, 30)):
        kinds = np.tile(expected, (number, 1))
        np.testing.assert_array_equal(windows.kinds, kinds)
    # What is fresh is distributed as what is read, held-out words included.
    stream = data.stream
    rows = np.concatenate([fresh.inputs[:, :1], fresh.targets], axis=1)
    first = rows[:, per_word - 1 : 4 * per_word : per_word]
    words = stream.vocabulary.ids(stream.languages["A"], np.arange(8))
    assert set(first.ravel()) == set(words[2:])
    again = rows[:, 10 * per_word : 14 * per_word]
    np.testing.assert_array_equal(rows[:, 5 * per_word : 9 * per_word], again)


def test_held_out_words_are_those_of_the_first():
    # A scrambled A->B translates A words 0 and 1 into other places.
    components = tuple(Component(m, 40, num_held_out=2) for m in BOTH)
    mixture = Mixture(
        components,
        given=("A->C", "B->C"),
        scrambled=("A->B",),
        together=BOTH,
    )
    stream = build(mixture)
    words = stream.mapping("A->B").translate(np.arange(2))
    assert set(words) != {0, 1}
    assert not set(stream.sentences["B->C"].ravel()) & set(words)
    sentences = np.arange(8).reshape(2, 4)
    mask = find_tiers(stream, "B->C", sentences)["held_out_words"]
    np.testing.assert_array_equal(mask, np.isin(sentences, words))


def test_tags_and_chains_may_stand_together():
    stream = build(has_target_tag=True)
    counts = [text_of(stream).count(f">{name}.") for name in "ABC"]
    assert counts == [2, 10, 3 + 10]  # of each target
    chained = ("A->B->C", "C->A")
    mixture = Mixture(
        tuple(Component(label, 6) for label in chained), together=chained
    )
    stream = build(mixture, length=24)  # a chain and a pair: 25 words
    for row in np.concatenate([stream.inputs, stream.targets[:, -1:]], axis=1):
        text = stream.vocabulary.decode(row)
        a, _, c, again, home = text.replace("|", ".").split(" . ")
        assert (c, a) == (again, home.removesuffix(" ."))


def test_no_floor_is_known_of_pairs_that_stand_together():
    task = Translation(MIXTURE, BOTH, tokens="words")
    assert task.floors(45) == {}
    with pytest.raises(ValueError, match="together="):
        task.packing(45)


@pytest.mark.parametrize(
    ("together", "rule"),
    [
        (("A->B",), "Two mappings or more"),
        (("A->B", "A->B"), "each once"),
        (("A->B", "B->A"), r"with a component. Received: .*'B->A'"),
        (("B->C", "A->B"), "in which the former ends"),
        (("A->B", "A->C"), "in which the former ends"),
    ],
)
def test_what_cannot_stand_together_is_refused(together, rule):
    with pytest.raises(ValueError, match=rule):
        dataclasses.replace(MIXTURE, together=together)


@pytest.mark.parametrize(
    "other",
    [
        Component("B->C", 4, 2),
        Component("B->C", 5),
        Component("B->C", 5, 2, True),
        Component("B->C", 5, 2, num_held_out=1),
    ],
)
def test_unequal_counts_are_refused(other):
    components = (Component("A->B", 5, 2), other)
    with pytest.raises(ValueError, match=r"equal counts. Received: .*B->C"):
        Mixture(components, together=BOTH)
