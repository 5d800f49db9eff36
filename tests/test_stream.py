"""Tests for tiny_gpt/stream.py."""

import numpy as np
import pytest

from tiny_gpt.mixture import Component, Mixture
from tiny_gpt.stream import (
    build_stream,
    cut_windows,
    sample_prompts,
    sample_sentences,
)


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


def test_an_unknown_mapping_is_refused():
    stream = build(triangle(1, 1, 1))
    with pytest.raises(ValueError, match="A->X"):
        sample_prompts(stream, "A->X", 1, 0, np.random.default_rng(0))
