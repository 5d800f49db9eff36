"""Figures drawn with Matplotlib."""

from tiny_gpt.runtime.checks import check_installed

check_installed("matplotlib", "pandas")
