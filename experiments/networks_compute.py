"""The networks of `networks` at equal operations, in place of parameters.

Question  Does the comparison of networks change if each may compute as much as
          the GPT?
Paper     See `networks`.
Run       python -m experiments networks_compute --first-seed 1000
Time      17 minutes on 2 cores beside other work for 3 seeds

The width of the feed-forward layer makes the operations of an update, counted
(`count_operations`), equal to the GPT's within 1 %. All else is as in
`networks`. Seeds from 1000 on: these runs are exploratory.
"""

import dataclasses

from experiments import networks
from experiments.networks import CONDITIONS, NETWORKS, PAIRS, SAYS
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment
from tiny_gpt.tasks.translation.task import CHANCE_LABEL

NAME = "networks_compute"
WIDTHS = {
    "gru": 222,
    "lstm": 158,
    "min_gru": 318,
    "state_space": 165,
    "gmlp": 303,
}  # linear attention has the GPT's operations and parameters


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: "quick".
        condition: one of the study's.
    """
    experiment = networks.build_experiment(preset, condition)
    name, _ = CONDITIONS[condition]
    model = dataclasses.replace(NETWORKS[name], intermediate_dim=WIDTHS[name])
    return dataclasses.replace(experiment, name=NAME, model=model)


STUDY = Study(
    name=NAME,
    conditions={
        f"{name}_{n}": f"{SAYS[name]}, as many operations: {n} A->C pairs"
        for name in WIDTHS
        for n in PAIRS
    },
    build_experiment=build_experiment,
    sparse=("A->C",),
    chance=CHANCE_LABEL,
    presets=("quick",),
)
