"""Tests for tiny_gpt/tasks/hangul/task.py: floors, baselines, checks."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.tasks.hangul.task import Hangul, draw_deranged

ASKED = EvaluationConfig("cached", 8, 2, 0, exact_demonstrations=(2,))
BRIDGED = ("A->B", "B->C", "B->B")


def test_sizes_by_hand():
    # Two blocks of 216 syllables and twice 18 parts; padding, dot and bar.
    assert Hangul().vocabulary_size == 2 * (216 + 18 + 18) + 3
    assert Hangul(8).vocabulary_size == 2 * (512 + 24 + 24) + 3
    # One third of 216; three of eight sums.
    assert Hangul().num_syllables("A->C") == 72
    assert Hangul(8).num_syllables("A->C") == 192
    # Windows of 42 have four pairs of 10 tokens, or three of 14: 2500 / 4,
    # 2500 / 3 and 360 / 4.
    assert Hangul().num_windows(42) == (625 + 834 + 90,)


def enumerate_rows(task):
    """Returns the probability of each row of one pair, by mapping and row."""
    (data,) = task.draw(14, np.random.default_rng(0))
    windows = {m: len(w.inputs) for m, w in data.windows().items()}
    total = sum(windows.values())
    found = {}
    for label, count in windows.items():
        every = np.arange(task.num_jamo**3)
        words = data.shown if label == "A->C" else every
        sentences = np.array(list(itertools.product(words, words)))
        pairs = data.vocabulary.pairs(label, sentences)
        weight = count / total / len(pairs)
        found |= {(label, tuple(row)): weight for row in pairs}
    return found


def entropy(weights):
    return -math.fsum(p * math.log(p) for p in weights)


@pytest.mark.parametrize("majority", [("A->B", "B->C"), BRIDGED, ()])
def test_floors_are_entropies_of_rows(majority):
    # One pair a window: the floor is the entropy of the row without that of
    # the first token, over the targets that are scored.
    task = Hangul(2, majority, 30, 10)
    rows = enumerate_rows(task)
    targets = sum(p * (len(row) - 1) for (_, row), p in rows.items())
    first, by_mapping, of_mapping = Counter(), Counter(), Counter()
    for (label, row), p in rows.items():
        first[row[0]] += p
        by_mapping[label, row[0]] += p
        of_mapping[label] += p
    of_rows = entropy(rows.values())
    floors = task.floors(14)
    inferred = (of_rows - entropy(first.values())) / targets
    assert floors["inferred"] == pytest.approx(inferred, rel=1e-9)
    # Told the mapping, neither row nor first token has to say it.
    told = (of_rows - entropy(by_mapping.values())) / targets
    assert floors["told"] == pytest.approx(told, rel=1e-9)
    assert (len(of_mapping) > 1) == (floors["told"] < floors["inferred"])


def test_floors_of_whole_windows_by_hand():
    # B->C alone: windows of 3 pairs with 12 jamo each, ln 6 for all but the
    # first one; 41 targets.
    task = Hangul(majority=("B->C",), num_majority=3, num_sparse=0)
    by_hand = 17 * math.log(6) / 41
    assert task.floors(42) == pytest.approx(
        {"told": by_hand, "inferred": by_hand}
    )


def test_baselines_by_hand():
    found = Hangul(num_majority=100, num_sparse=10).baselines()
    assert set(found["chance"].values()) == {1 / 6}
    # A->C: 10 draws of 72^2 sentences, of 216^2 that are asked.
    share = 72**2 * (1 - (1 - 1 / 72**2) ** 10) / 216**2
    assert found["memoriser"]["A->C"] == pytest.approx(
        share + (1 - share) / 6, rel=1e-12
    )
    # 20 draws of 72 syllables, of 216 that are asked.
    known = 72 * (1 - (71 / 72) ** 20) / 216
    assert found["dictionary"]["A->C"] == pytest.approx(
        known + (1 - known) / 6, rel=1e-12
    )
    known = 1 - (215 / 216) ** 200
    assert found["dictionary"]["A->B"] == pytest.approx(
        known + (1 - known) / 6, rel=1e-12
    )
    # All six jamo of each place occur among 200, but for 6 (5/6)^200.
    assert found["dictionary"]["B->C"] == pytest.approx(1, abs=1e-12)


def test_dictionary_is_simulated():
    task = Hangul(3, num_majority=2, num_sparse=3)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(500):
        (data,) = task.draw(42, rng)
        known = np.unique(data.sentences["A->C"]).size / 27
        found.append(known + (1 - known) / 3)
    simulated = np.mean(found)
    assert task.baselines()["dictionary"]["A->C"] == pytest.approx(
        simulated, abs=5 * np.std(found) / math.sqrt(500)
    )


@pytest.mark.parametrize("num_jamo", [6, 8])
def test_every_letter_is_shown_as_often(num_jamo):
    # So any answer that does not depend on the parts is right once in n.
    task = Hangul(num_jamo)
    (data,) = task.draw(42, np.random.default_rng(3))
    spelling = data.vocabulary.blocks[0].spelling
    assert len(data.shown) == task.num_syllables("A->C")
    for place in range(3):
        counts = np.bincount(spelling[data.shown, place], minlength=num_jamo)
        assert (counts == task.num_sums * num_jamo).all()


@pytest.mark.parametrize("num_jamo", [2, 6, 8])
def test_deranged_letters_are_never_their_own(num_jamo):
    rng = np.random.default_rng(0)
    for _ in range(100):
        found = draw_deranged(num_jamo, rng)
        assert (np.sort(found) == np.arange(num_jamo)).all()
        assert (found != np.arange(num_jamo)).all()


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"num_jamo": 1}, "`num_jamo` must be at least 2"),
        ({"num_jamo": 10}, r"at most 9.*Received: num_jamo=10"),
        ({"num_majority": 0}, "`num_majority` must be at least 1"),
        ({"num_sparse": -1}, "`num_sparse` must be at least 0"),
        ({"majority": ("A->C",)}, "`majority` has some of"),
        ({"majority": ("A->B", "A->B")}, "once each"),
        ({"majority": (), "num_sparse": 0}, "Something is read"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(fields, rule):
    with pytest.raises(ValueError, match=rule):
        Hangul(**fields)


def test_prompts_must_fit():
    # Two pairs B->C, a question of 7 tokens, and 6 - 1 letters: 40.
    Hangul().check(40, ASKED)
    with pytest.raises(ValueError, match=r"prompt \+ answer - 1 <= 39"):
        Hangul().check(39, ASKED)
    # Without B->C, two pairs A->B, 3 and 5: 28.
    Hangul(majority=("A->B",)).check(28, ASKED)
    none = EvaluationConfig("published", exact_demonstrations=())
    with pytest.raises(ValueError, match="A window of whole pairs"):
        Hangul().check(13, none)
