"""Experiments that train in seconds."""

import dataclasses

from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.task import Translation

# 4 words, sentences of 2, pairs of 6 tokens: 240 tokens in 12 rows of 21, and
# 2 updates of 6 windows an epoch.
TINY = Experiment(
    name="tiny",
    condition="one",
    task=Translation(
        Mixture(
            (Component("A->B", 30), Component("A->C", 10)),
            alphabet_size=4,
            sentence_length=2,
        ),
        ("A->B", "A->C"),
        tokens="words",
        pivots=("A->B->C",),
    ),
    model=GPTConfig(
        vocabulary_size=15,
        sequence_length=20,
        num_layers=1,
        num_heads=2,
        head_dim=4,
    ),
    train=TrainConfig(
        num_epochs=4,
        batch_size=6,
        learning_rate=0.01,
        min_loss_drop=0.02,
        loss_drop_window=1,
    ),
    evaluation=EvaluationConfig("cached", 8, 1, num_fresh_sentences=0),
)


def with_task(experiment, **changes):
    """Returns an experiment with some fields of its task changed."""
    task = dataclasses.replace(experiment.task, **changes)
    return dataclasses.replace(experiment, task=task)


# All A->B pairs first, then as many tokens of A->C alone: 4 pairs, 10 times.
PRETRAINED = dataclasses.replace(
    TINY,
    task=dataclasses.replace(
        TINY.task,
        mixture=dataclasses.replace(
            TINY.task.mixture,
            components=(Component("A->B", 0), Component("A->C", 4, 10)),
        ),
        pretraining=dataclasses.replace(
            TINY.task.mixture,
            components=(Component("A->B", 40), Component("A->C", 0)),
        ),
    ),
    train=dataclasses.replace(TINY.train, num_pretraining_epochs=3),
)
