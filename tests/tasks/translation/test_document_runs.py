"""Tests for runs with chains, and with mappings that stand together."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from benchmarks.tiny_runs import TINY, with_task
from tiny_gpt.experiment import config_of, loss_floor
from tiny_gpt.sweep.cell import content_of, key_of
from tiny_gpt.tasks.translation.mixture import Component
from tiny_gpt.train import run
from tiny_gpt.training.many_seeds import run_seeds

pytestmark = pytest.mark.backend

CHAIN, BOTH = "A->B->C", ("A->B", "B->C")
COUNTS = {
    # Pairs of 6 words and chains of 9: 180 + 180 in 18 rows of 21.
    "chain": ({"A->B": 30, CHAIN: 20}, (), ("A->B", "A->C", CHAIN), 18),
    # 40 pairs of 6 words in 12 rows of 21.
    "together": (
        {"A->B": 15, "B->C": 15, "A->C": 10},
        BOTH,
        (*BOTH, "A->C"),
        12,
    ),
}


def build(name):
    counts, together, asked, _ = COUNTS[name]
    mixture = dataclasses.replace(
        TINY.task.mixture,
        components=tuple(map(Component, counts, counts.values())),
        together=together,
    )
    return with_task(TINY, mixture=mixture, eval_mappings=asked, pivots=())


@pytest.mark.parametrize("name", COUNTS)
def test_a_run_has_a_row_for_each_measurement(name):
    experiment = build(name)
    assert experiment.task.num_windows(20) == (COUNTS[name][3],)
    assert math.isnan(loss_floor(experiment))
    frame = run(experiment, seed=1).metrics
    keys = ["mapping", "tier", "prompt", "metric"]
    assert not frame.duplicated([*keys, "epoch"]).any()
    last = frame[frame["epoch"] == 4].set_index(keys)["value"]
    main = "1_demonstrations"
    for label in experiment.task.eval_mappings:
        assert (label, "all", main, "accuracy_aligned") in last
        at = label, "all_sentences", main
        assert last[*at, "num_words"] == 24  # of one sentence each
        is_chain = (*at, "intermediate_accuracy_aligned") in last
        assert is_chain == (label == CHAIN)
        is_known = label == "A->C" if name == "together" else label == "A->B"
        assert ((*at, "bayes_accuracy") in last) == is_known
    for label in experiment.task.read_mappings:
        for tier in ("training_windows", "fresh_windows"):
            assert np.isfinite(last[label, tier, "all", "loss_answer_words"])
    if keras.backend.backend() == "jax":
        (compiled,) = run_seeds(experiment, [1])
        np.testing.assert_array_equal(compiled.metrics[keys], frame[keys])


def test_a_config_in_which_nothing_stands_together_stays_as_it_was():
    experiment = build("together")
    assert "together" not in config_of(TINY)["mixture"]
    assert config_of(experiment)["mixture"]["together"] == BOTH
    mixture = experiment.task.mixture
    apart = with_task(
        experiment, mixture=dataclasses.replace(mixture, together=())
    )
    keys = {key_of(content_of(e, "float32")) for e in (experiment, apart)}
    assert len(keys) == 2
