"""Tests for experiments/measurements/composing*.py."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from keras.ops import convert_to_numpy

from experiments import composition
from experiments.measurements import composing, composing_by_epoch, pivot
from experiments.measurements.composing_alike import alike_rows, likeness
from experiments.measurements.composing_exchange import follows, moved
from experiments.measurements.composing_patches import (
    composed_rows,
    patch_rows,
)
from experiments.measurements.composing_words import draw_sentences
from experiments.measurements.pivot_use import (
    Removal,
    pivot_effects,
    pivot_streams,
    read_directions,
    split_in_halves,
    without,
)
from experiments.measurements.pivot_words import group_words
from experiments.measurements.word_vectors import paired_cosines, word_ids
from tests.experiments.measurements.test_pivot import (
    FROM_B,
    OTHERS,
    POINTS,
    TO_C,
    WORDS,
    asked_for,
    build,
)
from tests.helpers.handmade import A_TO_B, A_TO_C, B_TO_C, A, B, C
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.probes import Reader
from tiny_gpt.tasks.translation.languages import Language, Mapping
from tiny_gpt.training.finished import Trained
from tiny_gpt.training.run_setup import draw_phases

pytestmark = pytest.mark.backend

SEED = 3
KINDS = ["source", "answer", "both"]


@pytest.fixture(scope="module", params=["composed", "direct", "fetched"])
def network(request):
    return request.param, Reader(build(request.param))


def directions(reader, asked):
    effects = pivot_effects(pivot_streams(reader, asked, 24), WORDS, 4)
    return without(effects, read_directions(reader.model, C))


def followed(reader, given):
    words = SimpleNamespace(own=A_TO_B[WORDS], other=A_TO_B[OTHERS])
    goal = C[A_TO_C[OTHERS]]
    taken = directions(reader, FROM_B)
    found = follows(reader, TO_C, words, (taken, given), goal)
    return found.mean(axis=(2, 3))


def test_answers_follow_another_b_word_only_by_way_of_b(network):
    kind, reader = network
    found = followed(reader, directions(reader, FROM_B))
    if kind == "composed":
        # From where the B word is fetched to where it is translated.
        np.testing.assert_array_equal(found[1:4, 1:], 1.0)
        np.testing.assert_array_equal(found[:, 0], 0.0)
        np.testing.assert_array_equal(found[[0, 4]], 0.0)
    else:
        np.testing.assert_array_equal(found, 0.0)


def test_nothing_follows_directions_that_mean_nothing(network):
    _, reader = network
    drawn = np.random.default_rng(2).normal(
        size=directions(reader, FROM_B).shape
    )
    # What the head reads as a C word would be followed in any network.
    given = without(drawn, read_directions(reader.model, C))
    assert followed(reader, given).max() < 0.5
    # A word that is taken away may be guessed.
    assert followed(reader, 0 * given).max() < 0.2
    # What was answered so before does not follow.
    words = SimpleNamespace(own=A_TO_B[WORDS], other=A_TO_B[OTHERS])
    found = follows(reader, TO_C, words, (given, 0 * given), TO_C.targets)
    np.testing.assert_array_equal(found, 0.0)


def test_a_coordinate_moves_to_another_direction():
    values = np.array([[2.0, 0.5, 1.0], [-2.0, 0.5, 1.0]])
    first, second = np.tile(np.eye(3)[:2, None], (1, 2, 1))
    np.testing.assert_allclose(
        moved(values, 7 * first, 5 * second), [[0, 2.5, 1], [0, -1.5, 1]]
    )
    # Rounding is no direction: it takes nothing, and gives nothing.
    np.testing.assert_allclose(moved(values, 1e-9 * first, second), values)
    np.testing.assert_allclose(
        moved(values, first, 1e-9 * second), [[0, 0.5, 1], [0, 0.5, 1]]
    )


def test_halves_are_of_the_words_that_count():
    values = np.arange(8.0).reshape(1, 1, 4, 2)
    counts = np.array([[1, 0], [1, 1], [1, 0], [0, 0]], bool)
    found = split_in_halves(values, counts).by_half
    np.testing.assert_array_equal(found.ravel(), [(0 + 4) / 2, (2 + 3) / 2])
    none = split_in_halves(values, np.zeros((4, 2), bool)).by_half
    np.testing.assert_array_equal(none, 0.0)


def test_use_is_counted_by_group():
    is_right = np.array([[1, 1], [1, 1], [0, 1]], bool)
    lost = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]).reshape(1, 1, 3, 2)
    removed = Removal(is_right, lost)
    found = removed.use(np.array([[1, 0], [1, 0], [1, 0]], bool))
    np.testing.assert_array_equal(found.by_half.ravel(), [1.0, 1.0])
    found = removed.use(np.array([[0, 1], [0, 1], [1, 1]], bool))
    np.testing.assert_array_equal(found.by_half.ravel(), [0.5, 0.0])


def test_the_lens_looks_at_each_group_alone(network):
    kind, reader = network
    translation = Mapping(
        Language("A", tuple("abcd")),
        Language("B", tuple("efgh")),
        tuple(int(i) for i in A_TO_B),
    )
    groups = group_words(WORDS, 1)
    rng = np.random.default_rng(0)
    rows = pivot._lens(reader, TO_C, WORDS, translation, B, "", rng, groups)
    found = {row[2]: row[3] for row in rows if row[1] == "all"}
    for group in groups:
        assert found[f"accuracy_{group}"] == 1.0
        expected = 1.0 if kind == "composed" else 0.0
        value = found[f"lens_found_{group}"]
        assert value == pytest.approx(expected, abs=1e-6)


class HandMade(SimpleNamespace):
    """Questions of `handmade`, by number of the A word; word 0 held out."""

    own, other = WORDS, np.roll(WORDS, -1, axis=1)

    def ask(self, label, words=WORDS):
        if label == "A->C":
            return asked_for(A[words], C[A_TO_C[words]])
        words = A_TO_B[words]
        return asked_for(B[words], C[B_TO_C[words]])

    def groups(self, words):
        return group_words(words, 1)


def test_streams_stand_for_each_other_where_both_hold_the_b_word(network):
    kind, reader = network
    rows = list(patch_rows(reader, HandMade(), "B->C"))
    found = {}
    for mapping, prompt, metric, value in rows:
        point, role = prompt.rsplit(".", 1)
        place = mapping, metric
        found.setdefault(place, np.zeros((5, 3)))
        found[place][POINTS.index(point), KINDS.index(role)] = value
    assert set(found) == {
        (mapping, f"donor_{group}")
        for mapping in ("A->C", "B->C")
        for group in ("held_out_words", "shown_words")
    }
    # A direct network makes a C word of what it sees in the question, twice.
    first = 3 if kind == "direct" else 1
    for values in found.values():
        is_donor = values[1:, 1] == 1.0
        np.testing.assert_array_equal(is_donor, np.arange(1, 5) >= first)
        assert values[0, 0] == 1.0  # the words in question themselves
        assert values[0, 1] == 0.0


def test_only_the_group_that_fails_is_counted_so():
    # A word 0 is written as nothing: it cannot stand for its B word.
    model = build("composed")
    value = model.get_layer("block_0").attention.value
    kernel, bias = (np.array(w) for w in value.get_weights())
    kernel[A[0]] = 0.0
    value.set_weights([kernel, bias])
    rows = patch_rows(Reader(model), HandMade(), "B->C")
    found = {row[:3]: row[3] for row in rows}
    place = "B->C", "block_0.attention.answer"
    assert found[*place, "donor_held_out_words"] < 0.5
    assert found[*place, "donor_shown_words"] == 1.0


def test_likeness_in_closed_form():
    same = np.eye(5, 9)
    np.testing.assert_allclose(likeness(same, 3 * same + 1), 1 + 1 / 4)
    np.testing.assert_allclose(likeness(same, -same), -1 - 1 / 4)
    swapped = same[[1, 0, 2, 3, 4]]
    # Own -1/4; the others are 1 and three times -1/4.
    np.testing.assert_allclose(
        likeness(same, swapped), [*[-1 / 4 - 1 / 16] * 2, *[5 / 4] * 3]
    )
    np.testing.assert_array_equal(likeness(same, 0 * same), 0.0)
    first, second = np.random.default_rng(1).normal(size=(2, 8, 6))
    own, others = paired_cosines(first, second)
    assert likeness(first, second).mean() == pytest.approx(own - others)


def untrained(condition, seed=1):
    experiment = composition.build_experiment("quick", condition)
    model = experiment.model.build()
    initialise_weights(model, np.random.default_rng(seed))
    data = draw_phases(experiment, SEED)[-1]
    return Trained(experiment, SEED, model, data)


def test_no_demonstration_has_a_held_out_word():
    run = untrained("held_out_3_bridge")
    drawn = draw_sentences(run, 40, np.random.default_rng(4))
    assert drawn.shown.min() == 3
    assert drawn.own.min() == drawn.other.min() == 0
    together = np.sort(np.concatenate([drawn.own, drawn.other], 1), axis=1)
    np.testing.assert_array_equal(together, np.tile(np.arange(8), (40, 1)))
    groups = drawn.groups(np.array([0, 2, 3, 7]))
    assert groups["held_out_words"].tolist() == [True, True, False, False]
    assert groups["shown_words"].tolist() == [False, False, True, True]
    # A word has its number in each language: the answers are the same.
    a_to_c, b_to_c = (drawn.ask(label) for label in ("A->C", "B->C"))
    np.testing.assert_array_equal(a_to_c.targets, b_to_c.targets)
    ids = word_ids(drawn.stream)
    asked = b_to_c.tokens[:, b_to_c.places[0]]
    np.testing.assert_array_equal(asked, ids["B"][drawn.own])


def alike_in(run):
    drawn = draw_sentences(run, 128, np.random.default_rng(5))
    read = run.experiment.task.read_mappings
    rows = list(alike_rows(Reader(run.model), drawn, "B->C", read))
    assert len({row[:3] for row in rows}) == len(rows)
    return {row[:3]: row[3] for row in rows}


def test_words_of_equal_embeddings_are_alike_everywhere():
    run = untrained("held_out_2_bridge")
    fresh = alike_in(run)
    table = run.model.get_layer("embedding").variables[0]
    assert table.name == "token_table"
    values, ids = convert_to_numpy(table).copy(), word_ids(run.data.stream)
    values[ids["B"]] = values[ids["A"]]
    table.assign(values)
    found = alike_in(run)
    compared = [key for key in found if key[0] == "A->C|B->C"]
    assert len(compared) == 9 * 3  # points and groups
    for key in compared:
        assert found[key] > 1.0, key
        assert abs(fresh[key]) < 0.6, key
    prompt = "embedding.source"
    assert abs(fresh["A->C|B->C", prompt, "alike"]) < 0.2
    # An untrained answer has no word's embedding.
    key = "A->B|B", "block_1.feed_forward.answer", "alike"
    assert abs(fresh[key]) < 0.4


def test_answers_that_are_embeddings_are_found():
    # No block writes; the answer place "sees" nothing, so give it the words.
    run = untrained("held_out_2_none")
    reader = Reader(run.model)
    read, ids = reader.read, word_ids(run.data.stream)
    table = convert_to_numpy(run.model.get_layer("embedding").variables[0])
    drawn = draw_sentences(run, 128, np.random.default_rng(5))
    places = drawn.ask("A->B").places[1]

    def answers_written(tokens, patches=()):
        found = read(tokens, patches)
        streams = found.residuals.copy()
        streams[:, :, places] = table[ids["B"][drawn.own]]
        return dataclasses.replace(found, residuals=streams)

    reader.read = answers_written
    rows = alike_rows(reader, drawn, "B->C", ("A->B", "B->C", "A->C"))
    found = {row[:3]: row[3] for row in rows}
    for point in POINTS[1:]:
        assert found["A->B|B", f"{point}.answer", "alike"] > 1.0
    prompt = "embedding.source"
    assert found["A->B|B->C", prompt, "output_alike"] > 1.0


def test_composed_words_are_those_of_the_given_mappings():
    run = untrained("scrambled_bridge")
    drawn = draw_sentences(run, 16, np.random.default_rng(6))
    asked = drawn.ask("A->C")
    composed = drawn.ask("B->C").targets
    assert not (asked.targets == composed).any()

    class Oracle:
        points = POINTS

        def read(self, tokens):
            logits = np.zeros((*tokens.shape, 100))
            rows = np.arange(len(tokens))[:, None]
            said = np.where(drawn.own < 2, composed, asked.targets)
            logits[rows, asked.places[1], said] = 1.0
            return SimpleNamespace(logits=logits)

    found = {row[2]: row[3] for row in composed_rows(Oracle(), drawn)}
    assert found == {
        "composed_held_out_words": 1.0,
        "composed_shown_words": 0.0,
    }


@pytest.fixture(scope="module")
def few():
    conditions = ("held_out_2_bridge", "no_route_bridge", "common_target")
    return {f"composition/{name}": untrained(name) for name in conditions}


@pytest.fixture
def _small(monkeypatch, few):
    monkeypatch.setattr(composing, "NEEDS", tuple(few))
    known = {name.split("/")[1]: "B->C" for name in few}
    known["no_route_bridge"] = "D->C"
    monkeypatch.setattr(composing, "KNOWN", known)
    monkeypatch.setattr(composing.pivot, "NUM_SENTENCES", 32)
    monkeypatch.setattr(composing.pivot, "NUM_PIVOT_SENTENCES", 64)
    monkeypatch.setattr(composing, "NUM_SENTENCES", 32)
    monkeypatch.setattr(composing, "NUM_PIVOT_SENTENCES", 64)


@pytest.mark.slow
@pytest.mark.usefixtures("_small")
def test_an_untrained_network_composes_nothing(few):
    rows = composing.measure(few, 0)
    found = {tuple(row[:4]): row[4] for row in rows}
    assert len(found) == len(rows) < 500 * len(few)
    assert all(np.isfinite(value) for value in found.values())
    for condition in composing.KNOWN:
        for metric in ("use", "lens_found", "accuracy", "composed"):
            assert ("A->C", condition, "all", f"{metric}_shown_words") in found
        for group in ("", "_held_out_words", "_shown_words"):
            for metric in ("exchange", "exchange_control"):
                key = "A->C", condition, "all", metric + group
                assert abs(found[key]) < 0.15
    # An epoch of the same weights has the same numbers.
    run = few["composition/common_target"]
    by_epoch = [run.model.get_weights()] * 2
    again = list(
        composing_by_epoch.read_epochs(run, "common_target", by_epoch, 0)
    )
    assert {row[:2] for row in again} == {(1, 51), (2, 102)}
    for epoch, step, *key, value in again:
        assert value == found[tuple(key)], (epoch, step, key)
    mappings = {row[2] for row in again}
    assert mappings == {"A->C", "A->C|B->C", "A->E|B->E", "A->B|B", "A->B|B->C"}


def test_at_most_ten_epochs_are_read_with_the_first_and_the_last():
    assert composing_by_epoch.epochs_read(3) == [1, 2, 3]
    assert composing_by_epoch.epochs_read(10) == list(range(1, 11))
    found = composing_by_epoch.epochs_read(19)
    assert found == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]


def test_each_run_is_read_by_its_own_weights(monkeypatch):
    told = []

    def read_epochs(run, condition, by_epoch, seed):
        told.append((run, condition, by_epoch, seed))
        return [(1, 2, "A->C", condition, "all", "number", 0.5)]

    monkeypatch.setattr(composing_by_epoch, "read_epochs", read_epochs)
    monkeypatch.setattr(
        composing_by_epoch, "weights_by_epoch", lambda run: f"of {run}"
    )
    runs = {name: name[-6:] for name in composing_by_epoch.NEEDS}
    rows = composing_by_epoch.measure(runs, 7)
    assert [row[3] for row in rows] == list(composing_by_epoch.CONDITIONS)
    assert told[1] == ("lacebo", "held_out_2_placebo", "of lacebo", 7)
    assert set(composing_by_epoch.NEEDS) < set(composing.NEEDS)
