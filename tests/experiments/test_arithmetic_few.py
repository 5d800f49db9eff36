"""Arithmetic with few rows of h: their choice, the conditions, the rules."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.choices import choose_arithmetic_rows as choice
from experiments import arithmetic
from experiments.arithmetic_few import NAME, SHOWN, STUDY
from experiments.claims.arithmetic import few, many

FOLDER = Path(__file__).parents[2] / "docs/runs/arithmetic_rows"


@pytest.mark.parametrize("condition", arithmetic.CONDITIONS)
def test_only_the_rows_differ_from_arithmetic(condition):
    built = STUDY.build("quick", condition)
    base = arithmetic.STUDY.build("quick", condition)
    name, _ = arithmetic.CONDITIONS[condition]
    assert built == dataclasses.replace(
        base,
        name=NAME,
        task=dataclasses.replace(base.task, num_shown=SHOWN[name]),
    )
    assert f"{SHOWN[name]} rows of h" in STUDY.conditions[condition]


def table(*rows):
    return pd.DataFrame(rows, columns=["network", "rows", "seed", "unread"])


def test_the_most_rows_are_chosen_that_fail_alone():
    found = choice.choose(
        table(
            ("gpt", 14, 1000, 0.1),
            ("gpt", 28, 1000, 0.7),
            ("gpt", 42, 1000, 0.3),
            ("gpt", 42, 1001, 0.6),  # mean 0.45
            ("gpt", 56, 1000, 0.5),
            ("gru", 14, 1000, 0.9),
            ("gru", 28, 1000, 0.8),
        )
    )
    assert found == {"gpt": 42, "gru": 14}


def test_the_choice_looks_at_no_variant_that_reads_f_or_g():
    for name in arithmetic.NETWORKS:
        for rows in choice.ROWS:
            task = choice.alone(name, rows).task
            assert task.read_mappings == ("h",)
            assert task.num_shown == rows


def test_what_was_chosen_is_used():
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    assert choice.choose(pd.read_csv(FOLDER / "rows.csv")) == SHOWN
    assert manifest["chosen"] == SHOWN


def test_rules_are_those_of_many_rows():
    for one, other in zip(few.CLAIMS, many.CLAIMS, strict=True):
        assert one.rules == other.rules
        assert one.hash != other.hash  # of other runs
        places = [p.replace(f"{NAME}/", "arithmetic/") for p in one.conditions]
        assert places == list(other.conditions)
        assert [m.name for m in one.measures] == [
            m.name for m in other.measures
        ]
    assert few.FAMILY.interval_level == many.FAMILY.interval_level
