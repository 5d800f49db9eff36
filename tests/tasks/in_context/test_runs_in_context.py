"""In-context learning is trained, asked and swept with every network."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from experiments.networks import NETWORKS
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig, config_of
from tiny_gpt.metrics.frames import columns_of
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.sweep.cell import content_of, key_of
from tiny_gpt.sweep.grid import Success, Sweep
from tiny_gpt.tasks.in_context.task import InContext
from tiny_gpt.train import run
from tiny_gpt.training.many_seeds import run_seeds

pytestmark = pytest.mark.backend

TASK = InContext(
    pool_size=2,
    fixed_share=0.5,
    num_pairs=4,
    num_symbols=4,
    windows_per_epoch=160,
)
GPT = GPTConfig(
    TASK.vocabulary_size, 7, 1, 2, 8, normalization="pre", num_unused_classes=0
)
SMALL = Experiment(
    "in_context",
    "small",
    TASK,
    GPT,
    TrainConfig(num_epochs=2, batch_size=16, learning_rate=0.01),
    EvaluationConfig("cached", 8, 3, 0, 1, 20, exact_demonstrations=(3, 0)),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt", *NETWORKS])
def test_every_network_reads_it(name):
    model = dataclasses.replace(
        {"gpt": GPT, **NETWORKS}[name],
        vocabulary_size=TASK.vocabulary_size,
        sequence_length=7,
        num_layers=1,
    )
    frame = run(dataclasses.replace(SMALL, model=model), seed=1000).metrics
    assert np.isfinite(frame["value"]).all()
    assert set(frame["mapping"]) == {"all", "fixed", "pool", "fresh"}
    end = frame[frame["epoch"] == 2]
    flipped = end[end["prompt"] == "3_demonstrations_of_flipped"]
    assert flipped["value"].sum() == pytest.approx(1.0)
    seen = end["tier"] == "seen_sentences"
    assert set(end[seen]["prompt"]) == {"3_demonstrations"}
    # A new network knows nothing yet.
    loss = end.set_index("metric")["value"]["loss"]
    assert 0.2 * math.log(9) < loss < 2 * math.log(9)


@pytest.fixture(scope="module")
def metrics():
    one = dataclasses.replace(TASK, pool_size=1, fixed_share=0.0)
    train = dataclasses.replace(SMALL.train, num_epochs=20)
    return run(dataclasses.replace(SMALL, task=one, train=train), 1000).metrics


@pytest.mark.slow
def test_one_bijection_is_learned_into_the_weights(metrics):
    end = metrics[metrics["epoch"] == 20]
    value = end.set_index(["mapping", "tier", "prompt", "metric"])["value"]
    asked = "all_sentences", "0_demonstrations", "accuracy_aligned"
    assert value["pool", *asked] == 1.0
    assert value["fresh", *asked] < 0.6  # another one agrees in 5 of 23
    windows = "fresh_windows", "3_demonstrations"
    assert value["pool", *windows, "loss_after_pairs"] < 0.1
    # A pool of one leaves nothing to be learned: the floor is 0.
    assert value["all", "all", "all", "loss_above_floor"] == pytest.approx(
        value["all", "all", "all", "loss"]
    )


@pytest.mark.slow
def test_readers_are_subtracted_from_the_loss_at_each_position(metrics):
    curves = metrics.pivot_table(
        "value", ["mapping", "prompt", "epoch"], "metric"
    )
    curves = curves.dropna(subset=["nats_above_all"])
    assert len(curves) == 2 * 3 * 20  # mappings, positions, epochs
    reader = curves["loss_after_pairs"] - curves["nats_above_all"]
    for mapping in ("pool", "fresh"):
        # The same targets in every epoch; log 4 before the first pair.
        by_epoch = reader[mapping].unstack()
        assert np.ptp(by_epoch.to_numpy(), axis=1).max() < 1e-6
        first = by_epoch.loc["0_demonstrations"]
        assert first.to_numpy() == pytest.approx(math.log(4), rel=1e-6)
    # A pool of one costs its reader nothing.
    known = curves.loc["pool"]
    np.testing.assert_allclose(
        known["nats_above_prior"], known["loss_after_pairs"]
    )
    assert curves.loc["fresh"]["nats_above_prior"].isna().all()


@pytest.mark.slow
def test_many_seeds_are_trained_as_one():
    if keras.backend.backend() != "jax":
        pytest.skip("programs of whole epochs need JAX")
    same, _ = run_seeds(SMALL, [1000, 1001])
    losses = (
        x.metrics.query("metric == 'loss_after_pairs'")["value"]
        for x in (same, run(SMALL, seed=1000))
    )
    np.testing.assert_allclose(*losses, rtol=1e-3)


def test_its_fields_are_axes_of_sweeps():
    axes = {"pool_size": [1, 4], "fixed_share": [0.0, 0.5]}
    success = Success("fresh", tier="seen_sentences")
    sweep = Sweep("pools", {"small": SMALL}, axes, (1000,), success)
    keys = {key_of(content_of(c.experiment, "float32")) for c in sweep.cells}
    assert len(keys) == 4
    config = config_of(SMALL)
    assert config["task"] == "tiny_gpt.tasks.in_context.task.InContext"
    assert config["num_pairs"] == 4


def test_losses_by_position_have_places_in_the_frame():
    key = "pool_1_nats_above_all_loss"
    expected = "pool", "fresh_windows", "1_demonstrations", "nats_above_all"
    assert columns_of(SMALL)[key] == expected
