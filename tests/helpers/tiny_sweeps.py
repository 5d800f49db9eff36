"""Sweeps that run in seconds."""

import dataclasses

from benchmarks.tiny_runs import TINY, with_task
from tiny_gpt.sweep.grid import Success, Sweep

SUCCESS = Success("A->C", threshold=0.5)
SCRAMBLED = with_task(
    TINY, mixture=dataclasses.replace(TINY.task.mixture, scrambled=("A->C",))
)


def tiny_sweep(axes=None, seeds=(1, 2), **options):
    """Returns a sweep of a tiny base; two cells by default."""
    defaults = {
        "name": "small",
        "bases": {"real": TINY},
        "success": SUCCESS,
        "fixed": {"evaluation.num_loss_windows": 0, "epochs": 2},
    }
    return Sweep(
        axes=axes or {"sparse_pairs": [4, 10]},
        seeds=seeds,
        **{**defaults, **options},
    )
