"""What a GPT computes inside: read it, look through it, replace parts of it.

`Reader` runs a model of `GPTConfig` layer by layer, with the layers' own
methods, and keeps what passes between them. One compiled program both reads
and patches, so that a part replaced by itself changes no bit.

Points, where the residual stream can be read and replaced, are named
"embedding", "block_0.attention", "block_0.feed_forward", "block_1.attention"
and so on: the stream after that sub-layer has been added. In a post-norm
network it has also been normalised there, so that the stream is no plain sum
of what the layers wrote.

Axes: P points, L blocks, B sentences, T positions, D hidden_dim, H heads,
K head_dim, V classes (with those beyond the vocabulary), Q questions.
"""

from tiny_gpt.probes.effects import (
    ablate_head,
    attention_to,
    head_patching_effect,
    lens_probability,
    lens_rank,
    patching_effect,
)
from tiny_gpt.probes.patches import HeadPatch, Patch
from tiny_gpt.probes.reader import Reader, Reading

__all__ = [
    "HeadPatch",
    "Patch",
    "Reader",
    "Reading",
    "ablate_head",
    "attention_to",
    "head_patching_effect",
    "lens_probability",
    "lens_rank",
    "patching_effect",
]
