"""Controls of A->C: what the triangle's model really learned.

Question  Is A->C learned through B, or from its 50 sentences alone, as any
          other mapping would be?
Paper     Explains its fig. 2c by composition (assumption 2, sec. 3.1.3); its
          only control is to leave pairs out.
Run       make exp-controls PRESET=quick SEEDS=10
Time      not measured since balanced majorities, sizes and tags were added

Every condition is `sparse_a_to_c` with the change that its line names. All
draw their words from one larger pool, six languages A to F, even if they do
not use them. Vocabulary and network are therefore the same everywhere, but for
sizes, positions and tags, and one seed gives all other conditions the same
words, sentences and initial weights.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.controls_curve import CURVE, draw_curve
from tiny_gpt.commands.quick import build_quick
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment, updates_per_epoch
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.tasks.translation.mixture import (
    LETTERS_DIGITS_PUNCTUATION,
    Component,
    Mixture,
)
from tiny_gpt.tasks.translation.task import Translation

NAME = "controls"
GIVEN = ("A->B", "B->C", "D->C", "D->E", "E->F")
MAPPINGS = (*GIVEN, "A->C")  # in corpus order
MAJORITY = 2500
FEW = (4, 8, 16)  # pairs of the controls of assumption 2


@dataclass(frozen=True)
class Control:
    """The settings of one condition.

    Attributes:
        says: the condition in a line.
        sparse: its A->C pairs.
        majority: mappings of `MAJORITY` pairs each.
        is_scrambled: whether A->C disagrees with B->C after A->B everywhere.
        is_pretrained: whether the majority comes first, and A->C alone
            afterwards.
        has_equal_updates: whether epochs are added until it has as many
            updates as the others.
        is_balanced: whether A->C has as large a share of the text as each
            mapping of the majority, and epochs are fewer for as many updates.
        has_prompts: whether prompts other than the main one are asked, too.
        width: width of the network over that of the others.
        num_layers: blocks; None for as many as the others.
        task: changed fields of `Translation`.
        model: changed fields of `GPTConfig`.
    """

    says: str
    sparse: Component
    majority: tuple[str, ...] = ("A->B", "B->C")
    is_scrambled: bool = False
    is_pretrained: bool = False
    has_equal_updates: bool = False
    is_balanced: bool = False
    has_prompts: bool = True
    width: float = 1.0
    num_layers: int | None = None
    task: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)


def _sparse(num_pairs: int, **fields) -> Component:
    return Component("A->C", num_pairs, **fields)


# As many pairs as the other conditions show: 2500 + 2500 + 50.
_ALONE = _sparse(50, num_repeats=(2 * MAJORITY + 50) // 50)
# Three pairs of 12 tokens, as 30 are three of 10.
TAGGED_LENGTH = 36
SIZES = {
    "quarter_width": ("a quarter of the width", 0.25, None),
    "half_width": ("half the width", 0.5, None),
    "double_width": ("twice the width", 2.0, None),
    "one_block": ("one block", 1.0, 1),
    "four_blocks": ("four blocks", 1.0, 4),
}


def _few(num_pairs: int) -> dict[str, Control]:
    """Returns the controls of assumption 2 with so few A->C pairs.

    Beside a majority, A->C is repeated to an equal share of the text.
    """
    alone = (2 * MAJORITY + 50) // num_pairs
    equal = MAJORITY // num_pairs
    kinds = {
        "alone": ("alone, as many tokens and updates as the others", alone, ()),
        "balanced": (
            "repeated to a third of the text",
            equal,
            ("A->B", "B->C"),
        ),
        "balanced_unrelated": (
            "repeated to a third of the text; the majority is D->E and E->F",
            equal,
            ("D->E", "E->F"),
        ),
    }
    return {
        f"{kind}_{num_pairs}": Control(
            f"{num_pairs} A->C pairs, {says}",
            _sparse(num_pairs, num_repeats=repeats),
            majority,
            is_balanced=bool(majority),
            has_prompts=False,
        )
        for kind, (says, repeats, majority) in kinds.items()
    }


def _curve(num_pairs: int) -> dict[str, Control]:
    """Returns the real, scrambled and no-route controls with so many pairs."""
    end = "" if num_pairs == 50 else f"_{num_pairs}"
    real = Control(
        f"{num_pairs} A->C pairs", _sparse(num_pairs), has_prompts=not end
    )
    return {
        f"sparse_a_to_c{end}": real,
        f"scrambled_a_to_c{end}": dataclasses.replace(
            real,
            says=f"{num_pairs} pairs of an A->C that disagrees with B->C "
            "after A->B on every word",
            is_scrambled=True,
        ),
        f"no_route_to_c{end}": dataclasses.replace(
            real,
            says=f"{num_pairs} A->C pairs; C is familiar from D->C, but B->C "
            "is missing",
            majority=("A->B", "D->C"),
        ),
    }


CONTROLS = {
    **_curve(50),
    "unrelated_majority": Control(
        "the majority is D->E and E->F", _sparse(50), ("D->E", "E->F")
    ),
    **{
        f"held_out_{n}": Control(
            f"{n} A word{'s' * (n > 1)} never occur{'s' * (n == 1)} in A->C",
            _sparse(50, num_held_out=n),
        )
        for n in (1, 2, 3)
    },
    "oversampled_a_to_c": Control(
        "the same 50 A->C pairs, each 20 times", _sparse(50, num_repeats=20)
    ),
    "fresh_a_to_c": Control(
        "1000 A->C pairs, all different", _sparse(1000, is_distinct=True)
    ),
    "a_to_c_alone_equal_updates": Control(
        "A->C alone, as many updates as the others",
        _sparse(50),
        (),
        has_equal_updates=True,
    ),
    "a_to_c_alone_equal_tokens": Control(
        "A->C alone, as many tokens and updates as the others", _ALONE, ()
    ),
    "pretrained": Control(
        "A->B and B->C first, then the 50 A->C alone, as many updates again",
        _ALONE,
        is_pretrained=True,
    ),
    **{
        name: control
        for num_pairs in reversed(CURVE[:-1])
        for name, control in _curve(num_pairs).items()
    },
    **{
        f"a_to_c_alone_{name}": Control(
            f"A->C alone, as many updates as the others, {says}",
            _sparse(50),
            (),
            has_equal_updates=True,
            task=task,
            model=model,
        )
        for name, says, task, model in (
            ("rotated", "cut elsewhere in each epoch", {"rotates": True}, {}),
            ("no_positions", "no positions", {}, {"positions": "none"}),
            (
                "sinusoidal",
                "sinusoids in place of learned positions, words times 8",
                {},
                {"positions": "sinusoidal"},
            ),
        )
    },
    **{
        name: control
        for num_pairs in FEW
        for name, control in _few(num_pairs).items()
    },
    **{
        name: Control(
            f"25 A->C pairs, {says}",
            _sparse(25),
            has_prompts=False,
            width=width,
            num_layers=num_layers,
        )
        for name, (says, width, num_layers) in SIZES.items()
    },
    **{
        f"tagged_{kind}": Control(
            f"{says}, every prompt names the language asked for",
            _sparse(num_pairs),
            is_scrambled=is_scrambled,
            has_prompts=False,
            task={"has_target_tag": True},
        )
        for kind, says, num_pairs, is_scrambled in (
            ("no_a_to_c", "no A->C pairs", 0, False),
            ("sparse_a_to_c_8", "8 A->C pairs", 8, False),
            ("scrambled_a_to_c_8", "8 scrambled A->C pairs", 8, True),
        )
    },
}


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one control.

    The paper preset is the published network and optimisation, with the
    vocabulary of six languages.

    Args:
        preset: one of the study's.
        condition: one of the study's.
    """
    control = CONTROLS[condition]
    mixture = _mixture(control, control.majority, control.sparse)
    majority = None
    if control.is_pretrained:
        majority = _mixture(control, control.majority, _sparse(0))
        mixture = _mixture(control, (), control.sparse)
    labels = (*control.majority, "A->C")
    if preset == "quick":
        experiment = build_quick(NAME, condition, mixture, labels)
    else:
        task = Translation(mixture, labels)
        model = GPTConfig(vocabulary_size=task.vocabulary_size)
        experiment = Experiment(NAME, condition, task, model)
    train, evaluation = experiment.train, experiment.evaluation
    most = evaluation.exact_demonstrations[:1]
    times, num_epochs = 1, train.num_epochs
    if control.has_equal_updates:
        base = build_experiment(preset, "sparse_a_to_c")
        times = updates_per_epoch(base) // updates_per_epoch(experiment)
    if control.is_balanced:
        num_epochs = _equal_epochs(preset, experiment)
    task = dataclasses.replace(
        experiment.task,
        pretraining=majority,
        pivots=("A->B->C",) if "B->C" in control.majority else (),
        **control.task,
    )
    return dataclasses.replace(
        experiment,
        task=task,
        model=_model(control, task, experiment.model),
        train=dataclasses.replace(
            train,
            num_epochs=num_epochs * (times + control.is_pretrained),
            num_pretraining_epochs=num_epochs * control.is_pretrained,
        ),
        evaluation=dataclasses.replace(
            evaluation,
            every=times,
            exact_demonstrations=(
                evaluation.exact_demonstrations if control.has_prompts else most
            ),
            is_asked_after_others=control.has_prompts,
        ),
    )


