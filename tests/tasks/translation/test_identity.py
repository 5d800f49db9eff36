"""Tests for identity mappings, "B->B", as components of a mixture."""

import dataclasses

import numpy as np
import pytest

from benchmarks.tiny_runs import TINY, with_task
from tiny_gpt.tasks.translation.mixture import (
    LETTERS_DIGITS_PUNCTUATION,
    Component,
    Mixture,
)
from tiny_gpt.tasks.translation.stream import all_sentences, build_stream
from tiny_gpt.tasks.translation.tiers import find_tiers

MIXTURE = Mixture(
    (
        Component("A->B", 40),
        Component("B->C", 40),
        Component("B->B", 30),
        Component("A->C", 20, num_held_out=2),
    ),
    given=("A->B", "B->C", "C->D"),
    characters=LETTERS_DIGITS_PUNCTUATION,
)


def build(mixture=MIXTURE):
    return build_stream(mixture, "words", 29, np.random.default_rng(0))


def test_an_identity_pair_is_a_sentence_twice():
    stream = build()
    mapping = stream.mapping("B->B")
    assert mapping.source == mapping.target == stream.languages["B"]
    pairs = stream.vocabulary.encode_pairs(mapping, stream.sentences["B->B"])
    np.testing.assert_array_equal(pairs[:, :4], pairs[:, 5:9])
    words = stream.vocabulary.ids(stream.languages["B"], np.arange(8))
    assert np.isin(pairs[:, :4], words).all()


def test_an_identity_changes_nothing_else():
    # Every component has a generator of its own, by its place.
    components = list(MIXTURE.components)
    components[2] = Component("D->D", 30)
    other = dataclasses.replace(MIXTURE, components=tuple(components))
    bridge, placebo = build(), build(other)
    assert bridge.languages == placebo.languages
    for label in ("A->B", "B->C", "A->C"):
        np.testing.assert_array_equal(
            bridge.sentences[label], placebo.sentences[label]
        )
    np.testing.assert_array_equal(
        bridge.sentences["B->B"], placebo.sentences["D->D"]
    )


def test_held_out_words_are_found_in_the_pivot_too():
    # Given mappings pair by position: the pivots of words 0 and 1 are 0 and 1.
    sentences = all_sentences(8, 4)
    for label in ("A->C", "B->B", "B->C"):
        mask = find_tiers(build(), label, sentences)["held_out_words"]
        np.testing.assert_array_equal(mask, sentences < 2)


def test_a_scrambled_identity_copies_no_word():
    stream = build(dataclasses.replace(MIXTURE, scrambled=("B->B",)))
    words = np.arange(8)
    assert (stream.mapping("B->B").translate(words) != words).all()


def test_a_run_can_ask_for_an_identity():
    # The name of its columns is that of any other mapping.
    components = (*TINY.task.mixture.components, Component("B->B", 8))
    mixture = dataclasses.replace(TINY.task.mixture, components=components)
    asked = with_task(TINY, mixture=mixture, eval_mappings=("B->B", "B->C"))
    baselines = asked.task.baselines()
    assert set(baselines["chance"]) == {"B->B", "B->C"}
    assert asked.task.read_mappings[-1] == "B->B"


def test_what_is_given_is_no_identity():
    with pytest.raises(ValueError, match="two different languages"):
        dataclasses.replace(MIXTURE, given=("A->B", "B->C", "C->D", "B->B"))
