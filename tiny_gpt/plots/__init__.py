"""Figures of Matplotlib."""

from tiny_gpt.runtime.moved import names_of

__getattr__ = names_of("plots", "plots.curves")
