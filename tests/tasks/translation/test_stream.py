"""Tests for tiny_gpt/tasks/translation/stream.py."""

import dataclasses

import numpy as np
import pytest

from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.prompts import encode_prompts, sample_prompts
from tiny_gpt.tasks.translation.stream import (
    all_sentences,
    build_stream,
    draw_component,
    fresh_windows,
    sample_sentences,
)
from tiny_gpt.tasks.translation.windows import cut_windows


def triangle(*num_pairs):
    labels = ("A->B", "B->C", "A->C")
    return Mixture(tuple(map(Component, labels, num_pairs)))


def build(mixture, kind="characters", length=45, seed=0):
    return build_stream(mixture, kind, length, np.random.default_rng(seed))


def test_the_last_window_is_padded_on_the_left():
    # 7 tokens in rows of 3: 1 2 3 | 4 5 6 | 0 0 7.
    inputs, targets = cut_windows(np.arange(1, 8), sequence_length=2)
    np.testing.assert_array_equal(inputs, [[1, 2], [4, 5], [0, 0]])
    np.testing.assert_array_equal(targets, [[2, 3], [5, 6], [0, 7]])


def test_whole_windows_need_no_padding():
    inputs, targets = cut_windows(np.arange(1, 7), sequence_length=2)
    np.testing.assert_array_equal(inputs, [[1, 2], [4, 5]])
    np.testing.assert_array_equal(targets, [[2, 3], [5, 6]])


@pytest.mark.parametrize(
    ("num_pairs", "num_windows"),
    # 20 tokens per pair in rows of 46: ceil(20 n / 46).
    [((2500, 2500, 50), 2196), ((2500, 2500, 0), 2174), ((0, 0, 50), 22)],
)
def test_published_window_counts(num_pairs, num_windows):
    stream = build(triangle(*num_pairs))
    assert stream.inputs.shape == stream.targets.shape == (num_windows, 45)


def test_the_corpus_follows_the_order_of_the_components():
    stream = build(triangle(3, 2, 1), "words", length=9)  # one pair a window
    windows = np.concatenate([stream.inputs, stream.targets[:, -1:]], axis=1)
    texts = [stream.vocabulary.decode(row) for row in windows]
    symbols = {n: lang.symbols for n, lang in stream.languages.items()}
    languages = [
        "".join(
            name
            for w in (text[0], text[10])
            for name in "ABC"
            if w in symbols[name]
        )
        for text in texts
    ]
    assert languages == ["AB"] * 3 + ["BC"] * 2 + ["AC"]
    assert all(text[8] == "." and text[18] == "|" for text in texts)


def test_words_differ_within_a_sentence_and_are_uniform():
    # 8000 sentences: each first word 1000 times, standard error
    # sqrt(8000 * 1/8 * 7/8) = 29.6.
    sentences = sample_sentences(8000, 8, 4, np.random.default_rng(0))
    assert all(len(set(row)) == 4 for row in sentences[:500])
    counts = np.bincount(sentences[:, 0], minlength=8)
    assert np.abs(counts - 1000).max() < 4 * 29.6


def test_sentences_are_drawn_with_replacement():
    # 2500 draws of 1680 show 77.4 % of them, +- 0.7 % (one standard error).
    sentences = sample_sentences(2500, 8, 4, np.random.default_rng(1))
    share = len({tuple(row) for row in sentences}) / 1680
    assert abs(share - 0.774) < 4 * 0.007


def test_conditions_share_what_they_do_not_change():
    with_a_to_c = build(triangle(5, 5, 2))
    without = build(triangle(5, 5, 0))
    assert with_a_to_c.languages == without.languages
    for label in ("A->B", "B->C"):
        np.testing.assert_array_equal(
            with_a_to_c.sentences[label], without.sentences[label]
        )


def draw(num_pairs, **fields):
    component = Component("A->C", num_pairs, **fields)
    rng = np.random.default_rng(4)
    return draw_component(component, triangle(1, 1, 1), rng)


def test_repeats_show_the_same_sentences_in_another_order():
    once = draw(50)
    often = draw(50, num_repeats=3).reshape(3, 50, 4)
    np.testing.assert_array_equal(often[0], once)
    for again, before in ((often[1], once), (often[2], often[1])):
        assert not np.array_equal(again, before)
        assert sorted(again.tolist()) == sorted(once.tolist())


