"""Executors that end with their works."""

from tiny_gpt.sweep.processes import Pool
from tiny_gpt.sweep.ray import Cluster


def in_pool(store, works, *args):
    """Does works in processes; arguments are those of `Pool`."""
    with Pool(*args) as pool:
        yield from pool(store, works)


def on_ray(store, works, *args, **options):
    """Does works on Ray; arguments are those of `Cluster`."""
    with Cluster(*args, **options) as cluster:
        yield from cluster(store, works)
