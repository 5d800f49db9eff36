"""The metrics frame: its columns, how logs become one, its summary."""

from tiny_gpt.runtime.moved import names_of

__getattr__ = names_of("metrics", "evaluation.scores", "metrics.columns")