def _model(control: Control, task: Translation, base: Any) -> GPTConfig:
    length = base.sequence_length
    if task.has_target_tag:
        length = max(length, TAGGED_LENGTH)
    return dataclasses.replace(
        base,
        vocabulary_size=task.vocabulary_size,
        sequence_length=length,
        head_dim=round(base.head_dim * control.width),
        num_layers=control.num_layers or base.num_layers,
        **control.model,
    )


def _equal_epochs(preset: str, experiment: Experiment) -> int:
    """Returns epochs with as many updates as `sparse_a_to_c` has."""
    base = build_experiment(preset, "sparse_a_to_c")
    updates = updates_per_epoch(base) * base.train.num_epochs
    return round(updates / updates_per_epoch(experiment))


def _mixture(
    control: Control, majority: tuple[str, ...], sparse: Component
) -> Mixture:
    components = (
        *(Component(m, MAJORITY * (m in majority)) for m in GIVEN),
        sparse,
    )
    return Mixture(
        components,
        GIVEN,
        scrambled=("A->C",) if control.is_scrambled else (),
        characters=LETTERS_DIGITS_PUNCTUATION,
    )


STUDY = Study(
    name=NAME,
    conditions={name: control.says for name, control in CONTROLS.items()},
    build_experiment=build_experiment,
    sparse=("A->C",),
    draw=draw_curve,
)
