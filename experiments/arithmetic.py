"""Arithmetic modulo 13: is h = g(f) composed, or is f used again?

Question  Beside the whole tables of f = x + y and of a permutation g, and
          some rows of h = g(f(x, y)): how are the other rows of h answered?
Paper     Explains by composition how a rare mapping is learned beside two
          common ones (assumption 2, fig. 3); here both are known whole.
          Tables modulo a prime are those of Power et al. 2022, arXiv
          2201.02177 ("grokking").
Run       make exp-arithmetic SEEDS=3
Time      18 minutes on 2 cores for 10 seeds of all variants, by 60 runs timed

Who knows f, but not g, can answer nearly all rows of h once it has seen one
row for each value of f: it re-uses f (`analysis/reuse.py`). Who knows g as
well needs no row. The variants (`Arithmetic`) tell them apart: with another g
("scrambled") or without g, f can be re-used and nothing can be composed; with
another table in place of f, or alone, neither. h, its rows that are read, and
their number in each update are the same in all variants of a seed.

Learning rate, weight decay and epochs are chosen by f alone, without any row of
h: those with which rows of f that were not read are answered best
(`benchmarks/choices/choose_arithmetic.py`, docs/runs/arithmetic_rates). A
network that knows the table of f by heart has nothing to re-use. The number of
rows of h was fixed beforehand. They turned out to suffice alone, so
`arithmetic_few` has fewer; `sweeps/arithmetic_shown.toml` has others.

The presets `p97` and `p113` have the moduli at which grokking was found, with
the weight decay and learning rate of Power et al. 2022, and 3 in 10 rows as in
Nanda et al. 2023, arXiv 2301.05217. They are meant for a GPU. They were never
run; a test trains a network of each for one epoch.
"""

import contextlib
import dataclasses
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from tiny_gpt.claims.evidence import Evidence, MissingRunsError
from tiny_gpt.commands.quick import quick_gpt
from tiny_gpt.commands.study import Study
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.network import NetworkConfig
from tiny_gpt.models.recurrent import GRUConfig
from tiny_gpt.plots.curves import show_shares
from tiny_gpt.tasks.arithmetic.task import VARIANTS, Arithmetic

NAME = "arithmetic"
SHOWN = 110  # rows of h that are read, of 169
NETWORKS = {"gpt": "GPT", "gru": "GRU"}
CHOSEN = {"gpt": (1e-3, 1.0), "gru": (3e-3, 1.0)}  # rate, weight decay
SAYS = {
    "real": "f and g beside h",
    "scrambled": "f, and a g that disagrees with h on every number",
    "no_f": "g, and another Latin square in place of f",
    "no_g": "f alone beside h",
    "alone": "nothing beside h",
    "bridge": "f, g and identity rows of their numbers",
}


@dataclass(frozen=True)
class Preset:
    """A size of the tables and of the training.

    Attributes:
        modulus: p.
        num_shown: rows of h that are read, of p ** 2.
        num_heads: of the GPT.
        head_dim: of the GPT; its width is that of the GRU as well.
        gru_intermediate_dim: width of the GRU's feed-forward layer, which
            makes the number of parameters that of the GPT within 2 %.
        train: but rate and decay of the quick preset, see `CHOSEN`.
        every: epochs between evaluations.
    """

    modulus: int
    num_shown: int
    num_heads: int
    head_dim: int
    gru_intermediate_dim: int
    train: TrainConfig
    every: int


GROKKING = TrainConfig(
    num_epochs=2000, batch_size=1024, learning_rate=1e-3, weight_decay=1.0
)
PRESETS = {
    "quick": Preset(
        modulus=13,
        num_shown=SHOWN,
        num_heads=4,
        head_dim=16,
        gru_intermediate_dim=192,
        train=TrainConfig(num_epochs=400, batch_size=52, loss_drop_window=1),
        every=5,
    ),
    "p97": Preset(97, 2823, 4, 32, 384, GROKKING, every=10),
    "p113": Preset(113, 3831, 4, 32, 384, GROKKING, every=10),
}


def network(name: str, preset: str) -> GPTConfig | NetworkConfig:
    """Returns a network.

    Args:
        name: one of `NETWORKS`.
        preset: one of `PRESETS`.
    """
    size = PRESETS[preset]
    sizes = Arithmetic(0, size.modulus).vocabulary_size, 4
    if name == "gru":
        return GRUConfig(
            *sizes,
            hidden_dim=size.num_heads * size.head_dim,
            intermediate_dim=size.gru_intermediate_dim,
        )
    return quick_gpt(*sizes, size.num_heads, size.head_dim)


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: one of `PRESETS`.
        condition: one of the study's.
    """
    size, (name, variant) = PRESETS[preset], CONDITIONS[condition]
    train = size.train
    if preset == "quick":
        rate, decay = CHOSEN[name]
        train = dataclasses.replace(
            train, learning_rate=rate, weight_decay=decay
        )
    return Experiment(
        name=NAME,
        condition=condition,
        task=Arithmetic(size.num_shown, size.modulus, "add", variant),
        model=network(name, preset),
        train=train,
        evaluation=EvaluationConfig(
            decoding="cached",
            num_sentences=256,
            num_demonstrations=0,
            num_fresh_sentences=0,
            every=size.every,
            num_loss_windows=0,
            exact_demonstrations=(0,),
        ),
    )


def draw_rows(evidence: Evidence, title: str) -> Figure | None:
    """Draws the accuracy on unseen rows of h, a dot for each seed.

    Args:
        evidence: frames of the runs; conditions without any are left out.
        title: of the figure.
    """
    found, num_rows = {}, 0.0
    for condition in CONDITIONS:
        with contextlib.suppress(MissingRunsError):
            asked = f"{NAME}/{condition}", "h"
            counts = evidence.final(*asked, "num_words", "all_sentences")
            found[condition] = evidence.final(*asked)
            num_rows = max(counts.values())
    if not found:
        return None
    size = next(p for p in PRESETS.values() if p.modulus**2 == num_rows)
    task = Arithmetic(size.num_shown, size.modulus)
    figure, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
    for x, (condition, by_seed) in enumerate(found.items()):
        values = list(by_seed.values())
        colour = f"C{list(NETWORKS).index(CONDITIONS[condition][0])}"
        ax.plot([x] * len(values), values, "o", color=colour, alpha=0.6)
        ax.plot([x - 0.25, x + 0.25], [sum(values) / len(values)] * 2, "k-")
    for style, says, value in (
        (":", "chance", 1 / task.num_answers),
        ("--", "re-use at best", task.reuse_on_unseen or 0.0),
    ):
        ax.axhline(value, color="grey", linestyle=style, label=says)
    labels = [condition.replace("_", "\n", 1) for condition in found]
    ax.set_xticks(range(len(found)), labels, fontsize=8)
    ax.set(title=title, ylabel="unseen rows of h, right")
    show_shares(ax)
    ax.legend(fontsize=8)
    return figure


CONDITIONS = {
    f"{name}_{variant}": (name, variant)
    for name in NETWORKS
    for variant in VARIANTS
}
STUDY = Study(
    name=NAME,
    conditions={
        condition: f"{NETWORKS[name]}: {SAYS[variant]}"
        for condition, (name, variant) in CONDITIONS.items()
    },
    build_experiment=build_experiment,
    sparse=("h",),
    presets=tuple(PRESETS),
    draw=draw_rows,
)
