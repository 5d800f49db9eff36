"""The triangle and its controls at the published size, with seeds.

Question  Does a model of the published size compose A->C, or learn it from
          its 50 sentences as any other mapping?
Paper     Composes (assumption 2, sec. 3.1.3), from one unseeded run of each
          of three conditions.
Run       make paper-campaign (TensorFlow only)
Time      about an hour a run with a majority, minutes for A->C alone, on 2
          CPU cores

Rules, margins and seeds were fixed in `docs/protocol_paper_size.md` before the
first run. Data, network and optimisation are those of the preset `paper`, and
the gradient of the embedding is clipped as published
(`embedding_gradient="indexed_slices"`). Only questions are fewer: every second
epoch, and no five fresh sentences, which `docs/runs/triangle_paper` has.

Conditions whose name ends in `_54` have the languages A to F of `controls.py`,
hence 54 tokens in place of 30. Compare them with one another only.
"""

import dataclasses

from experiments import controls, triangle
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment
from tiny_gpt.tasks.translation.task import CHANCE_LABEL

NAME = "paper_size"
# By condition: the study that defines it, and its name there.
SOURCES = {
    "sparse": (triangle, "sparse_a_to_c"),
    "scrambled": (triangle, "sparse_a_to_c"),
    "no_route_54": (controls, "no_route_to_c"),
    "sparse_54": (controls, "sparse_a_to_c"),
    "alone": (triangle, "a_to_c_alone"),
    "no_a_to_c": (triangle, "no_a_to_c"),
    "unrelated_54": (controls, "unrelated_majority"),
}
TITLES = {
    "sparse": "A → B, B → C and 50 A → C pairs",
    "scrambled": "A → B, B → C and 50 pairs of an A → C that disagrees",
    "no_route_54": "A → B, D → C and 50 A → C pairs (54 tokens)",
    "sparse_54": "A → B, B → C and 50 A → C pairs (54 tokens)",
    "alone": "50 A → C pairs alone",
    "no_a_to_c": "A → B and B → C, no A → C",
    "unrelated_54": "D → E, E → F and 50 A → C pairs (54 tokens)",
}


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: one of the study's.
        condition: one of the study's.
    """
    source, name = SOURCES[condition]
    experiment = source.build_experiment(preset, name)
    task = experiment.task
    if condition == "scrambled":
        mixture = dataclasses.replace(task.mixture, scrambled=("A->C",))
        task = dataclasses.replace(task, mixture=mixture)
    return dataclasses.replace(
        experiment,
        name=NAME,
        condition=condition,
        task=task,
        model=dataclasses.replace(
            experiment.model, embedding_gradient="indexed_slices"
        ),
        evaluation=dataclasses.replace(
            experiment.evaluation, every=2, num_fresh_sentences=0
        ),
    )


STUDY = Study(
    name=NAME,
    conditions=TITLES,
    build_experiment=build_experiment,
    sparse=("A->C",),
    presets=("paper",),
    titles=TITLES,
    chance=CHANCE_LABEL,
    paper_accuracy={"sparse": {"A->C": 0.65}},  # fig. 2c and abstract
)
