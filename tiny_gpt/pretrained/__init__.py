"""Pretrained weights: small trained networks that come with the package.

`tiny_gpt.load("triangle/sparse_a_to_c")` returns one, at its last epoch or at
an earlier one. `weights/model_card.md` says what they are, and what not.
"""

from tiny_gpt.pretrained.networks import (
    WEIGHTS,
    Pretrained,
    describe,
    load,
    names,
)
from tiny_gpt.pretrained.packing import pack

__all__ = ["WEIGHTS", "Pretrained", "describe", "load", "names", "pack"]
