"""The triangle in the prompt is trained, asked and swept with every network."""

import dataclasses
import itertools
import math

import keras
import numpy as np
import pytest

from experiments.networks import NETWORKS
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig, config_of
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.sweep.cell import content_of, key_of
from tiny_gpt.sweep.grid import Success, Sweep
from tiny_gpt.tasks.prompt_triangle.task import PromptTriangle
from tiny_gpt.train import run
from tiny_gpt.training.many_seeds import run_seeds

pytestmark = pytest.mark.backend

TASK = PromptTriangle(
    "fixed", "fixed", num_facts=2, num_held_out=2, windows_per_epoch=160
)
SIZES = (TASK.vocabulary_size, 14)
GPT = GPTConfig(*SIZES, 1, 2, 8, normalization="pre", num_unused_classes=0)
SMALL = Experiment(
    "prompt_triangle",
    "small",
    TASK,
    GPT,
    TrainConfig(num_epochs=2, batch_size=16, learning_rate=0.01),
    EvaluationConfig("cached", 8, 2, 0, 1, 20, exact_demonstrations=(2,)),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt", *NETWORKS])
def test_every_network_reads_it(name):
    model = dataclasses.replace(
        {"gpt": GPT, **NETWORKS}[name],
        vocabulary_size=SIZES[0],
        sequence_length=SIZES[1],
        num_layers=1,
    )
    frame = run(dataclasses.replace(SMALL, model=model), seed=1000).metrics
    assert np.isfinite(frame["value"]).all()
    assert set(frame["mapping"]) == {"all", "A->B", "B->C", "A->C"}
    end = frame[(frame["epoch"] == 2) & (frame["tier"] == "unseen_sentences")]
    value = end.set_index("metric")["value"]
    assert value["num_words"] == 512
    assert value["accuracy_of_reader"] == 1.0  # both are fixed


@pytest.mark.slow
def test_what_is_fixed_is_learned_into_the_weights():
    train = dataclasses.replace(SMALL.train, num_epochs=25)
    frame = run(dataclasses.replace(SMALL, train=train), seed=1000).metrics
    value = frame[frame["epoch"] == 25].set_index(
        ["mapping", "tier", "metric"]
    )["value"]
    for mapping in TASK.eval_mappings:
        assert value[mapping, "all", "accuracy_aligned"] == 1.0
    assert value["A->C", "seen_sentences", "accuracy_aligned"] == 1.0
    assert value["all", "all", "loss"] < 0.3 * math.log(4)


@pytest.mark.slow
def test_many_seeds_are_trained_as_one():
    if keras.backend.backend() != "jax":
        pytest.skip("programs of whole epochs need JAX")
    same, _ = run_seeds(SMALL, [1000, 1001])
    losses = (
        x.metrics.query("metric == 'loss'")["value"]
        for x in (same, run(SMALL, seed=1000))
    )
    np.testing.assert_allclose(*losses, rtol=1e-3)


def test_its_cells_are_axes_of_sweeps():
    axes = {"first": ["fresh", "fixed"], "second": ["fresh", "fixed"]}
    success = Success("A->C", tier="unseen_sentences")
    sweep = Sweep("cells", {"small": SMALL}, axes, (1000,), success)
    cells = [
        (c.experiment.task.first, c.experiment.task.second) for c in sweep.cells
    ]
    assert cells == [*itertools.product(("fresh", "fixed"), repeat=2)]
    keys = {key_of(content_of(c.experiment, "float32")) for c in sweep.cells}
    assert len(keys) == 4
    config = config_of(SMALL)
    expected = "tiny_gpt.tasks.prompt_triangle.task.PromptTriangle"
    assert config["task"] == expected
