"""Small models for tests of the probes, with their readings."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.probes import HeadPatch, Reader, Reading
from tiny_gpt.runtime.programs import compile_for_model

VARIANTS = {
    "published": {},
    "usual": {
        "normalization": "pre",
        "logit_scale": "head_dim",
        "output_activation": None,
        "dropout": 0.3,
        "dropout_placement": "weights",
    },
    "no_positions": {
        "dropout": 0.3,
        "positions": "none",
        "num_layers": 1,
        "num_unused_classes": 0,
        "activation": "relu",
    },
}
# Of 16 sentences of 16 tokens JAX computes layers in another form on a CPU.
PLAIN, FAST = (3, 5), (16, 16)
CASES = [
    *((variant, PLAIN) for variant in VARIANTS),
    ("published", FAST),
    ("usual", FAST),
]
TOKENS = np.random.default_rng(7).integers(0, 11, PLAIN)


def draw_weights(model, seed=3):
    initialise_weights(model, np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 1)
    for v in model.variables:  # far from uniform outputs
        if v.name in ("kernel", "token_table"):
            v.assign(rng.normal(scale=0.6, size=v.shape))
        elif v.name in ("bias", "beta"):
            v.assign(rng.normal(scale=0.1, size=v.shape))


def small(variant):
    config = GPTConfig(
        vocabulary_size=11,
        sequence_length=16,
        num_heads=2,
        head_dim=4,
        **VARIANTS[variant],
    )
    model = config.build()
    draw_weights(model)
    return model


@dataclass(frozen=True)
class Case:
    """A model, two arrays of token ids, and what was read of them."""

    reader: Reader
    tokens: np.ndarray
    donor_tokens: np.ndarray
    outputs: list[np.ndarray]  # of the model's own layers, and its own
    own: Reading
    donor: Reading


def make_case(variant, shape):
    """Reads two arrays of token ids, of one shape, with a model."""
    model = small(variant)
    reader = Reader(model)
    rng = np.random.default_rng(7)
    tokens = rng.integers(0, 11, shape)
    donor_tokens = (tokens + rng.integers(1, 11, shape)) % 11  # all others
    outputs = run_layer_by_layer(model, tokens)
    own, donor = reader.read(tokens), reader.read(donor_tokens)
    assert (donor.logits != own.logits).any(axis=-1).all()  # tests can fail
    assert outputs[-1].std() > 0.5
    return Case(reader, tokens, donor_tokens, outputs, own, donor)


def run_layer_by_layer(model, tokens):
    """Returns outputs of the embedding, of each block, and of the model."""

    def run(tokens):
        outputs = [model.get_layer("embedding")(tokens)]
        for layer in model.layers:
            if layer.name.startswith("block_"):
                outputs.append(layer(outputs[-1]))
        return [*outputs, model(tokens)]

    outputs = compile_for_model(model, run)(model, tokens.astype("int32"))
    return [as_array(ops.cast(x, "float32")) for x in outputs]


def as_array(x):
    return ops.convert_to_numpy(x)


def all_heads(reading, positions=None):
    num_blocks, _, num_heads, *_ = reading.head_values.shape
    return [
        HeadPatch(i, h, reading.head_values[i][:, h], positions)
        for i in range(num_blocks)
        for h in range(num_heads)
    ]
