"""A GPT-2 of keras-hub in place of our GPT, for whoever has keras-hub.

Question  Does a network that others wrote learn A->B from its sentences?
Run       pip install keras-hub; tiny-gpt run examples/hub.py --seeds 3
"""

import dataclasses
from dataclasses import dataclass

import keras
from keras import ops

from tiny_gpt.commands.quick import build_quick
from tiny_gpt.commands.study import Study
from tiny_gpt.tasks.translation.mixture import Component, Mixture


@dataclass(frozen=True)
class HubGPT2Config:
    """`keras_hub.models.GPT2Backbone`, its embedding as the head."""

    vocabulary_size: int
    sequence_length: int = 30
    num_layers: int = 2
    num_heads: int = 4
    hidden_dim: int = 64
    intermediate_dim: int = 256

    def build(self):
        import keras_hub

        backbone = keras_hub.models.GPT2Backbone(
            self.vocabulary_size,
            self.num_layers,
            self.num_heads,
            self.hidden_dim,
            self.intermediate_dim,
            dropout=0.0,
            max_sequence_length=self.sequence_length,
        )
        token_ids = keras.Input((None,), dtype="int32")
        read = {
            "token_ids": token_ids,
            "padding_mask": ops.ones_like(token_ids),
        }
        logits = backbone.token_embedding(backbone(read), reverse=True)
        return keras.Model(token_ids, logits)


def build(preset, condition):
    """Returns the quick preset with this network in place of its GPT."""
    mixture = Mixture((Component("A->B", 1000),), given=("A->B",))
    experiment = build_quick("hub", condition, mixture, ("A->B",))
    model = HubGPT2Config(experiment.task.vocabulary_size)
    return dataclasses.replace(experiment, model=model)


STUDY = Study(
    name="hub",
    conditions={"hub_gpt2": "1000 A->B pairs, read by keras-hub's GPT-2"},
    build_experiment=build,
    sparse=("A->B",),
    presets=("quick",),
)
