"""Probes of a GPT: read its inner states, look through them, replace parts.

`Reader` runs a model of `GPTConfig` layer by layer, with the layers' own
methods, and keeps what passes between them. One compiled program both reads
and patches, so that a part replaced by itself changes no bit.

The residual stream can be read and replaced at points. They are named
"embedding", "block_0.attention", "block_0.feed_forward", "block_1.attention"
and so on; each is the stream after that sub-layer has been added. In a
post-norm network the stream has also been normalised there, so it is not a
plain sum of the layers' outputs.

In a model of `LoopedGPTConfig` a block is read each time it is applied, and
its name is followed by the number of the loop: "block_0.loop_1.attention".
Numbers and the axis of blocks count the applications.

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
