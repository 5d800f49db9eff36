"""Conditions of arithmetic, how they were chosen, and their rules."""

import dataclasses
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from benchmarks.choices import choose_arithmetic
from experiments.arithmetic import (
    CHOSEN,
    CONDITIONS,
    NETWORKS,
    PRESETS,
    SHOWN,
    STUDY,
    network,
)
from experiments.claims.arithmetic.many import CLAIMS, FAMILY
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.claims.rule import CONFIRMED, NOT_CONFIRMED, UNDECIDED
from tiny_gpt.commands.sweeping.file import load_sweep
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.tasks.arithmetic.task import VARIANTS, Arithmetic
from tiny_gpt.train import run

ROOT = Path(__file__).parents[2]
SEEDS = tuple(range(1000, 1010))


@pytest.mark.parametrize("preset", PRESETS)
def test_sizes_are_the_gpts_within_two_percent(preset):
    size, expected = (
        network(name, preset).build().count_params() for name in ("gru", "gpt")
    )
    assert size == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_differ_in_variant_network_and_its_training(
    preset, condition
):
    built, base = (STUDY.build(preset, c) for c in (condition, "gpt_real"))
    name, variant = CONDITIONS[condition]
    train = base.train
    if preset == "quick":
        rate, decay = CHOSEN[name]
        train = dataclasses.replace(
            train, learning_rate=rate, weight_decay=decay
        )
    assert built == dataclasses.replace(
        base,
        condition=condition,
        task=dataclasses.replace(base.task, variant=variant),
        model=network(name, preset),
        train=train,
    )


def test_the_quick_preset_by_hand():
    built = STUDY.build("quick", "gpt_real")
    assert built.task == Arithmetic(SHOWN, 13)
    # 4 * 169 windows, 26 of h in a batch on average; 13 updates an epoch.
    assert updates_per_epoch(built) == 4 * 169 / 52 == 13
    assert set(CONDITIONS.values()) == {
        (name, variant) for name in NETWORKS for variant in VARIANTS
    }


@pytest.mark.parametrize("preset", ["p97", "p113"])
def test_grokking_shows_three_tenths_of_the_rows(preset):
    built = STUDY.build(preset, "gpt_alone")
    task, train = built.task, built.train
    assert task.num_shown == round(0.3 * task.modulus**2)
    assert (train.weight_decay, train.learning_rate) == (1.0, 1e-3)
    assert updates_per_epoch(built) * train.num_epochs > 70_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "preset"), [*zip(NETWORKS, ["p113", "p97"], strict=True)]
)
def test_grokking_is_compiled_and_trained_for_an_epoch(name, preset):
    built = STUDY.build(preset, f"{name}_alone")
    train = dataclasses.replace(built.train, num_epochs=1)
    frame = run(dataclasses.replace(built, train=train), seed=1000).metrics
    value = frame.set_index(["mapping", "tier", "metric"])["value"]
    assert value["h", "all_sentences", "num_words"] == built.task.modulus**2
    assert value["all", "all", "loss"] > 0


# Choices.


def test_no_choice_reads_h():
    for name in NETWORKS:
        experiment = choose_arithmetic.without_h(name, 7, 1e-2, 0.1)
        assert experiment.task.read_mappings == ("f", "g")
        assert experiment.task.num_held_out == 42  # of 169
        train = experiment.train
        assert (train.learning_rate, train.weight_decay) == (1e-2, 0.1)
        assert train.num_epochs == experiment.evaluation.every == 7


def test_the_most_unread_rows_win_then_little_decay_then_a_small_rate():
    rows = [
        ("gpt", 200, 1e-3, 0.0, 1000, 0.4),
        ("gpt", 200, 1e-3, 0.0, 1001, 0.6),  # mean 0.5
        ("gpt", 200, 3e-3, 0.1, 1000, 0.7),
        ("gpt", 200, 3e-3, 1.0, 1000, 0.7),
        ("gru", 200, 3e-3, 0.0, 1000, 0.9),
        ("gru", 200, 1e-3, 0.0, 1000, 0.9),
    ]
    names = [*choose_arithmetic.COLUMNS, "seed", "unread"]
    chosen = choose_arithmetic.choose(pd.DataFrame(rows, columns=names))
    assert chosen == {"gpt": (3e-3, 0.1, 0.7), "gru": (1e-3, 0.0, 0.9)}


def test_what_was_chosen_is_used():
    folder = ROOT / "docs/runs/arithmetic_rates"
    manifest = json.loads((folder / "manifest.json").read_text())
    table = pd.read_csv(folder / "rates.csv")
    table = table[table["num_epochs"] == manifest["num_epochs"]]
    for name, (rate, decay, mean) in choose_arithmetic.choose(table).items():
        assert manifest["chosen"][name] == pytest.approx([rate, decay, mean])
        assert (rate, decay) == CHOSEN[name]
    assert PRESETS["quick"].train.num_epochs == manifest["num_epochs"]


