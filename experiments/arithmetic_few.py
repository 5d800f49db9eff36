"""Arithmetic with so few rows of h that they do not suffice alone.

Question  As in `arithmetic`: is h = g(f) composed, or is f used again?
Paper     See `arithmetic`.
Run       make exp-arithmetic-few SEEDS=3
Time      47 minutes beside other work for 10 seeds of all variants

The 110 rows of `arithmetic` let a network answer the others with nothing
beside h, so that neither f nor g could add much. Here each network reads the
largest number of rows, of a grid, with which who reads h alone has fewer than
half of the others right (`benchmarks/choices/choose_arithmetic_rows.py`,
docs/runs/arithmetic_rows). All else is as there, rate, decay and updates too.
No variant but `alone` was looked at.
"""

import dataclasses

from experiments import arithmetic
from experiments.arithmetic import CONDITIONS
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment

NAME = "arithmetic_few"
SHOWN = {"gpt": 84, "gru": 70}  # rows of h that are read, of 169


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: "quick".
        condition: one of the study's.
    """
    experiment = arithmetic.build_experiment(preset, condition)
    name, _ = CONDITIONS[condition]
    task = dataclasses.replace(experiment.task, num_shown=SHOWN[name])
    return dataclasses.replace(experiment, name=NAME, task=task)


STUDY = Study(
    name=NAME,
    conditions={
        condition: f"{says}; {SHOWN[CONDITIONS[condition][0]]} rows of h"
        for condition, says in arithmetic.STUDY.conditions.items()
    },
    build_experiment=build_experiment,
    sparse=("h",),
    presets=("quick",),
)
