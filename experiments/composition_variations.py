"""Variations of `composition`: identities, depths, loops, texts, weight decay.

Question  What has to be added, and to which network? Does it also help the
          triangle of the paper, with few pairs?
Paper     See `composition`.
Run       python -m experiments composition_variations --first-seed 1000
Time      52 minutes for 10 seeds without `long_decay` on 2 CPU cores, beside
          other work, with --executor processes

Seeds from 1000 on: these runs are exploratory. Everything is as in
`composition`, and 2 words are held out, unless a condition says otherwise.
sweeps/bridge_dose.toml asks how many identity pairs it takes.
"""

from experiments.composition import (
    BRIDGE,
    HELD_OUT,
    NONE,
    PLACEBO,
    Change,
    build,
)
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment
from tiny_gpt.tasks.translation.task import CHANCE_LABEL

NAME = "composition_variations"
DECAY = 0.3
IDENTITIES = {
    "none": NONE,
    "bridge": BRIDGE,
    "placebo": PLACEBO,
    "source": ("A->A",),
    "target": ("C->C",),
}
DEPTHS = (1, 3, 4)
LOOPS = (2, 3, 4)
LONG_WINDOW = 45  # three chains of 15 tokens
FEW = (4, 8, 12, 16, 25)

CHANGES = {
    **{
        f"held_out_{n}_{name}{'_decay' * (decay > 0)}": Change(
            f"{n} words held out; {' '.join(added) or 'nothing'} added"
            + f"; weight decay {decay}" * (decay > 0),
            n,
            added,
            weight_decay=decay,
        )
        for decay in (0.0, DECAY)
        for name, added in IDENTITIES.items()
        for n in HELD_OUT
        if decay or name in ("source", "target")  # others: `composition`
    },
    **{
        f"depth_{n}_bridge": Change(
            f"{n} block{'s' * (n > 1)}; B->B added",
            added=BRIDGE,
            model={"num_layers": n},
        )
        for n in DEPTHS
    },
    **{
        f"loops_{n}_bridge": Change(
            f"one block, {n} times; B->B added",
            added=BRIDGE,
            model={"num_layers": 1},
            num_loops=n,
        )
        for n in LOOPS
    },
    "shared_bridge": Change(
        "two blocks, twice; B->B added", added=BRIDGE, num_loops=2
    ),
    "together": Change(
        "A->B and B->C of one sentence stand together; nothing added",
        together=("A->B", "B->C"),
    ),
    **{
        name: Change(
            f"{says}; nothing added; windows of {LONG_WINDOW} tokens",
            is_stepwise=name == "stepwise",
            model={"sequence_length": LONG_WINDOW},
        )
        for name, says in (
            ("stepwise", "50 A->B->C, the B words between, in place of A->C"),
            ("direct", "50 A->C"),
        )
    },
    "long_decay": Change(
        f"nothing added; weight decay {DECAY}, 20,020 updates",
        updates=20020,  # 770 epochs
        weight_decay=DECAY,
    ),
    **{
        f"sparse_{n}_{name}": Change(
            f"{n} A->C pairs, no word held out; "
            f"{' '.join(added) or 'nothing'} added",
            0,
            added,
            num_sparse=n,
        )
        for n in FEW
        for name, added in list(IDENTITIES.items())[:3]
    },
}


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: "quick".
        condition: one of the study's.
    """
    return build(NAME, condition, CHANGES[condition])


STUDY = Study(
    name=NAME,
    conditions={name: change.says for name, change in CHANGES.items()},
    build_experiment=build_experiment,
    sparse=("A->C",),
    chance=CHANCE_LABEL,
    presets=("quick",),
)
