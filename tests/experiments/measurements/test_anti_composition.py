"""Anti-composition: words, their vectors, and what changes of them do."""

import numpy as np
import pytest
from keras import ops

from experiments import anti_composition
from experiments.measurements.anti_composition import measure_network
from experiments.measurements.word_probe import build_probe
from experiments.measurements.word_vectors import (
    GROUPS,
    centred,
    gap,
    group_of_words,
    paired_cosines,
    ranks_of,
    without_projection,
    without_span,
    word_ids,
)
from tests.helpers.probe_models import draw_weights
from tiny_gpt.probes import Reader
from tiny_gpt.training.run_setup import draw_phases

OWN, EARLIER, LATER, ABSENT = range(len(GROUPS))
LABELS = ("A->B", "B->C", "A->C")


def test_words_belong_to_places_of_the_answer():
    # Words 2, 0 and 4 are asked for; 1 and 3 are not in the sentence.
    assert group_of_words(np.array([[2, 0, 4]]), 5).tolist() == [
        [
            [LATER, ABSENT, OWN, ABSENT, LATER],
            [OWN, ABSENT, EARLIER, ABSENT, LATER],
            [EARLIER, ABSENT, EARLIER, ABSENT, OWN],
        ]
    ]


def test_a_projection_is_removed_or_reflected():
    vectors, along = np.array([[3.0, 4.0]]), np.array([[2.0, 0.0]])
    for times, expected in ((0, [3, 4]), (1, [0, 4]), (2, [-3, 4])):
        found = without_projection(vectors, along, times)
        assert found == pytest.approx(np.array([expected]))
    # Each vector has a direction of its own.
    both = without_projection(np.eye(2) + 1, np.eye(2))
    assert both == pytest.approx(np.array([[0, 1], [1, 0]]))


def test_a_span_is_removed_whatever_spans_it():
    # x + y and 2x + 2y span one line; (1, 0, 5) has 1/2 on each of x and y.
    spanning = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]])
    found = without_span(np.array([[1.0, 0.0, 5.0]]), spanning)
    assert found == pytest.approx(np.array([[0.5, -0.5, 5.0]]))


def test_cosines_of_opposite_words():
    # Centred unit vectors of W words have the cosine -1 / (W - 1); partners
    # that are opposite have -1, and all others 1 / (W - 1).
    words = np.eye(5) + 7.0
    assert paired_cosines(words, words) == pytest.approx((1, -1 / 4))
    assert paired_cosines(words, -words) == pytest.approx((-1, 1 / 4))
    assert centred(words).sum(axis=0) == pytest.approx(np.zeros(5))


def test_ranks_and_gaps():
    logits = np.array([[[0.5, -2.0, 3.5, 2.0]]])
    assert ranks_of(logits).tolist() == [[[3, 4, 1, 2]]]
    # -2 less the mean of 0.5, 3.5 and 2.
    assert gap(logits, np.array([[1]])) == pytest.approx(np.array([[-4.0]]))


@pytest.fixture(scope="module")
def stream():
    experiment = anti_composition.build_experiment("quick", "epochs_1")
    return draw_phases(experiment, 3)[-1].stream


@pytest.fixture(scope="module")
def reader():
    experiment = anti_composition.build_experiment("quick", "epochs_1")
    model = experiment.model.build()
    draw_weights(model)
    return Reader(model)


@pytest.fixture(scope="module")
def probe(reader, stream):
    rng = np.random.default_rng(5)
    return build_probe(reader, stream, LABELS, 6, rng)


def test_words_of_one_number_translate_each_other(stream, probe):
    ids = word_ids(stream)
    for label in LABELS:
        asked = probe.questions[label]
        source, target = ids[label[0]], ids[label[-1]]
        found = asked.tokens[:, asked.places[0]]
        assert (found == source[probe.own]).all()
        assert (asked.targets == target[probe.own]).all()
    assert not (probe.other[:, :, None] == probe.own[:, None]).any()


def test_logits_are_those_of_the_network(reader, probe):
    asked = probe.questions["A->C"]
    logits = reader.read(asked.tokens).logits[:, asked.places[1]]
    for language, ids in probe.ids.items():
        found = probe.logits(probe.streams("A->C")[-1], language)
        assert found == pytest.approx(logits[..., ids], abs=1e-3)


def test_changed_words_are_changed_weights(reader, probe):
    # Written into the table, the change must give the same stream.
    change = np.random.default_rng(6).normal(size=probe.embeddings["A"].shape)
    found = probe.with_words("A->C", change)
    (table,) = (
        v
        for v in reader.model.get_layer("embedding").variables
        if v.name == "token_table"
    )
    before = ops.convert_to_numpy(table).copy()
    after = before.copy()
    after[probe.ids["A"]] += change
    asked = probe.questions["A->C"]
    table.assign(after)
    try:
        last = reader.read(asked.tokens).residuals[-1]
    finally:
        table.assign(before)
    assert found == pytest.approx(last[:, asked.places[1]], abs=1e-3)
    assert abs(found - probe.streams("A->C")[-1]).max() > 0.1


@pytest.fixture(scope="module")
def rows(reader, stream):
    return measure_network(reader, stream, "ABC", 3)


def test_rows_are_finite_unique_and_the_same_again(reader, stream, rows):
    assert len({row[:4] for row in rows}) == len(rows) < 300
    assert np.isfinite([row[4] for row in rows]).all()
    brief = measure_network(reader, stream, "ABC", 3, is_brief=True)
    assert brief == rows[: len(brief)]


def test_parts_sum_to_the_gap(rows):
    found = {row[:4]: row[4] for row in rows}
    key = "A->C", "own"
    written = sum(
        value
        for (_, _, _, metric), value in found.items()
        if metric == "written_C"
    )
    total = found[*key, "all", "gap_C"] - found[*key, "constant", "gap_C"]
    assert written == pytest.approx(total, abs=1e-4)
    # Nothing changed is the network itself.
    same = found["A->C", "nothing", "words.both", "rank"]
    assert same == found[*key, "all", "rank"]


def test_conditions_share_the_text_of_a_seed(stream):
    for name in ("frozen_head", "chain", "sparse_a_to_c_8"):
        experiment = anti_composition.build_experiment("quick", name)
        other = draw_phases(experiment, 3)[-1].stream
        assert other.languages == stream.languages
        for label in ("A->B", "B->C"):
            same = other.sentences[label] == stream.sentences[label]
            assert same.all()
    experiment = anti_composition.build_experiment("quick", "b_to_c_last")
    first, last = (each.stream for each in draw_phases(experiment, 3))
    assert first.languages == stream.languages
    assert (first.sentences["A->B"] == stream.sentences["A->B"]).all()
    assert len(last.inputs) == len(first.inputs) < len(stream.inputs)


def test_frozen_layers_are_not_trained():
    experiment = anti_composition.build_experiment("quick", "frozen_ends")
    trained = {v.path for v in experiment.model.build().trainable_variables}
    assert not any("embedding" in path or "head/" in path for path in trained)
    base = anti_composition.build_experiment("quick", "epochs_15")
    every = {v.path for v in base.model.build().trainable_variables}
    # Two tables of the embedding, kernel and bias of the head.
    assert len(every) == len(trained) + 4
