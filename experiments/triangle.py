"""Triangle translation with few A->C sentences (Sinha 2024, sec. 3.1).

Question  Does a GPT that knows A->B and B->C learn A->C from 50 of the 1680
          possible sentences, beyond what it can memorise?
Paper     A->C alone: close to nothing (fig. 2a). No A->C: nothing (fig. 2b).
          Both majorities and 50 A->C: "almost 65%" at epoch 100 (fig. 2c).
          One unseeded run each.
Run       make exp-triangle PRESET=quick SEEDS=5
Time      91 s for quick, all conditions with 5 seeds, on 2 CPU cores

In sec. 3.1.1 the authors' SentencePiece merges pieces, since 16 letters do
not fill a vocabulary of 30; here every condition has one token per letter.
"""

import dataclasses
from pathlib import Path

from tiny_gpt.commands.quick import build_quick
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.task import CHANCE_LABEL, Translation

NAME = "triangle"
MAPPINGS = ("A->B", "B->C", "A->C")
# Sentence pairs of A->B, B->C and A->C, in corpus order.
NUM_PAIRS = {
    "a_to_c_alone": (0, 0, 50),  # sec. 3.1.1
    "no_a_to_c": (2500, 2500, 0),  # sec. 3.1.2
    "sparse_a_to_c": (2500, 2500, 50),  # sec. 3.1.3
}
TITLES = {
    "a_to_c_alone": "50 A → C pairs alone, always cut alike",
    "no_a_to_c": "A → B and B → C, no A → C",
    "sparse_a_to_c": "A → B, B → C and 50 A → C pairs",
}


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    The paper preset has the default of every configuration: the published
    data, network, optimizer, batch and epochs. It evaluates a sample of 64
    sentences and, as published, 5 fresh ones.

    Args:
        preset: one of the study's.
        condition: one of the study's.
    """
    mixture = Mixture(
        tuple(
            Component(mapping, num_pairs)
            for mapping, num_pairs in zip(
                MAPPINGS, NUM_PAIRS[condition], strict=True
            )
        )
    )
    if preset == "quick":
        experiment = build_quick(NAME, condition, mixture, MAPPINGS)
    else:
        experiment = Experiment(NAME, condition, Translation(mixture, MAPPINGS))
    evaluation = dataclasses.replace(
        experiment.evaluation, is_asked_after_others=True
    )
    task = dataclasses.replace(experiment.task, pivots=("A->B->C",))
    return dataclasses.replace(experiment, task=task, evaluation=evaluation)


def _says(condition: str) -> str:
    counts = zip(MAPPINGS, NUM_PAIRS[condition], strict=True)
    return ", ".join(f"{x} {mapping}" for mapping, x in counts if x) + " pairs"


STUDY = Study(
    name=NAME,
    conditions={condition: _says(condition) for condition in NUM_PAIRS},
    build_experiment=build_experiment,
    sparse=("A->C",),
    titles=TITLES,
    chance=CHANCE_LABEL,
    paper_accuracy={"sparse_a_to_c": {"A->C": 0.65}},  # fig. 2c and abstract
    published=Path(__file__).parent / "published" / "triangle.csv",
    figure="figure_2",
)
