"""Trained weights in a store: read where they are needed, and forgotten."""

import re
from collections.abc import Iterable

import keras

from tiny_gpt.experiment import Experiment
from tiny_gpt.sweep.locks import names_in
from tiny_gpt.sweep.store import Store
from tiny_gpt.training.finished import Trained, read_model
from tiny_gpt.training.run_setup import draw_phases

WEIGHTS_FILE = re.compile(r"seed_(\d+)\.weights\.h5")


def load_model(
    store: Store, experiment: Experiment, seed: int
) -> keras.Model | None:
    """Builds the trained model of a run.

    Args:
        store: where the run is.
        experiment: what was run.
        seed: its seed.

    Returns:
        The model; None if the run is not finished, or its weights were not
        kept.

    Raises:
        DamagedFileError: if the weights are not those the run ended with.
    """
    key = store.key(experiment)
    weights, run = store.weights(key, seed), store.load(key, seed)
    if run is None or not weights.exists():
        return None
    return read_model(experiment, weights, run.weights_hash)


def load_trained(store: Store, experiment: Experiment, seed: int) -> Trained:
    """Loads a trained run: its model and the text that it has read.

    Raises:
        ValueError: if the run is not finished, or its weights were not kept.
        DamagedFileError: as `load_model`.
    """
    model = load_model(store, experiment, seed)
    if model is None:
        raise ValueError(
            "The run must be finished, with its weights. Received: "
            f"{experiment.name}/{experiment.condition}, seed {seed}, in "
            f"{store.folder}"
        )
    data = draw_phases(experiment, seed)[-1]
    return Trained(experiment, seed, model, data)


def forget_weights(store: Store, keys: Iterable[str]) -> tuple[int, int]:
    """Removes the weights of all runs of some cells; the runs stay.

    Those of a run on which a process works are left.

    Returns:
        The number of files that were removed, and their bytes.
    """
    num_files = num_bytes = 0
    for key in keys:
        for name in names_in(store.folder / "cells" / key):
            match = WEIGHTS_FILE.fullmatch(name)
            lease = store.lease(key, int(match[1])) if match else None
            if lease is None:
                continue
            try:
                weights = store.folder / "cells" / key / name
                num_bytes += weights.stat().st_size
                weights.unlink()
                num_files += 1
            finally:
                lease.release()
    return num_files, num_bytes
