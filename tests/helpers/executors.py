"""Executors that end with their tasks."""

from tiny_gpt.sweep.processes import Pool
from tiny_gpt.sweep.ray import Cluster


def in_pool(store, tasks, *args):
    """Does tasks in processes; arguments are those of `Pool`."""
    with Pool(*args) as pool:
        yield from pool(store, tasks)


def on_ray(store, tasks, *args, **options):
    """Does tasks on Ray; arguments are those of `Cluster`."""
    with Cluster(*args, **options) as cluster:
        yield from cluster(store, tasks)
