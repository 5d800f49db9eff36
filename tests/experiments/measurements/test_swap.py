"""Tests for experiments/measurements/swap.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from experiments import composition
from experiments.measurements import swap
from experiments.measurements.word_vectors import word_ids
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.tasks.translation.stream import fresh_windows
from tiny_gpt.training.finished import Trained
from tiny_gpt.training.run_setup import draw_phases

pytestmark = pytest.mark.backend

SEED = 3
UNTRAINED = "held_out_2_bridge"


@pytest.fixture(scope="module")
def run():
    experiment = composition.build_experiment("quick", UNTRAINED)
    model = experiment.model.build()
    initialise_weights(model, np.random.default_rng(1))
    data = draw_phases(experiment, SEED)[-1]
    return Trained(experiment, SEED, model, data)


def test_two_words_change_answers_and_no_other_does(run):
    stream = run.data.stream
    ids = word_ids(stream)
    changed = swap.exchanged(stream, "B->C", (0, 1))
    before, after = (s.mapping("B->C").permutation for s in (stream, changed))
    differ = np.flatnonzero(np.array(before) != after)
    words = stream.vocabulary.ids(stream.languages["B"], differ)
    assert sorted(words) == sorted(ids["B"][:2])
    assert changed.mapping("A->C") == stream.mapping("A->C")
    assert swap.exchanged(stream, "B->C", None) is stream
    # As it is read: each B word, and its C word a sentence and a point later.
    inputs, targets, places = fresh_windows(
        changed, "B->C", 20, np.random.default_rng(0)
    )
    number = {int(x): i for name in "BC" for i, x in enumerate(ids[name])}
    length = stream.mixture.sentence_length
    pairs = {
        (number[int(row[t])], number[int(row[t + length + 1])])
        for row, place in zip(targets, places, strict=True)
        for t in range(len(row) - length - 1)
        if 0 <= place[t] < length
    }
    assert pairs == {(0, 1), (1, 0), *((i, i) for i in range(2, 8))}
    assert inputs.shape == targets.shape


class Oracle:
    """Answers each word by a mapping, and knows nothing else."""

    def __init__(self, stream, label, question):
        ids = word_ids(stream)
        words = np.arange(stream.mixture.alphabet_size)
        target = stream.mapping(label).target
        answers = swap.in_source(stream, label, words)
        answers = stream.mapping(label).translate(answers)
        self._table = np.zeros(100, int)
        answers = stream.vocabulary.ids(target, answers)
        self._table[ids[label[0]]] = answers
        self._places = question._asked.places

    def read(self, tokens):
        sources, answers = self._places
        logits = np.zeros((*tokens.shape, 100))
        said = self._table[tokens[:, sources]]
        rows = np.arange(len(tokens))[:, None]
        logits[rows, answers, said] = 1.0
        return SimpleNamespace(logits=logits)


@pytest.mark.parametrize("label", swap.ASKED)
@pytest.mark.parametrize("group", swap.PAIRS)
def test_who_follows_is_told_from_who_does_not(run, label, group):
    stream = run.data.stream
    question = swap._Question(stream, label, group, 5)

    def read(pair):
        changed = swap.exchanged(stream, label, pair)
        found = dict(question.read(Oracle(changed, label, question)))
        assert found.pop(f"old_beside_{group}") == 1.0
        return found[f"old_{group}"], found[f"new_{group}"]

    assert read(None) == (1.0, 0.0)
    for name, pair in swap.PAIRS.items():
        assert read(pair) == ((0.0, 1.0) if name == group else (1.0, 0.0))


def test_a_prompt_has_one_word_of_a_pair_and_only_once(run):
    ids = word_ids(run.data.stream)
    for label in swap.ASKED:
        for group, pair in swap.PAIRS.items():
            question = swap._Question(run.data.stream, label, group, 5)
            tokens = question._asked.tokens
            exchanged = ids[label[0]][:4]
            count = np.isin(tokens, exchanged).sum(axis=1)
            np.testing.assert_array_equal(count, 1)
            asked = tokens[:, question._asked.places[0]]
            found = np.isin(asked, ids[label[0]][list(pair)]).sum(axis=1)
            np.testing.assert_array_equal(found, 1)
            for word in ids[label[0]][list(pair)]:
                assert (asked == word).any()


@pytest.mark.slow
def test_retraining_starts_from_the_network_and_leaves_it(run, monkeypatch):
    monkeypatch.setattr(swap, "UPDATES", (0, 30))
    before = [np.array(w) for w in run.model.get_weights()]
    rows = list(swap.retrained(run, "B->C", (0, 1), 5))
    assert [row[0] for row in rows] == [0] * 12 + [30] * 12
    # The same again, so neither weights nor optimizer were carried over.
    assert rows == list(swap.retrained(run, "B->C", (0, 1), 5))
    for mine, theirs in zip(before, run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    found = {row[:3]: row[3] for row in rows}
    assert len(found) == len(rows)
    start = swap._Question(run.data.stream, "A->C", "held_out", 5)
    reader = swap._compiled(run.experiment)[1]
    reader.model.set_weights(before)
    for metric, value in start.read(reader):
        assert found[0, "A->C", metric] == value
    # It has learned which words come.
    assert found[30, "B->C", "old_beside_shown"] > 0.08
    assert found[0, "B->C", "old_beside_shown"] < 0.08


def test_rows_name_what_was_retrained(monkeypatch):
    told = []

    def retrained(run, label, pair, seed):
        told.append((run, label, pair))
        yield 5, "A->C", "new_shown", 0.5

    monkeypatch.setattr(swap, "retrained", retrained)
    rows = swap.measure({name: name for name in swap.NEEDS}, 1)
    assert len({row[:4] for row in rows}) == len(rows) == 3 * 4
    assert told[:4] == [
        ("composition/held_out_2_bridge", "B->C", (0, 1)),
        ("composition/held_out_2_bridge", "B->C", (2, 3)),
        ("composition/held_out_2_bridge", "B->C", None),
        ("composition/held_out_2_bridge", "B->B", (0, 1)),
    ]
    expected = "A->C", "held_out_2_bridge", "shown.updates_5", "new_shown", 0.5
    assert rows[1] == expected
