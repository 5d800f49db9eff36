"""Pools of bijections: are they learned into the weights, or in context?

Question  With how many bijections in training does a new one become
          answerable from the prompt, and does this ability stay?
Paper     As `in_context`. A threshold in the number of tasks is that of
          Raventos et al. 2023, arXiv 2306.15063.
Run       python -m experiments run in_context_pools --preset whole
          --first-seed 1000
Time      not measured yet

Each window has one of K bijections, which one seed draws in the same order for
every K; "all" is the condition `gpt_fresh` of `in_context`. "half" has one
fixed bijection in half of the windows besides. The frame has the nats above two
readers by position and update: the one who knows the pool, and the one to whom
all bijections are equally likely. Exploratory: no rule is fixed.
"""

from experiments.in_context import Mix, build
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment
from tiny_gpt.tasks.in_context.source import FRESH

NAME = "in_context_pools"
POOLS = (1, 4, 16, 64, 1024)
MIXES = {
    **{
        f"gpt_pool_{k}": Mix(f"one of {k} bijections in every window", 0.0, k)
        for k in POOLS
    },
    **{
        f"gpt_pool_{k}_half_fixed": Mix(
            f"one of {k} bijections, and one fixed one in half of the windows",
            0.5,
            k,
        )
        for k in POOLS
    },
}


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: "whole".
        condition: one of the study's.
    """
    return build(NAME, condition, preset, "gpt", MIXES[condition])


STUDY = Study(
    name=NAME,
    conditions={name: f"GPT: {mix.says}" for name, mix in MIXES.items()},
    build_experiment=build_experiment,
    sparse=(FRESH,),
    presets=("whole",),
)
