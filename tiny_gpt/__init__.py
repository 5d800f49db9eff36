"""A Keras 3 laboratory for how a tiny GPT learns a task from few examples."""

from tiny_gpt.runtime.moved import find_old_paths

__version__ = "0.1.0"

find_old_paths()
