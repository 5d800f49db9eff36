"""Anti-composition: the composed word ranks below the others of its language.

Question  When does a network that reads A->B and B->C, and no A->C, come to
          rank the composed C word of an A sentence low, and by what?
Paper     Says nothing of ranks; without A->C pairs nothing is translated
          (Sinha 2024, fig. 2b), and we find the same.
Run       KERAS_BACKEND=jax python -m benchmarks.pages.anti_composition_runs
          docs/runs/anti_composition
Time      52 minutes of runs on 2 CPU cores, beside other work

As in `controls`, all conditions draw their words from six languages, and one
seed gives all the same words, sentences and initial weights, as far as their
networks are alike. The learning rate is constant, so that a run of n epochs is
the first n of a longer one. Other sizes of the majority have as many updates.
Seeds 1000 to 1009 are exploratory: they suggest, and decide nothing.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from experiments import controls
from tiny_gpt.commands.quick import build_quick
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.task import CHANCE_LABEL

NAME = "anti_composition"
BASE = "epochs_15"  # the quick preset, as `no_a_to_c`
MAJORITY = ("A->B", "B->C")
EPOCHS = (1, 2, 3, 5, 8, 15, 30)
PAIRS = (250, 1000, 10000)  # of each mapping, beside the base
WIDTHS = (16, 32, 128)
DEPTHS = (1, 4)
SPARSE = (8, 12)  # A->C pairs, of the same name in `controls`
NUM_HEADS = 4
# Conditions of the sizes are repeated less often.
SEEDS = range(1000, 1010)
SEEDS_OF_SIZES = range(1000, 1005)
SIZES = (
    *("depth", "width", "pairs", "characters", "no_positions"),
    "epochs_30",
)


@dataclass(frozen=True)
class FrozenConfig(GPTConfig):
    """A GPT of which some layers keep their initial weights.

    Attributes:
        frozen: names of these layers.
    """

    frozen: tuple[str, ...] = ()

    def build(self) -> keras.Model:
        """Builds the network, see `GPTConfig.build`."""
        model = super().build()
        for name in self.frozen:
            model.get_layer(name).trainable = False
        return model


@dataclass(frozen=True)
class Change:
    """How a condition differs from the base.

    Attributes:
        says: the condition in a line.
        majority: the mappings that are read.
        num_pairs: of each of them.
        num_sparse: A->C pairs that are read besides.
        is_scrambled: whether A->C disagrees with B->C after A->B everywhere.
        num_epochs: passes over the text.
        first: the mapping that is read alone at first; the other one follows
            alone. Empty for both together.
        frozen: layers that are not trained.
        task: changed fields of `Translation`.
        model: changed fields of `GPTConfig`.
    """

    says: str
    majority: tuple[str, ...] = MAJORITY
    num_pairs: int = controls.MAJORITY
    num_sparse: int = 0
    is_scrambled: bool = False
    num_epochs: int = 15
    first: str = ""
    frozen: tuple[str, ...] = ()
    task: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)


# Two demonstrations, a question and an answer: 2 * 12 + 7 + 4 tokens with
# tags, twice 2 * 10 + 5 + 4 with space marks.
_TAG: dict[str, Any] = {
    "task": {"has_target_tag": True},
    "model": {"sequence_length": 36},
}
CHANGES = {
    **{f"epochs_{n}": Change(f"{n} epochs", num_epochs=n) for n in EPOCHS},
    **{
        f"depth_{n}": Change(
            f"{n} block{'s' * (n > 1)}", model={"num_layers": n}
        )
        for n in DEPTHS
    },
    **{
        f"width_{n}": Change(f"width {n}", model={"head_dim": n // NUM_HEADS})
        for n in WIDTHS
    },
    **{
        f"pairs_{n}": Change(
            f"{n} pairs of each mapping, about as many updates",
            num_pairs=n,
            num_epochs=round(15 * controls.MAJORITY / n),
        )
        for n in PAIRS
    },
    "tagged": Change("every prompt names the language asked for", **_TAG),
    "characters": Change(
        "a space mark before every word",
        task={"tokens": "characters"},
        model={"sequence_length": 60},
    ),
    "no_positions": Change("no positions", model={"positions": "none"}),
    "chain": Change("C->D is read besides", (*MAJORITY, "C->D")),
    "no_route": Change(
        "D->C in place of B->C: no route from A to C", ("A->B", "D->C")
    ),
    "frozen_head": Change(
        "the head keeps its initial columns", frozen=("head",)
    ),
    "frozen_ends": Change(
        "the embeddings and the head keep their initial values",
        frozen=("embedding", "head"),
    ),
    "b_to_c_last": Change(
        "15 epochs of A->B alone, then 15 of B->C alone",
        num_epochs=30,
        first="A->B",
    ),
    "a_to_b_last": Change(
        "15 epochs of B->C alone, then 15 of A->B alone",
        num_epochs=30,
        first="B->C",
    ),
    **{
        f"{kind}_a_to_c_{n}": Change(
            f"{n} {says} pairs besides",
            num_sparse=n,
            is_scrambled=kind == "scrambled",
        )
        for n in SPARSE
        for kind, says in (("sparse", "A->C"), ("scrambled", "scrambled A->C"))
    },
}


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: "quick".
        condition: one of the study's.
    """
    change = CHANGES[condition]
    last = tuple(m for m in change.majority if m != change.first)
    labels = (*change.majority, "A->C")
    if "C->D" in labels:
        labels = (*labels, "B->D", "A->D")
    experiment = build_quick(NAME, condition, _mixture(change, last), labels)
    pretraining = None
    if change.first:
        pretraining = _mixture(change, (change.first,))
    task = dataclasses.replace(
        experiment.task, pretraining=pretraining, **change.task
    )
    model = dataclasses.replace(
        experiment.model, vocabulary_size=task.vocabulary_size, **change.model
    )
    if change.frozen:
        fields = dataclasses.asdict(model)
        model = FrozenConfig(**fields, frozen=change.frozen)
    return dataclasses.replace(
        experiment,
        task=task,
        model=model,
        train=dataclasses.replace(
            experiment.train,
            num_epochs=change.num_epochs,
            num_pretraining_epochs=change.num_epochs // 2
            if change.first
            else 0,
        ),
        evaluation=dataclasses.replace(
            experiment.evaluation,
            num_sentences=8,  # the end counts, where every sentence is asked
            num_loss_windows=0,
            every=change.num_epochs,
            exact_demonstrations=experiment.evaluation.exact_demonstrations[:1],
        ),
    )


def seeds_of(condition: str) -> range:
    """Returns the seeds with which a condition is run."""
    return SEEDS_OF_SIZES if condition.startswith(SIZES) else SEEDS


def _mixture(change: Change, read: tuple[str, ...]) -> Mixture:
    base = controls.build_experiment("quick", "sparse_a_to_c").task.mixture
    more = (m for m in read if m not in base.given)  # the inverse of one
    majority = (
        Component(m, change.num_pairs * (m in read))
        for m in (*base.given, *more)
    )
    return dataclasses.replace(
        base,
        components=(*majority, Component("A->C", change.num_sparse)),
        scrambled=("A->C",) if change.is_scrambled else (),
    )


STUDY = Study(
    name=NAME,
    conditions={name: change.says for name, change in CHANGES.items()},
    build_experiment=build_experiment,
    sparse=("A->C",),
    chance=CHANCE_LABEL,
    presets=("quick",),
)
