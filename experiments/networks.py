"""Does it need a transformer? The same text, read by other networks.

Question  Which of the paper's findings depend on attention?
Paper     Names recurrent networks as a limit of its study (sec. 4.1).
Run       make exp-networks SEEDS=4
Time      22 to 29 minutes of one CPU core for 20 seeds of one network (GPT,
          GRU, LSTM)

Text, window, batch, clipping and number of updates are those of the quick
preset. Only the mixer of the blocks differs (`models/network.py`). The width
of the feed-forward layer makes the number of parameters equal to the GPT's
within 2 %. Each network has the learning rate at which it learns the majority
first (`benchmarks/choices/choose_network_rates.py`, on text without any A->C).

As in `composition`, all conditions draw their words from six languages, and
one seed gives all the same words and sentences. `networks_compute` has the
same networks at equal operations.
"""

import dataclasses
from typing import Any

from experiments import composition
from experiments.composition import BRIDGE, Change
from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment
from tiny_gpt.models.gmlp import GMLPConfig
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.kernel_attention import LinearAttentionConfig
from tiny_gpt.models.min_gru import MinGRUConfig
from tiny_gpt.models.network import NetworkConfig
from tiny_gpt.models.recurrent import GRUConfig, LSTMConfig
from tiny_gpt.models.state_space import StateSpaceConfig
from tiny_gpt.tasks.translation.task import CHANCE_LABEL

NAME = "networks"
REFERENCE = "gpt"  # of the quick preset
PAIRS = (4, 8, 16, 25, 50, 100, 200)  # of A->C
SPARSE = 50
SAYS = {
    REFERENCE: "GPT",
    "gpt_post": "GPT, post-norm",
    "gru": "GRU",
    "lstm": "LSTM",
    "min_gru": "minGRU",
    "linear_attention": "linear attention",
    "state_space": "state space",
    "gmlp": "gMLP",
}
SIZES = (51, 30)  # vocabulary and window
# The width of the feed-forward layer is of equal parameters.
NETWORKS: dict[str, NetworkConfig] = {
    "gru": GRUConfig(*SIZES, intermediate_dim=192),
    "lstm": LSTMConfig(*SIZES, intermediate_dim=129),
    "min_gru": MinGRUConfig(*SIZES, intermediate_dim=288),
    "linear_attention": LinearAttentionConfig(*SIZES, intermediate_dim=256),
    "state_space": StateSpaceConfig(*SIZES, intermediate_dim=169),
    "gmlp": GMLPConfig(*SIZES, intermediate_dim=280),
}
RATES = dict.fromkeys(SAYS, 3e-3)
CHANGES = {
    **{
        str(n): Change(f"{n} A->C pairs", held_out=0, num_sparse=n)
        for n in PAIRS
    },
    "scrambled": Change(
        f"{SPARSE} pairs of an A->C that disagrees with B->C after A->B on "
        "every word",
        held_out=0,
        is_scrambled=True,
    ),
    "no_route": Change(
        f"{SPARSE} A->C pairs; D->C in place of B->C",
        held_out=0,
        majority=("A->B", "D->C"),
    ),
    "held_out": Change("2 A words never occur in A->C"),
    "held_out_bridge": Change(
        "2 A words never occur in A->C; B->B added", added=BRIDGE
    ),
}


def network(name: str) -> NetworkConfig | GPTConfig:
    """Returns a network in the size of the quick preset.

    Args:
        name: one of `SAYS`.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    gpt: Any = composition.build(NAME, REFERENCE, Change("", 0)).model
    is_post = name == "gpt_post"
    return dataclasses.replace(gpt, normalization="post") if is_post else gpt


def build_experiment(preset: str, condition: str) -> Experiment:
    """Returns one condition.

    Args:
        preset: "quick".
        condition: one of the study's.
    """
    name, change = CONDITIONS[condition]
    experiment = composition.build(NAME, condition, change)
    train = dataclasses.replace(experiment.train, learning_rate=RATES[name])
    return dataclasses.replace(experiment, model=network(name), train=train)


CONDITIONS = {
    f"{name}_{kind}": (name, change)
    for name in SAYS
    for kind, change in CHANGES.items()
}
STUDY = Study(
    name=NAME,
    conditions={
        condition: f"{SAYS[name]}: {change.says}"
        for condition, (name, change) in CONDITIONS.items()
    },
    build_experiment=build_experiment,
    sparse=("A->C",),
    chance=CHANCE_LABEL,
    presets=("quick",),
)