def test_the_sweep_has_all_variants():
    sweep = load_sweep(ROOT / "experiments/sweeps/arithmetic_shown.toml")
    cells = {
        (c.experiment.task.num_shown, c.experiment.task.variant)
        for c in sweep.cells
    }
    assert len(cells) == 6 * len(VARIANTS)


# Figure and rules.


def evidence(accuracies):
    """Returns evidence of accuracies on unseen rows by condition.

    Each seed is up to 2 points off.
    """
    rows = [
        {
            "experiment": "arithmetic",
            "condition": condition,
            "seed": seed,
            "epoch": 100,
            "step": 1300,
            "mapping": "h",
            "tier": "unseen_sentences",
            "prompt": "0_demonstrations",
            "metric": "accuracy_aligned",
            # Another order in each condition.
            "value": value + (seed * (1 + i) % 11 - 5) / 250,
        }
        for i, (condition, value) in enumerate(accuracies.items())
        for seed in SEEDS
    ]
    frame = pd.DataFrame(rows)[list(COLUMNS)]
    level = FAMILY.interval_level
    return Evidence(frame, SEEDS, None, pd.DataFrame(), level, 0)


def test_the_figure_has_a_dot_for_each_seed():
    found = evidence({"gpt_real": 0.9, "gru_alone": 0.2})
    counts = found.metrics.assign(
        tier="all_sentences", metric="num_words", value=169.0
    )
    both = dataclasses.replace(
        found, metrics=pd.concat([found.metrics, counts])
    )
    (ax,) = STUDY.draw(both, "arithmetic").axes
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [len(line.get_ydata()) for line in dots] == [10, 10]
    lines = {line.get_label(): line.get_ydata()[0] for line in ax.lines}
    assert lines["chance"] == pytest.approx(1 / 13)
    assert lines["re-use at best"] == Arithmetic(SHOWN).reuse_on_unseen
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert labels == ["gpt\nreal", "gru\nalone"]
    plt.close(ax.figure)
    nothing = dataclasses.replace(found, metrics=found.metrics.iloc[:0])
    assert STUDY.draw(nothing, "arithmetic") is None


def test_rules_read_the_prompt_of_arithmetic_whatever_the_main_one_is():
    others = dataclasses.replace(
        evidence({"gpt_real": 0.9, "gpt_scrambled": 0.5, "gpt_no_g": 0.5}),
        num_demonstrations=2,
    )
    claim = next(c for c in CLAIMS if c.name == "arithmetic_gpt_composition")
    assert claim.decide(others).observation == CONFIRMED


def decide(name, accuracies):
    claim = next(c for c in CLAIMS if c.name == f"arithmetic_{name}")
    found = evidence({f"gpt_{k}": v for k, v in accuracies.items()})
    return claim.decide(found).observation


@pytest.mark.parametrize(
    ("scrambled", "no_f", "alone", "outcome"),
    [
        (0.6, 0.1, 0.2, CONFIRMED),
        (0.6, 0.1, 0.6, NOT_CONFIRMED),
        (0.6, 0.6, 0.1, NOT_CONFIRMED),
        (0.3, 0.1, 0.25, UNDECIDED),  # 5 points more
    ],
)
def test_reuse_is_a_lead_over_no_f_and_alone(scrambled, no_f, alone, outcome):
    found = {"scrambled": scrambled, "no_f": no_f, "alone": alone}
    assert decide("gpt_reuse", found) == outcome


@pytest.mark.parametrize(
    ("real", "scrambled", "no_g", "outcome"),
    [
        (0.9, 0.5, 0.6, CONFIRMED),
        (0.5, 0.5, 0.2, NOT_CONFIRMED),
        (0.5, 0.2, 0.5, NOT_CONFIRMED),
        (0.55, 0.5, 0.2, UNDECIDED),
    ],
)
def test_composition_is_a_lead_over_scrambled_and_no_g(
    real, scrambled, no_g, outcome
):
    found = {"real": real, "scrambled": scrambled, "no_g": no_g, "bridge": 0.9}
    assert decide("gpt_composition", found) == outcome


def test_the_bridge_decides_nothing():
    found = {"real": 0.9, "scrambled": 0.5, "no_g": 0.5}
    assert decide("gpt_composition", found) == CONFIRMED


def test_claims_are_about_conditions_of_the_study():
    places = {place for claim in CLAIMS for place in claim.conditions}
    expected = set(STUDY.conditions) - {"gpt_bridge", "gru_bridge"}
    assert places == {f"arithmetic/{name}" for name in expected}
    assert FAMILY.ordered(CLAIMS) == CLAIMS
