"""Composition, switched on and off: identity pairs B->B beside A->B and B->C.

Question  When is an A word that A->C never showed translated into C by way of
          B, and what turns this on?
Paper     Explains its fig. 2c by composition (assumption 2, fig. 3). We find
          none (`controls`). Identity pairs as a switch are an idea of Lin,
          Chen and Xu 2025, arXiv 2509.24653 ("identity bridge").
Run       make exp-composition SEEDS=4
Time      14 minutes for 20 seeds on 2 CPU cores, with --executor processes;
          measurements 7 more

The base is A->B and B->C, 2500 pairs each, and 50 pairs of A->C in which some
A words never occur: the first ones of the shuffled alphabet, drawn anew by each
seed. All conditions have as many updates. As in `controls`, all draw their
words from six languages; one seed gives all the same words, the same sentences
of each mapping and the same initial weights. `composition_variations` has
further conditions.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments import controls
from experiments.measurements import composing, composing_by_epoch, swap
from tiny_gpt.commands.quick import build_quick
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment, updates_per_epoch
from tiny_gpt.models.looped import LoopedGPTConfig
from tiny_gpt.tasks.translation.mixture import Component
from tiny_gpt.tasks.translation.task import CHANCE_LABEL

NAME = "composition"
UPDATES = 390  # as many as `sparse_a_to_c` of the quick preset
SPARSE = 50
CHAIN = "A->B->C"
MAJORITY = ("A->B", "B->C")
# Mappings that may be added, in corpus order; D and E are other languages.
ADDED = ("A->A", "B->B", "C->C", "D->D", "A->E", "B->E", "D->E")
HELD_OUT = (2, 3, 4)
NONE: tuple[str, ...] = ()
BRIDGE, PLACEBO = ("B->B",), ("D->D",)


@dataclass(frozen=True)
class Change:
    """How a condition differs from the base.

    Attributes:
        says: the condition in a line.
        held_out: A words that never occur in A->C.
        added: mappings of `dose` pairs each.
        dose: pairs of each added mapping.
        majority: mappings of 2500 pairs each.
        num_sparse: pairs of A->C.
        is_scrambled: whether A->C disagrees with B->C after A->B everywhere.
        updates: of the optimizer, by the nearest number of epochs.
        weight_decay: of the optimizer (AdamW).
        model: changed fields of `GPTConfig`.
        num_loops: times that the blocks are applied (`LoopedGPTConfig`).
        is_stepwise: whether A->B->C, in which B words stand between, takes
            the place of A->C; both are asked.
        together: mappings whose pairs about one sentence stand together
            (`Mixture.together`).
    """

    says: str
    held_out: int = 2
    added: tuple[str, ...] = NONE
    dose: int = controls.MAJORITY
    majority: tuple[str, ...] = MAJORITY
    num_sparse: int = SPARSE
    is_scrambled: bool = False
    updates: int = UPDATES
    weight_decay: float = 0.0
    model: Mapping[str, Any] = field(default_factory=dict)
    num_loops: int = 1
    is_stepwise: bool = False
    together: tuple[str, ...] = ()


def _shared(held_out: int) -> dict[str, Change]:
    """Returns pairs without an identity that give B words another answer."""
    end = "" if held_out == 2 else f"_{held_out}"
    return {
        f"common_target{end}": Change(
            f"{held_out} words held out; A->E and B->E added, whose answers "
            "are the same",
            held_out,
            ("A->E", "B->E"),
        ),
        f"second_target{end}": Change(
            f"{held_out} words held out; B->E and D->E added: a second answer "
            "that A words do not share",
            held_out,
            ("B->E", "D->E"),
        ),
    }


CHANGES = {
    **{
        f"held_out_{n}_{name}": Change(
            f"{n} words held out; {' '.join(added) or 'nothing'} added",
            n,
            added,
        )
        for name, added in (
            ("none", NONE),
            ("bridge", BRIDGE),
            ("placebo", PLACEBO),
        )
        for n in HELD_OUT
    },
    "scrambled_bridge": Change(
        "2 words held out; B->B added; A->C disagrees with B->C after A->B on "
        "every word",
        added=BRIDGE,
        is_scrambled=True,
    ),
    "no_route_bridge": Change(
        "2 words held out; B->B added; D->C in place of B->C",
        added=BRIDGE,
        majority=("A->B", "D->C"),
    ),
    **_shared(2),
    **_shared(4),
}


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: "quick".
        condition: one of the study's.
    """
    return build(NAME, condition, CHANGES[condition])


def build(name: str, condition: str, change: Change) -> Experiment:
    """Returns the experiment of a change.

    Args:
        name: name of the study.
        condition: name of the condition.
        change: what the condition changes.
    """
    base = controls.build_experiment("quick", "sparse_a_to_c").task.mixture
    counts = dict.fromkeys(change.majority, controls.MAJORITY)
    counts |= dict.fromkeys(change.added, change.dose)
    known = dict.fromkeys((*base.given, *ADDED))  # D->E is in both
    label = CHAIN if change.is_stepwise else "A->C"
    sparse = Component(label, change.num_sparse, num_held_out=change.held_out)
    mixture = dataclasses.replace(
        base,
        components=(*(Component(m, counts.get(m, 0)) for m in known), sparse),
        scrambled=("A->C",) if change.is_scrambled else (),
        together=change.together,
    )
    asked = dict.fromkeys((*(m for m in known if counts.get(m)), *MAJORITY))
    experiment = build_quick(name, condition, mixture, (*asked, "A->C"))
    evaluation = experiment.evaluation
    model = dataclasses.replace(experiment.model, **change.model)
    if change.num_loops > 1:
        model = LoopedGPTConfig(**vars(model), num_loops=change.num_loops)
    experiment = dataclasses.replace(
        experiment,
        task=dataclasses.replace(
            experiment.task,
            eval_mappings=(*asked, "A->C", *(CHAIN,) * change.is_stepwise),
            pivots=() if change.is_stepwise else (CHAIN,),
        ),
        model=model,
        evaluation=dataclasses.replace(
            evaluation,
            num_sentences=64,  # the end counts, where every sentence is asked
            num_loss_windows=0,
            exact_demonstrations=evaluation.exact_demonstrations[:1],
        ),
    )
    train = dataclasses.replace(
        experiment.train,
        num_epochs=round(change.updates / updates_per_epoch(experiment)),
        weight_decay=change.weight_decay,
    )
    return dataclasses.replace(experiment, train=train)


STUDY = Study(
    name=NAME,
    conditions={name: change.says for name, change in CHANGES.items()},
    build_experiment=build_experiment,
    sparse=("A->C",),
    chance=CHANCE_LABEL,
    presets=("quick",),
    measurements=(composing, composing_by_epoch, swap),
)
