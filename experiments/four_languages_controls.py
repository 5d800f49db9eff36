"""Controls of the four languages: are the sparse mappings composed?

Question  Are D->B, D->C and B->C learned by way of A, as D->B is D->A, the
          inverse of a mapping that is read, and then A->B?
Paper     Explains its table 1 by composition (sec. 3.2 and 5), without a
          control.
Run       make exp-four-languages-controls SEEDS=4
Time      7 minutes for quick with 4 seeds, on 2 CPU cores

All conditions have 12 pairs of each sparse mapping, as many as there are
words; with the published numbers, and with a quarter of them, accuracies are
at their ceiling. They draw their words from seven languages, even if they do
not use them. Vocabulary and network are therefore the same everywhere, and one
seed gives all conditions the same words, sentences and initial weights.
"""

import dataclasses
from dataclasses import dataclass

from experiments import four_languages
from tiny_gpt.commands.quick import build_quick
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment
from tiny_gpt.tasks.translation.mixture import (
    LARGEST_POOL,
    Component,
    Mixture,
)
from tiny_gpt.tasks.translation.task import CHANCE_LABEL, Translation

NAME = "four_languages_controls"
GIVEN = ("A->B", "A->D", "A->C", "F->B", "E->D", "E->F", "F->G", "E->G")
NUM_PAIRS = 12
SPARSE = ("D->B", "D->C", "B->C")


@dataclass(frozen=True)
class Control:
    """The settings of one condition.

    Attributes:
        says: the condition in a line.
        majority: mappings of 5000, 4500 and 4000 pairs.
        is_scrambled: whether the sparse mappings disagree, on every word,
            with what the given ones compose to.
    """

    says: str
    majority: tuple[str, str, str] = ("A->B", "A->D", "A->C")
    is_scrambled: bool = False


CONTROLS = {
    "sparse_pairs": Control("12 pairs each of D->B, D->C and B->C"),
    "scrambled_pairs": Control(
        "as many pairs of mappings that the majority does not compose to",
        is_scrambled=True,
    ),
    "no_route": Control(
        "the words of B, C and D are familiar from F->B, A->C and E->D, which "
        "give no way from D or B by A",
        ("F->B", "E->D", "A->C"),
    ),
    "unrelated_majority": Control(
        "the majority is E->F, F->G and E->G", ("E->F", "F->G", "E->G")
    ),
}


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition, with the network and training of 3.2.

    Args:
        preset: one of the study's.
        condition: one of the study's.
    """
    control = CONTROLS[condition]
    counts = dict(zip(control.majority, (5000, 4500, 4000), strict=True))
    mixture = Mixture(
        (
            *(Component(m, counts.get(m, 0)) for m in GIVEN),
            *(Component(m, NUM_PAIRS) for m in SPARSE),
        ),
        GIVEN,
        scrambled=SPARSE if control.is_scrambled else (),
        alphabet_size=12,
        characters=LARGEST_POOL,
    )
    mappings = (*control.majority, *SPARSE)
    base = four_languages.build_experiment(preset, "sparse_pairs")
    if preset == "quick":
        quick = build_quick(NAME, condition, mixture, mappings)
        return dataclasses.replace(quick, evaluation=base.evaluation)
    task = Translation(mixture, mappings)
    model = dataclasses.replace(
        base.model, vocabulary_size=task.vocabulary_size
    )
    return dataclasses.replace(
        base, name=NAME, condition=condition, task=task, model=model
    )


STUDY = Study(
    name=NAME,
    conditions={name: control.says for name, control in CONTROLS.items()},
    build_experiment=build_experiment,
    sparse=SPARSE,
    titles={
        "sparse_pairs": "12 pairs of each sparse mapping",
        "scrambled_pairs": "scrambled",
        "no_route": "no route",
        "unrelated_majority": "unrelated majority",
    },
    chance=CHANCE_LABEL,
)
