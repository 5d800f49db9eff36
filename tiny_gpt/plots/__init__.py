"""Figures drawn with Matplotlib."""

from tiny_gpt.runtime.checks import check_installed
from tiny_gpt.runtime.moved import names_of

check_installed("matplotlib", "pandas")
__getattr__ = names_of("plots", "plots.curves")
