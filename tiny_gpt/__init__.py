"""A Keras 3 laboratory for how a tiny GPT learns a task from few examples."""

__version__ = "0.1.0"
