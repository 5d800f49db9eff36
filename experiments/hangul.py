"""Hangul: words that have parts, of which A->C shows one third.

Question  Is A->C, of syllables that it never showed, learned by way of B, by
          the parts found on the way to B, or not at all?
Paper     Explains its fig. 2c by composition (assumption 2), on words that
          have no parts and that A->C all shows.
Run       make exp-hangul SEEDS=3
Time      84 runs in 28 minutes, 2 cores (docs/runs/hangul)

A is Hangul syllables, B their jamo, C the Latin letters (`tasks/hangul`). On a
syllable that A->C never showed, whoever knows no parts is right in one letter
of six. Re-use of the parts, with letters learned from A->C, gives 100 %, and so
does composition, A->B and then B->C. In `scrambled` re-use alone is left: its
letters are not those that A->B and B->C compose to.

One seed gives all conditions the same jamo, sentences of each mapping and
initial weights. All have as many updates, by the nearest number of epochs. The
GRU has the GPT's number of parameters within 2 %.

Batch and learning rate are those of the quick preset. The number of updates
was chosen by A->B and B->C alone, on text without any A->C
(`without_a_to_c`), seeds 1000 to 1002: GPT and GRU first have both at 0.99 or
above by epoch 10 and 13 of 23 updates. Ten such epochs end with epoch 22,
rounded up to 25. Later both fall below 0.99 in single epochs. The number of
A->C pairs was fixed beforehand: they show each of their syllables ten times.
"""

import dataclasses
from dataclasses import dataclass

from tiny_gpt.commands.quick import EVALUATION, TRAIN, quick_gpt
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment, updates_per_epoch
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.recurrent import GRUConfig
from tiny_gpt.tasks.hangul.task import CHANCE_LABEL, Hangul

NAME = "hangul"
UPDATES = 575
MAJORITY = ("A->B", "B->C")
WINDOW = 42  # three pairs B->C, or four of A->C


@dataclass(frozen=True)
class Change:
    """How a condition differs from the first.

    Attributes:
        says: the condition in a line.
        majority: see `Hangul`.
        is_scrambled: see `Hangul`.
    """

    says: str
    majority: tuple[str, ...] = MAJORITY
    is_scrambled: bool = False


CHANGES = {
    "real": Change("A->B, B->C, and A->C of one third of the syllables"),
    "scrambled": Change(
        "the same, but A->C has other letters than A->B->C, everywhere",
        is_scrambled=True,
    ),
    "no_route": Change(
        "E->C in place of B->C: no route from A to C", ("A->B", "E->C")
    ),
    "unrelated": Change("D->E and E->F: nothing related", ("D->E", "E->F")),
    "alone": Change("A->C alone, repeated", ()),
    "bridge": Change("B->B added", (*MAJORITY, "B->B")),
}
SAYS = {"gpt": "GPT", "gru": "GRU"}
CONDITIONS = {
    f"{name}_{kind}": (name, change)
    for name in SAYS
    for kind, change in CHANGES.items()
}


def network(name: str, vocabulary_size: int) -> GPTConfig | GRUConfig:
    """Returns a network in the size of the quick preset.

    Args:
        name: one of `SAYS`.
        vocabulary_size: of the task.
    """
    if name == "gru":
        return GRUConfig(vocabulary_size, WINDOW, intermediate_dim=192)
    return quick_gpt(vocabulary_size, WINDOW)


def build(name: str, condition: str, task: Hangul) -> Experiment:
    """Returns the experiment of a network and a task.

    Args:
        name: one of `SAYS`.
        condition: name of the condition.
        task: what is learned.
    """
    experiment = Experiment(
        NAME,
        condition,
        task,
        network(name, task.vocabulary_size),
        TRAIN,
        dataclasses.replace(
            EVALUATION,
            num_sentences=64,  # the end counts, where every syllable is asked
            num_loss_windows=0,
            exact_demonstrations=EVALUATION.exact_demonstrations[:1],
        ),
    )
    num_epochs = round(UPDATES / updates_per_epoch(experiment))
    # As many evaluations in all conditions, as near as whole epochs allow.
    every = max(1, round(num_epochs / 40))
    return dataclasses.replace(
        experiment,
        train=dataclasses.replace(TRAIN, num_epochs=num_epochs),
        evaluation=dataclasses.replace(experiment.evaluation, every=every),
    )


def without_a_to_c(name: str) -> Experiment:
    """Returns the majority mappings alone, by which sizes were chosen.

    Args:
        name: one of `SAYS`.
    """
    return build(name, f"{name}_without_a_to_c", Hangul(num_sparse=0))


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: "quick".
        condition: one of the study's.
    """
    name, change = CONDITIONS[condition]
    task = Hangul(majority=change.majority, is_scrambled=change.is_scrambled)
    return build(name, condition, task)


STUDY = Study(
    name=NAME,
    conditions={
        condition: f"{SAYS[name]}: {change.says}"
        for condition, (name, change) in CONDITIONS.items()
    },
    build_experiment=build_experiment,
    sparse=("A->C",),
    chance=CHANCE_LABEL,
    presets=("quick",),
)
