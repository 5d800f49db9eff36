"""A network of one's own: each position sees the mean of those up to it.

Question  Is a mean enough to learn A->B from its sentences?
Run       tiny-gpt run examples/mean.py --seeds 3
"""

import dataclasses
from dataclasses import dataclass

import keras
from keras import ops

from tiny_gpt.commands.quick import build_quick
from tiny_gpt.commands.study import Study
from tiny_gpt.models.network import NetworkConfig
from tiny_gpt.tasks.translation.mixture import Component, Mixture


@keras.saving.register_keras_serializable(package="mine")
class Mean(keras.layers.Layer):
    """From (B, T, D) to (B, T, D)."""

    def call(self, x, training=False):
        counts = ops.arange(1, ops.shape(x)[1] + 1)[:, None]
        return ops.cumsum(x, axis=1) / ops.cast(counts, x.dtype)


@dataclass(frozen=True)
class MeanConfig(NetworkConfig):
    """Embedding, norms, feed-forward layers and head are those of all."""

    def mixer(self):
        return Mean(name="mean")


def build(preset, condition):
    """Returns the quick preset with this network in place of its GPT."""
    mixture = Mixture((Component("A->B", 1000),), given=("A->B",))
    experiment = build_quick("mean", condition, mixture, ("A->B",))
    model = MeanConfig(experiment.task.vocabulary_size, sequence_length=30)
    return dataclasses.replace(experiment, model=model)


STUDY = Study(
    name="mean",
    conditions={"mean_network": "1000 A->B pairs, read by a mean"},
    build_experiment=build,
    sparse=("A->B",),
    presets=("quick",),
)
