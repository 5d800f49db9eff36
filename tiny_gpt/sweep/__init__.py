"""Sweeps: a grid of experiments, run anywhere, kept in one store.

    axes      fields of an experiment by name
    grid      axes, seeds and what counts as success -> cells
    cell      content, hash and file of a cell
    store     runs by their hash, for many writers
    tasks     a seed batch of runs under leases, in this process
    processes      in processes of this machine
    ray       on Ray
    run       runs what is missing
    collect   frames, thresholds, exponents

This package imports no backend: Ray's workers import it before they know
which backend they use.
"""

from tiny_gpt.runtime.checks import check_installed

check_installed("pandas", "scipy")