def test_distinct_draws_are_distinct():
    # 1680 are all there are, and not in lexicographic order; with 4 of 8
    # words held out 24 are.
    drawn = draw(1680, is_distinct=True)
    everything = all_sentences(8, 4)
    assert len({tuple(row) for row in everything}) == 1680
    assert sorted(drawn.tolist()) == everything.tolist()
    assert drawn.tolist() != everything.tolist()
    assert len({tuple(row) for row in draw(1000, is_distinct=True)}) == 1000
    few = draw(24, is_distinct=True, num_held_out=4)
    assert sorted(few.tolist()) == (all_sentences(4, 4) + 4).tolist()


def test_held_out_words_never_occur():
    assert set(draw(200, num_held_out=3).ravel()) == {3, 4, 5, 6, 7}
    held_out = Component("A->C", 200, num_held_out=3)
    stream = build(Mixture((Component("A->B", 200), held_out)), "words")
    a_to_c = stream.components == 1
    shown = {stream.vocabulary.tokens[i] for i in stream.targets[a_to_c]}
    # Given mappings pair words by position, so no translation occurs either.
    for name in "AC":
        symbols = stream.languages[name].symbols
        assert shown & set(symbols) == set(symbols[3:])
    assert set(stream.sentences["A->B"].ravel()) == set(range(8))


@pytest.mark.parametrize(
    "changed",
    [
        Component("A->C", 0),
        Component("A->C", 7, num_repeats=3),
        Component("A->C", 2, is_distinct=True),
        Component("A->C", 2, num_held_out=2),
    ],
)
def test_a_changed_component_changes_no_other(changed):
    # The one that changes is drawn first; a scrambled mapping comes last.
    others = Component("A->B", 5), Component("B->C", 5)
    one, other = (
        build(Mixture((first, *others), scrambled=("C->A",)))
        for first in (Component("A->C", 2), changed)
    )
    assert one.languages == other.languages
    assert one.scrambled == other.scrambled
    for label in ("A->B", "B->C"):
        np.testing.assert_array_equal(
            one.sentences[label], other.sentences[label]
        )


def test_a_scrambled_mapping_changes_the_translation_alone():
    real = build(triangle(5, 5, 20), "words", length=9)
    mixture = dataclasses.replace(real.mixture, scrambled=("A->C",))
    other = build(mixture, "words", length=9)
    is_answer = (real.components == 2) & (real.places > 4) & (real.places < 9)
    np.testing.assert_array_equal(
        real.targets[~is_answer], other.targets[~is_answer]
    )
    assert (real.targets[is_answer] != other.targets[is_answer]).all()
    scrambled = other.mapping("A->C")
    np.testing.assert_array_equal(
        other.targets[is_answer].reshape(20, 4),
        other.vocabulary.encode_answers(scrambled, other.sentences["A->C"]),
    )
    assert other.composed("A->C") == real.mapping("A->C")
    assert other.mapping("A->B") == real.mapping("A->B")
    again = build(mixture).mapping("A->C")  # whatever the window
    assert again.permutation == scrambled.permutation


