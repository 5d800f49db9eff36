"""In-context learning: does a fixed mapping beside it end the plateau?

Question  Windows that each have a bijection of their own stay on a plateau of
          the loss. Do they leave it earlier where half of the windows have one
          fixed bijection, which can be learned into the weights?
Paper     Has demonstrations in its prompts and one dictionary for each mapping
          (sec. 3.1). Plateaus of in-context learning, and pools of tasks, are
          those of Raventos et al. 2023, arXiv 2306.15063; that it can be
          transient, of Singh et al. 2023, arXiv 2311.08360.
Run       make exp-in-context SEEDS=3
Time      not measured yet

A window is `x y x y ...`, 16 pairs of 8 symbols (`InContext`), and is read
once. The loss has the answers y alone. All conditions have the learning rate
and the batch of 64 windows of the quick preset of translation. "half_fixed"
therefore reads half as many fresh windows in an update as "fresh": if it leaves
the plateau earlier, it does so by updates and by fresh windows read. "fresh"
with a batch of 32 reads as many fresh windows in an update as "half_fixed".

Seeds leave the plateau at the first update at which the loss of late answers
(after 7 and 15 pairs, on new bijections) is half of the way down from log 8,
which knows nothing of the prompt, to the loss of the best reader, to whom all
8! bijections are equally likely. 6000 updates end the run.

At the end they are compared by how far the loss of late answers stays above
that of the best reader. Verdicts are those of the preset `whole`. The preset
`quick` has 8 pairs of 4 symbols and 1500 updates, for display.
`in_context_pools` has pools of bijections.
"""

import dataclasses
from dataclasses import dataclass

from matplotlib.figure import Figure

from experiments import networks
from experiments.in_context_curves import draw_plateaus
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.commands.study import Study
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig
from tiny_gpt.tasks.in_context.source import FRESH
from tiny_gpt.tasks.in_context.task import InContext

NAME = "in_context"
NETWORKS = {"gpt": "GPT", "gru": "GRU"}
LEARNING_RATE = 3e-3
BATCH_SIZE = 64
UPDATES = 50  # of an epoch, after which the losses are measured
NUM_WINDOWS = 128  # per mapping, whose loss is measured


@dataclass(frozen=True)
class Preset:
    """A size of the windows and of the training.

    Attributes:
        num_symbols: M.
        num_pairs: pairs of a window.
        num_epochs: of `UPDATES` updates.
    """

    num_symbols: int
    num_pairs: int
    num_epochs: int

    @property
    def late(self) -> tuple[int, ...]:
        """Pairs before late answers, see `late_losses`."""
        measured = InContext(num_pairs=self.num_pairs).measured
        return tuple(k for k in measured if k + 1 >= self.num_pairs // 2)


@dataclass(frozen=True)
class Mix:
    """What the windows hold.

    Attributes:
        says: the mix in a line.
        fixed_share: see `InContext`.
        pool_size: see `InContext`.
        batch_size: windows of an update.
    """

    says: str
    fixed_share: float = 0.0
    pool_size: int = 0
    batch_size: int = BATCH_SIZE


PRESETS = {"quick": Preset(4, 8, 30), "whole": Preset(8, 16, 120)}
MIXES = {
    "fresh": Mix("a new bijection in every window"),
    "half_fixed": Mix("one fixed bijection in half of the windows", 0.5),
    "fresh_half_batch": Mix(
        "a new bijection in every window, as many windows as the new ones of "
        "half_fixed",
        batch_size=BATCH_SIZE // 2,
    ),
}


def build(
    name: str, condition: str, preset: str, network: str, mix: Mix
) -> Experiment:
    """Returns the experiment of a mix.

    Args:
        name: name of the study.
        condition: name of the condition.
        preset: one of `PRESETS`.
        network: one of `NETWORKS`.
        mix: what the windows hold.
    """
    size = PRESETS[preset]
    task = InContext(
        mix.pool_size,
        mix.fixed_share,
        size.num_pairs,
        size.num_symbols,
        UPDATES * mix.batch_size,
    )
    model = dataclasses.replace(
        networks.network(network),
        vocabulary_size=task.vocabulary_size,
        sequence_length=2 * size.num_pairs - 1,
    )
    train = TrainConfig(
        num_epochs=size.num_epochs,
        batch_size=mix.batch_size,
        learning_rate=LEARNING_RATE,
        loss_drop_window=1,
    )
    last, *shorter = reversed(task.measured)
    evaluation = EvaluationConfig(
        decoding="cached",
        num_sentences=NUM_WINDOWS,
        num_demonstrations=last,
        num_fresh_sentences=0,
        num_loss_windows=NUM_WINDOWS,
        exact_demonstrations=(last, *shorter),
    )
    return Experiment(name, condition, task, model, train, evaluation)


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: one of `PRESETS`.
        condition: one of the study's.
    """
    network, mix = CONDITIONS[condition]
    return build(NAME, condition, preset, network, MIXES[mix])


def draw(evidence: Evidence, title: str) -> Figure | None:
    """Draws the loss of late answers; None if a condition is missing."""
    panels = {
        says: {
            mix.replace("_", " "): f"{NAME}/{network}_{mix}"
            for mix in ("fresh", "half_fixed")
        }
        for network, says in NETWORKS.items()
    }
    return draw_plateaus(evidence, title, panels)


CONDITIONS = {
    **{f"{n}_{m}": (n, m) for n in NETWORKS for m in ("fresh", "half_fixed")},
    "gpt_fresh_half_batch": ("gpt", "fresh_half_batch"),
}
STUDY = Study(
    name=NAME,
    conditions={
        condition: f"{NETWORKS[network]}: {MIXES[mix].says}"
        for condition, (network, mix) in CONDITIONS.items()
    },
    build_experiment=build_experiment,
    sparse=(FRESH,),
    presets=tuple(PRESETS),
    figure="plateaus",
    draw=draw,
)
