"""A measurement that workers can import: the norm of trained weights."""

import numpy as np

NAME = "norm"
NEEDS = ("x/y",)


def measure(trained, seed):
    weights = trained["x/y"].model.get_weights()
    norm = float(
        np.sqrt(sum((w.astype("float64") ** 2).sum() for w in weights))
    )
    return [("A->C", "all", "all", "norm", norm)]
