"""Alignment between tasks, on streams and networks of which we know it."""

from types import SimpleNamespace

import numpy as np
import pytest

from experiments import controls
from experiments.measurements import alignment
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.training.run_setup import draw_phases

pytestmark = pytest.mark.backend

POINTS = ("embedding", "block_0.attention")
ORDER = np.random.default_rng(0).permutation(60)


def compare(first, second):
    rows = alignment._compare(
        POINTS, "A->B|A->C", "trained", first, second, ORDER
    )
    return {(prompt, metric): value for _, _, prompt, metric, value in rows}


def test_the_same_streams_are_alike_and_shuffled_ones_are_not():
    streams = np.random.default_rng(1).normal(size=(2, 60, 4, 8))
    turned = streams @ np.linalg.qr(streams[0, :8, 0])[0]
    for second, cosine in ((streams, 1.0), (turned, None)):
        found = compare(streams, second)
        assert abs(found["inside.answer", "cka_shuffled"]) < 0.15
        for prompt in ("embedding.source", "inside.answer"):
            assert found[prompt, "cka"] == pytest.approx(1.0)
            if cosine:
                assert found[prompt, "cosine"] == pytest.approx(cosine)
            else:
                assert abs(found[prompt, "cosine"]) < 0.6


def test_the_mean_inside_leaves_the_embedding_out():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 2, 60, 4, 8))
    second[1] = first[1]
    found = compare(first, second)
    assert found["embedding.source", "cka"] < 0.5
    assert found["inside.source", "cka"] == pytest.approx(1.0)


def test_a_place_that_does_not_vary_is_left_out():
    streams = np.random.default_rng(1).normal(size=(2, 60, 4, 8))
    streams[0, :, 2] = 0.3  # the separator: the first place of an answer
    found = compare(streams, streams)
    assert found["embedding.answer", "cka"] == pytest.approx(1.0)


@pytest.fixture(scope="module")
def rows():
    trained = {}
    for i, name in enumerate(alignment.NEEDS):
        experiment = controls.build_experiment("quick", name.split("/")[1])
        model = experiment.model.build()
        initialise_weights(model, np.random.default_rng(i))
        trained[name] = SimpleNamespace(
            experiment=experiment,
            seed=3,
            model=model,
            data=draw_phases(experiment, 3)[-1],
        )
    return alignment.measure(trained, 0), alignment.measure(trained, 0)


@pytest.mark.slow
def test_rows_are_finite_unique_and_the_same_again(rows):
    first, second = rows
    assert first == second
    assert len({row[:4] for row in first}) == len(first) < 300
    assert all(np.isfinite(row[4]) for row in first)


@pytest.mark.slow
def test_an_untrained_network_already_aligns_its_tasks(rows):
    # The same A words stand there: it takes no training to be alike, and no
    # relation either, since D words are as far apart as A words.
    found = {row[:4]: row[4] for row in rows[0]}
    for tier in ("trained", "fresh"):
        key = tier, "embedding.source"
        assert found["A->B|A->C", *key, "cka"] == pytest.approx(1.0)
        assert found["A->B|A->C", *key, "cosine"] == pytest.approx(1.0)
        assert found["D->E|A->C", *key, "cka"] > 0.8
        assert abs(found["D->E|A->C", *key, "cosine"]) < 0.2
        shuffled = found["A->B|A->C", tier, "inside.source", "cka_shuffled"]
        assert abs(shuffled) < 0.1
    # Fresh weights are others, and the same for both tasks.
    assert found["A->C", "fresh", "block_0.attention.source", "cka"] < 0.99
