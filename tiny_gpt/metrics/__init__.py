"""The metrics frame: its columns, how it is made from logs, its summary."""

from tiny_gpt.runtime.checks import check_installed
from tiny_gpt.runtime.moved import names_of

check_installed("pandas")
__getattr__ = names_of("metrics", "evaluation.scores", "metrics.columns")
