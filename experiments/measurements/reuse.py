"""Reuse: the part of a pre-trained majority model that A->C needs."""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from experiments import controls
from tiny_gpt.evaluation.data import Row
from tiny_gpt.evaluation.evaluate import CompiledEvaluation
from tiny_gpt.evaluation.every_sentence import ExactEvaluator, Prompt
from tiny_gpt.experiment import Experiment
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.tasks.translation.every_sentence import SentenceEvaluator
from tiny_gpt.tasks.translation.tiers import exact_rows
from tiny_gpt.training.finished import Trained
from tiny_gpt.training.run_files import set_state, state_of
from tiny_gpt.training.run_setup import RunSetup, set_up_run
from tiny_gpt.training.update import compile_gpt

NAME = "reuse"
QUESTION = "Which part of a model that knows A->B and B->C is used for A->C?"
BEFORE = "theory/count_0"
NEEDS = (BEFORE,)
PARTS = ("embeddings", "attention", "feed_forward")
# Frozen part, and parts drawn anew.
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "fresh": ("", PARTS),
    "pretrained": ("", ()),
    **{f"{part}_frozen": (part, ()) for part in PARTS},
    **{f"{part}_fresh": ("", (part,)) for part in PARTS},
}


def measure(trained: Mapping[str, Trained], seed: int) -> list[Row]:
    """Learns A->C from 16 pairs alone, in each variant.

    A fresh model is below its ceiling then; with 50 pairs it is at it.

    Args:
        trained: a model that has seen only A->B and B->C.
        seed: its seed.

    Returns:
        Rows of the exact evaluation; the prompt names the variant.
    """
    before = trained[BEFORE].model
    experiment = controls.build_experiment("quick", "alone_16")
    rows = []
    for name, (frozen, fresh) in VARIANTS.items():
        model, setup = learn(experiment, seed, before, frozen, fresh)
        rows += [
            (mapping, tier, name, metric, value)
            for mapping, tier, _, metric, value in _ask(model, setup)
        ]
    return rows


def part_of(path: str) -> str:
    """Returns the part to which a variable of a GPT belongs.

    The output layer and the last normalisation count as embeddings. Those
    inside a block belong to the part that reads them.
    """
    if not path.startswith("block_"):
        return PARTS[0]
    is_attention = path.split("/")[1].startswith("attention")
    return PARTS[1] if is_attention else PARTS[2]


def set_parts(
    model: keras.Model, trained: keras.Model, fresh: tuple[str, ...]
) -> None:
    """Gives a model the weights of a trained one, except in the fresh parts."""
    # Copies: JAX frees what a model is trained from.
    values = trained.get_weights()
    for variable, value in zip(model.weights, values, strict=True):
        if part_of(variable.path) not in fresh:
            variable.assign(value.copy())


@functools.cache
def _compiled(
    experiment: Experiment, frozen: str
) -> tuple[keras.Model, list[np.ndarray]]:
    """Returns a model with a part frozen, and its state before training."""
    model = experiment.model.build()
    for variable in model.trainable_variables:
        variable.trainable = part_of(variable.path) != frozen
    compile_gpt(model, experiment.train)
    return model, state_of(model)


def learn(
    experiment: Experiment,
    seed: int,
    before: keras.Model,
    frozen: str = "",
    fresh: tuple[str, ...] = (),
) -> tuple[keras.Model, RunSetup]:
    """Trains a model that starts from another.

    Args:
        experiment: what to train on.
        seed: its seed, also for the weights that are drawn anew.
        before: model of the same shape.
        frozen: part that keeps its weights; "" for none.
        fresh: parts that start with new weights.

    Returns:
        The trained model, which the next call may overwrite; and its run
        setup.
    """
    setup = set_up_run(experiment, seed)
    model, initial = _compiled(experiment, frozen)
    set_state(model, initial)  # the optimizer's, too
    initialise_weights(model, setup.weights_rng)
    set_parts(model, before, fresh)
    model.fit(
        setup.windows,
        epochs=experiment.train.num_epochs,
        steps_per_epoch=setup.windows.steps_per_epoch,
        shuffle=False,
        verbose=0,
    )
    return model, setup


def _ask(model: keras.Model, setup: RunSetup) -> list[Row]:
    experiment = setup.experiment
    evaluation = experiment.evaluation
    compiled = CompiledEvaluation(
        evaluation, model, experiment.model, experiment.task.answer_length
    )
    evaluator = ExactEvaluator(compiled.answers, model)
    data: Any = setup.data
    prompt = Prompt(evaluation.exact_demonstrations[0])
    asked = SentenceEvaluator(evaluator, data.stream)
    return exact_rows(asked, "A->C", [prompt], setup.prompts_rng)
