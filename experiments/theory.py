"""The theory of the paper, sec. 2: the runs that test it.

Question  Do propositions 1 to 4, assumptions 1 and 2 and both lemmas hold?
Paper     Sinha 2024, sec. 2.1 to 2.4, with proofs and without a test.
Run       make theory PRESET=quick SEEDS=10
Time      57 minutes for 10 seeds on 2 CPU cores, before plain SGD was added

As in `controls`, all conditions draw their words from six languages, and one
seed gives all the same words, sentences and initial weights.
`controls/sparse_a_to_c` and `count_50` are therefore the same run, with
different measurements. `measurements/` has the questions that the trained
models are asked.
"""

import dataclasses

from experiments import controls
from tiny_gpt.commands.quick import build_quick
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment, updates_per_epoch
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.task import CHANCE_LABEL

NAME = "theory"
COUNTS = (0, 10, 25, 50, 100, 200, 400)  # A->C pairs
ALONE = (10, 25, 100, 200, 400, 800, 1600)
# 3 demonstrations and a question fit a window of 40 tokens, not one of 30.
LONG_WINDOW = 40
# Of plain SGD, chosen by A->B and B->C alone (docs/runs/condition_rates).
SGD_RATE = 0.1


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: "quick"; the paper's size would take days.
        condition: one of the study's.
    """
    kind, _, last = condition.rpartition("_")
    num_pairs = 50 if condition == "long_window" else int(last)
    majority = 0 if kind == "alone" else controls.MAJORITY
    whole = 2 * controls.MAJORITY + 50  # pairs that others show
    share = {"balanced": controls.MAJORITY, "alone": whole}.get(kind, 0)
    repeats = max(1, share // max(1, num_pairs))
    labels = ("A->B", "B->C") if majority else ()
    mixture = _mixture(majority, Component("A->C", num_pairs, repeats))
    experiment = build_quick(NAME, condition, mixture, (*labels, "A->C"))
    train, model = experiment.train, experiment.model
    if kind == "balanced":  # as many updates as `count_50`
        base = build_experiment(preset, "count_50")
        updates = updates_per_epoch(base) * train.num_epochs
        num_epochs = round(updates / updates_per_epoch(experiment))
        train = dataclasses.replace(train, num_epochs=num_epochs)
    if kind == "sgd":
        train = dataclasses.replace(
            train, optimizer="sgd", learning_rate=SGD_RATE, clipnorm=None
        )
    if condition == "long_window":
        model = dataclasses.replace(model, sequence_length=LONG_WINDOW)
    return dataclasses.replace(
        experiment,
        train=train,
        model=model,
        evaluation=dataclasses.replace(
            experiment.evaluation,
            exact_demonstrations=experiment.evaluation.exact_demonstrations[:1],
            has_gradients=kind in ("count", "balanced", "sgd"),
        ),
    )


def _mixture(majority: int, sparse: Component) -> Mixture:
    base = controls.build_experiment("quick", "sparse_a_to_c").task.mixture
    given = (
        Component(m, majority * (m in ("A->B", "B->C"))) for m in base.given
    )
    return dataclasses.replace(base, components=(*given, sparse))


STUDY = Study(
    name=NAME,
    conditions={
        **{f"count_{n}": f"{n} A->C pairs beside the majority" for n in COUNTS},
        **{
            f"balanced_{n}": f"{n} A->C pairs, repeated until every mapping "
            "has the same share: the loss as printed, a mean over each task"
            for n in COUNTS[1:]
        },
        **{
            f"alone_{n}": f"{n} A->C pairs alone, as many tokens and updates"
            for n in ALONE
        },
        "long_window": f"50 A->C pairs, windows of {LONG_WINDOW} tokens",
        "sgd_50": "50 A->C pairs beside the majority, plain SGD",
    },
    build_experiment=build_experiment,
    sparse=("A->C",),
    titles={
        **{f"count_{n}": f"{n} A → C pairs" for n in COUNTS},
        **{f"balanced_{n}": f"{n} A → C pairs, balanced" for n in COUNTS[1:]},
        **{f"alone_{n}": f"{n} A → C pairs alone" for n in ALONE},
        "long_window": f"50 A → C pairs, windows of {LONG_WINDOW} tokens",
        "sgd_50": "50 A → C pairs, plain SGD",
    },
    chance=CHANCE_LABEL,
    presets=("quick",),
)