@pytest.mark.parametrize("length", [6, 9, 13, 45])
@pytest.mark.parametrize("kind", ["words", "characters"])
def test_components_and_places_say_what_each_target_is(kind, length):
    # The corpus, token by token, from languages and sentences alone.
    components = (
        Component("A->B", 3),
        Component("B->C", 0),
        Component("A->C", 2, num_repeats=2),
    )
    stream = build(Mixture(components), kind, length)
    per_word = 2 if kind == "characters" else 1
    corpus = []
    for index, component in enumerate(components):
        mapping = stream.mapping(component.mapping)
        source, target = mapping.source.symbols, mapping.target.symbols
        for sentence in stream.sentences[component.mapping]:
            words = [source[i] for i in sentence]
            words += [".", *(target[mapping.permutation[i]] for i in sentence)]
            for place, word in enumerate([*words, "|"]):
                if per_word == 2:
                    corpus.append(("\u2581", index, 2 * place))
                corpus.append((word, index, per_word * place + per_word - 1))
    assert len(corpus) == 7 * 10 * per_word
    padding = [(stream.vocabulary.tokens[0], -1, -1)]
    last = len(corpus) // (length + 1) * (length + 1)
    missing = -len(corpus) % (length + 1)
    rows = corpus[:last] + (padding * missing + corpus[last:]) * (missing > 0)

    ids = np.concatenate([stream.inputs[:, :1], stream.targets], axis=1)
    tokens = [stream.vocabulary.tokens[i] for i in ids.ravel()]
    assert tokens == [token for token, _, _ in rows]
    expected = np.reshape([row[1:] for row in rows], (-1, length + 1, 2))
    given = np.stack([stream.components, stream.places], axis=-1)
    np.testing.assert_array_equal(given, expected[:, 1:])


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_fresh_windows_are_new_text_of_the_same_mapping(kind):
    mixture = Mixture(
        (Component("A->B", 60), Component("A->C", 60, num_held_out=2)),
        scrambled=("A->C",),
    )
    stream = build(mixture, kind)
    rng = np.random.default_rng(5)
    inputs, targets, places = fresh_windows(stream, "A->C", 7, rng)
    assert inputs.shape == targets.shape == places.shape == (7, 45)
    rows = np.concatenate([inputs, targets[:, -1:]], axis=1)
    np.testing.assert_array_equal(rows[:, 1:], targets)
    text = stream.vocabulary.decode(rows.ravel()).replace(" ", "")
    per_pair = 20 if kind == "characters" else 10
    expected_places = np.arange(7 * 46).reshape(7, 46)[:, 1:] % per_pair
    np.testing.assert_array_equal(places, expected_places)

    mapping = stream.mapping("A->C")
    source, target = mapping.source.symbols, mapping.target.symbols
    word = {
        w: target[p] for w, p in zip(source, mapping.permutation, strict=True)
    }
    *pairs, _ = text.split("|")  # the last pair is cut
    seen = set()
    for sentence, answer in (pair.split(".") for pair in pairs):
        assert answer == "".join(word[w] for w in sentence)
        assert len(set(sentence)) == 4
        seen.add(sentence)
    assert len(pairs) == 7 * 46 // per_pair
    assert set("".join(seen)) == set(source[2:])  # two are held out
    known = stream.sentences["A->C"]
    assert not seen <= {"".join(source[i] for i in row) for row in known}


def test_one_seed_is_one_stream():
    one, again, other = (build(triangle(5, 5, 2), seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.inputs, again.inputs)
    assert not np.array_equal(one.inputs, other.inputs)


def test_a_prompt_is_demonstrations_and_a_query():
    stream = build(triangle(1, 1, 1), "words")
    rng = np.random.default_rng(0)
    prompts, answers = sample_prompts(stream, "A->C", 3, 2, rng)
    assert prompts.shape == (3, 25)  # 2 * 10 + 4 words and a separator
    a_to_c = stream.mapping("A->C")
    word = dict(
        zip(
            a_to_c.source.symbols,
            (a_to_c.target.symbols[i] for i in a_to_c.permutation),
            strict=True,
        )
    )
    for prompt, answer in zip(prompts, answers, strict=True):
        first, second, query = stream.vocabulary.decode(prompt).split(" | ")
        for pair in (
            first,
            second,
            f"{query} {stream.vocabulary.decode(answer)}",
        ):
            source, target = pair.split(" . ")
            assert [word[w] for w in source.split()] == target.split()


def test_a_prompt_may_demonstrate_another_mapping():
    stream = build(triangle(1, 1, 1), "words")
    a_to_b, a_to_c = stream.mapping("A->B"), stream.mapping("A->C")
    queries = np.array([[0, 1, 2, 3]])
    shown = np.array([[[7, 6, 5, 4]]])  # one demonstration
    prompts = encode_prompts(stream.vocabulary, a_to_c, queries, a_to_b, shown)
    pair, query = stream.vocabulary.decode(prompts[0]).split(" | ")
    a, b = (stream.languages[name].symbols for name in "AB")
    assert pair.split() == [*a[:3:-1], ".", *b[:3:-1]]
    assert query.split() == [*a[:4], "."]


def test_an_unknown_mapping_is_refused():
    stream = build(triangle(1, 1, 1))
    with pytest.raises(ValueError, match="A->X"):
        sample_prompts(stream, "A->X", 1, 0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="A->X"):
        stream.composed("A->X")
