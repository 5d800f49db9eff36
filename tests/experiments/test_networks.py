"""Networks are compared on the same text, at equal sizes and own rates."""

import dataclasses
import json
import math
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.choices.choose_network_rates import (
    COLUMNS,
    choose,
    majority_alone,
    next_rate,
    with_a_to_c,
)
from experiments import composition, networks, networks_compute
from experiments.claims.networks.thresholds import ratio, threshold_of
from experiments.networks import NETWORKS, PAIRS, REFERENCE, SAYS, network
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.metrics.columns import COLUMNS as FRAME

GPT = network(REFERENCE)
RUNS = Path(__file__).parents[2] / "docs" / "runs"


@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_are_the_gpts_within_two_percent(name):
    size = NETWORKS[name].build().count_params()
    assert size == pytest.approx(GPT.build().count_params(), rel=0.02)


@pytest.mark.parametrize("name", networks_compute.WIDTHS)
def test_operations_are_the_gpts_within_one_percent(name):
    built = networks_compute.STUDY.build("quick", f"{name}_50")
    assert built.model.count_operations(64) == pytest.approx(
        GPT.count_operations(64), rel=0.01
    )
    assert type(built.model) is type(NETWORKS[name])


def test_linear_attention_has_the_gpts_operations_as_it_is():
    found = NETWORKS["linear_attention"].count_operations(64)
    assert found == GPT.count_operations(64)


@pytest.mark.parametrize("condition", networks.STUDY.conditions)
def test_conditions_differ_in_network_and_rate_alone(condition):
    built = networks.STUDY.build("quick", condition)
    name, change = networks.CONDITIONS[condition]
    expected = composition.build(networks.NAME, condition, change)
    train = dataclasses.replace(
        expected.train, learning_rate=networks.RATES[name]
    )
    assert built == dataclasses.replace(
        expected, model=network(name), train=train
    )
    updates = updates_per_epoch(built) * built.train.num_epochs
    assert updates == pytest.approx(390, rel=0.05)


def test_the_reference_is_the_gpt_of_the_other_studies():
    base = composition.STUDY.build("quick", "held_out_2_none")
    assert base.model == GPT
    assert dataclasses.replace(GPT, normalization="post") == network("gpt_post")


# Choice of the learning rate.


@pytest.mark.parametrize("name", SAYS)
def test_no_choice_reads_or_asks_a_to_c(name):
    experiment = majority_alone(name, 1e-2)
    assert experiment.task.mixture.component("A->C").num_shown == 0
    assert "A->C" not in experiment.task.eval_mappings
    assert experiment.train.learning_rate == 1e-2
    assert experiment.model == network(name)
    shown = with_a_to_c(name, 1e-2)
    assert shown.task.mixture.component("A->C").num_shown == 50


def rows(*found):
    return pd.DataFrame([("x", *row) for row in found], columns=list(COLUMNS))


INF = math.inf


@pytest.mark.parametrize(
    ("found", "rate"),
    [
        ([(1e-3, 9, 3, 1.0), (3e-3, 8, 3, 1.0), (1e-2, 7, 3, 1.0)], 1e-2),
        # The nearest to the preset's; of two as near the smaller one.
        ([(1e-3, 7, 3, 1.0), (3e-3, 7, 3, 1.0), (1e-2, 7, 3, 1.0)], 3e-3),
        ([(1e-3, 7, 3, 1.0), (3e-3, 8, 3, 1.0), (1e-2, 7, 3, 1.0)], 1e-3),
        # One that settles wins over one that is better in the end.
        ([(1e-3, 21, 9, 0.99), (3e-3, INF, 2, 1.0)], 1e-3),
        ([(1e-3, INF, 9, 0.99), (3e-3, INF, 5, 0.95)], 3e-3),  # at 0.90
        ([(1e-3, INF, INF, 0.7), (3e-3, INF, INF, 0.6)], 1e-3),  # in the end
    ],
)
def test_the_rate_is_the_one_that_settles_first(found, rate):
    assert choose(rows(*found)) == rate


@pytest.mark.parametrize(
    ("rates", "up", "expected"),
    [
        ((1e-3, 1e-2), True, 3e-2),
        ((1e-3, 3e-2), True, 1e-1),
        ((1e-3, 1e-2), False, 3e-4),
        ((3e-4, 1e-2), False, 1e-4),
    ],
)
def test_a_grid_goes_on_in_steps_of_three(rates, up, expected):
    assert next_rate(rates, up) == pytest.approx(expected)


def test_rates_are_those_that_were_chosen():
    manifest = json.loads((RUNS / "network_rates/manifest.json").read_text())
    assert manifest["chosen"] == networks.RATES
    table = pd.read_csv(RUNS / "network_rates/rates.csv")
    for name in SAYS:
        own = table[table["network"] == name]
        assert choose(own) == networks.RATES[name]
        rates = sorted(own["learning_rate"])
        assert networks.RATES[name] not in (rates[0], rates[-1])


# Thresholds.


@pytest.mark.parametrize(
    ("accuracies", "pairs"),
    [
        ([0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.0], 50.0),
        # Half-way between 50 and 100 in the logarithm.
        ([0.0, 0.0, 0.0, 0.0, 0.25, 0.75, 1.0], math.sqrt(50 * 100)),
        ([0.0] * 6 + [0.49], math.inf),
        ([0.5] + [1.0] * 6, 0.0),
        ([0.0, 0.6, 0.4, 0.6, 1.0, 1.0, 1.0], 4 * 2 ** (0.5 / 0.6)),  # first
    ],
)
def test_a_threshold_is_where_accuracy_first_reaches_one_half(
    accuracies, pairs
):
    assert threshold_of(accuracies) == pytest.approx(pairs)


def evidence(curves):
    """Returns evidence of accuracies by network and seed."""
    found = [
        {
            "experiment": networks.NAME,
            "condition": f"{name}_{n}",
            "seed": seed,
            "epoch": 15,
            "step": 390,
            "mapping": "A->C",
            "tier": "unseen_sentences",
            "prompt": "2_demonstrations",
            "metric": "accuracy_aligned",
            "value": value,
        }
        for name, by_seed in curves.items()
        for seed, curve in by_seed.items()
        for n, value in zip(PAIRS, curve, strict=True)
    ]
    frame = pd.DataFrame(found)[list(FRAME)]
    seeds = tuple(next(iter(curves.values())))
    return Evidence(frame, seeds, None, pd.DataFrame(), 0.95)


def test_ratios_of_thresholds_that_are_not_reached_are_infinite_or_unknown():
    at_16 = [0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0]
    at_100 = [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0]
    never, always = [0.0] * 7, [1.0] * 7
    found = ratio("gru")(
        evidence(
            {
                "gpt": dict(enumerate([at_16, at_16, never, at_16, always])),
                "gru": dict(enumerate([at_100, never, never, always, at_16])),
            }
        )
    )
    assert found[0] == pytest.approx(100 / 16)
    assert found[1] == math.inf
    assert math.isnan(found[2])
    assert found[3] == 0.0
    assert found[4] == math.inf
