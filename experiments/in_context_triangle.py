"""The triangle in the prompt: composed from the prompt, the weights, or both?

Question  A->C is asked after facts of A->B and B->C. Is it answered where both
          are shown in the prompt, where both are in the weights, and where it
          is one of each?
Paper     Explains A->C by composition of what is in the weights (assumption 2,
          fig. 3).
Run       python -m experiments run in_context_triangle --first-seed 1000
Time      46 minutes beside other work for 3 seeds, preset quick

A condition is a cell of 2 x 2 (`PromptTriangle`): A->B and B->C each are
"fresh", new in each window and shown in it, or "fixed", the same in all
windows and not shown in those that ask A->C. One A is held out: A->C never
asks it in training. Its answers are the test, against the exact reader who
composes ("accuracy_of_reader"). Without the prompt a held-out A of the cell
fixed-fixed can be answered by composition alone; in all other cells what was
learned for other A is enough, if it was a rule and not a table.

All cells have the same updates and windows, and one seed gives all the same
fixed bijections and the same A held out. Exploratory: no rule is fixed.
"""

import dataclasses
import itertools

from experiments import networks
from experiments.in_context import BATCH_SIZE, LEARNING_RATE, NETWORKS, UPDATES
from tiny_gpt.commands.study import Study
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig
from tiny_gpt.tasks.prompt_triangle.reader import FIXED, FRESH
from tiny_gpt.tasks.prompt_triangle.task import PromptTriangle

NAME = "in_context_triangle"
NUM_EPOCHS = {"quick": 20, "whole": 120}  # of `UPDATES` updates, by preset
NUM_WINDOWS = 128  # per mapping, whose loss is measured
SAYS = {FRESH: "in the prompt", FIXED: "in the weights"}


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: one of `NUM_EPOCHS`.
        condition: one of the study's.
    """
    network, first, second = CONDITIONS[condition]
    task = PromptTriangle(first, second, windows_per_epoch=UPDATES * BATCH_SIZE)
    num_facts = task.num_facts
    model = dataclasses.replace(
        networks.network(network),
        vocabulary_size=task.vocabulary_size,
        sequence_length=3 * (2 * num_facts + 1) - 1,
    )
    train = TrainConfig(
        num_epochs=NUM_EPOCHS[preset],
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        loss_drop_window=1,
    )
    evaluation = EvaluationConfig(
        decoding="cached",
        num_sentences=NUM_WINDOWS,
        num_demonstrations=num_facts,
        num_fresh_sentences=0,
        num_loss_windows=NUM_WINDOWS,
        exact_demonstrations=(num_facts,),
    )
    return Experiment(NAME, condition, task, model, train, evaluation)


CONDITIONS = {
    f"{network}_{first}_{second}": (network, first, second)
    for network in NETWORKS
    for first, second in itertools.product(SAYS, repeat=2)
}
STUDY = Study(
    name=NAME,
    conditions={
        name: f"{NETWORKS[net]}: A->B {SAYS[first]}, B->C {SAYS[second]}"
        for name, (net, first, second) in CONDITIONS.items()
    },
    build_experiment=build_experiment,
    sparse=("A->C",),
    presets=tuple(NUM_EPOCHS),
)
