"""Tests for the baselines and the form of `Translation`."""

import dataclasses
import math

import pytest

from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.task import Translation

LABELS = ("A->B", "B->C", "A->C")


def baselines_of(*components, pretraining=None, **changes):
    sizes = {"alphabet_size": 4, "sentence_length": 2}
    first = Mixture(pretraining, **sizes) if pretraining else None
    mixture = Mixture(components, **sizes)
    return Translation(mixture, LABELS, pretraining=first).baselines()


def test_a_dictionary_knows_every_word_that_was_shown():
    # Sentences of 2 of 4 words. Two draws: 23/24 as in test_dictionary.py.
    # One sentence, 5 times: 2 words, and one of the 2 others by luck. No pair
    # of A->C: chance, whatever the other mappings show.
    found = baselines_of(Component("A->B", 2), Component("B->C", 1, 5))
    assert found["dictionary"] == pytest.approx(
        {"A->B": 23 / 24, "B->C": 3 / 4, "A->C": 1 / 4}
    )
    assert found["chance"] == dict.fromkeys(LABELS, 1 / 4)


def test_a_dictionary_lacks_held_out_words():
    # All 3 words of A->B but one, which is what is left; of B->C two are
    # held out, and one is guessed right on average.
    found = baselines_of(
        Component("A->B", 100, num_held_out=1),
        Component("B->C", 100, num_held_out=2),
        Component("A->C", 12, is_distinct=True),
    )
    assert found["dictionary"] == {"A->B": 1.0, "B->C": 3 / 4, "A->C": 1.0}


def test_a_dictionary_beats_the_memoriser():
    for num in range(1, 40):
        found = baselines_of(Component("A->B", num))
        scores = [found[k]["A->B"] for k in ("chance", "memoriser")]
        assert found["dictionary"]["A->B"] > max(scores)


def test_the_published_mixture():
    # 8 words, 50 sentences of 4: all shown but for once in 10^15.
    components = tuple(map(Component, LABELS, (2500, 2500, 50)))
    found = Translation(Mixture(components), LABELS).baselines()
    assert found["dictionary"] == dict.fromkeys(LABELS, 1.0)
    assert found["memoriser"]["A->C"] == pytest.approx(0.151, abs=1e-3)


def test_what_pretraining_shows_is_known():
    # The later text has no A->B, and 2 of the 3 sentences of A->C.
    before = (Component("A->B", 2), Component("A->C", 3))
    later = (Component("A->B", 0), Component("A->C", 2))
    both = baselines_of(*later, pretraining=before)
    assert both == baselines_of(*before)
    assert both != baselines_of(*later)
    swapped = baselines_of(*before, pretraining=later)
    assert swapped == both


def test_only_a_tag_and_its_languages_widen_the_vocabulary():
    task = Translation(Mixture((Component("A->B", 5),)), ("A->B",))
    tagged = dataclasses.replace(task, has_target_tag=True)
    assert tagged.vocabulary_size == task.vocabulary_size + 4
    assert tagged.answer_length == task.answer_length
    assert tagged.baselines() == task.baselines()
    assert math.isfinite(task.floors(45)["inferred"])
