"""Packing: trained networks become files that `load` reads."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tiny_gpt.experiment import Experiment, config_of
from tiny_gpt.pretrained.config import experiment_of
from tiny_gpt.pretrained.networks import FORMAT, WEIGHTS, key_of, words_of
from tiny_gpt.runtime.files import hash_arrays, write_json, write_whole
from tiny_gpt.training.run_setup import draw_phases

# Shares of the way from the least accuracy to the last.
RISE = (0.1, 0.5, 0.9)


def choose_epochs(accuracies: Mapping[int, float]) -> list[int]:
    """Chooses the epochs at which a mapping appears, and the last.

    For each share of `RISE`, the first epoch whose accuracy has come so far
    from the least to the last one; of the first share, the epoch before it.

    Args:
        accuracies: fraction of words right, by epoch.

    Returns:
        Epochs in order, at most four.
    """
    last = max(accuracies)
    least, end = min(accuracies.values()), accuracies[last]
    reached = [
        next(
            epoch
            for epoch in sorted(accuracies)
            if epoch == last
            or accuracies[epoch] >= least + share * (end - least)
        )
        for share in RISE
    ]
    before = max(reached[0] - 1, min(accuracies))
    return sorted({before, *reached[1:], last})


def pack(
    experiment: Experiment,
    seed: int,
    weights: Mapping[int, Sequence[np.ndarray]],
    title: str,
    says: str,
    epochs: Mapping[int, Mapping[str, Any]] | None = None,
    made: Mapping[str, Any] | None = None,
    folder: Path = WEIGHTS,
) -> str:
    """Writes a network's weights, and what is known of it.

    The archive holds float32 arrays as they are, compressed without loss. The
    same weights give the same bytes.

    Args:
        experiment: what was trained; a GPT that translates.
        seed: its seed.
        weights: by epoch, arrays in the order of `Model.weights`.
        title: the network in a few words.
        says: the network in a line.
        epochs: further entries of each epoch, of JSON types.
        made: versions, command and so on, of JSON types.
        folder: where the files go.

    Returns:
        The name under which `load` finds it.

    Raises:
        ValueError: if the experiment cannot be built again from JSON, the
            weights are not the model's, or there are none.
    """
    config = config_of(experiment)
    if experiment_of(config) != experiment:
        raise ValueError(
            "An experiment must be what its configuration says. "
            f"Received: {config}"
        )
    variables = experiment.model.build().weights
    shapes = [tuple(variable.shape) for variable in variables]
    arrays, known = {}, {}
    for epoch in sorted(weights):
        values = [np.asarray(value) for value in weights[epoch]]
        found = [(value.shape, value.dtype.name) for value in values]
        if found != [(shape, "float32") for shape in shapes]:
            raise ValueError(
                f"Weights must be float32, of shapes {shapes}. "
                f"Received: {found} at epoch {epoch}"
            )
        for variable, value in zip(variables, values, strict=True):
            arrays[key_of(epoch, variable.path)] = value
        more = (epochs or {}).get(epoch, {})
        known[str(epoch)] = {"weights_hash": hash_arrays(values), **more}
    if not known:
        raise ValueError("There must be an epoch. Received: no weights")
    archive = io.BytesIO()
    np.savez_compressed(archive, allow_pickle=False, **arrays)
    data = archive.getvalue()
    name = f"{experiment.name}/{experiment.condition}"
    path = folder / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
    info = {
        "format": FORMAT,
        "name": name,
        "title": title,
        "says": says,
        "seed": seed,
        "sha256": hashlib.sha256(data).hexdigest(),
        "words": words_of(draw_phases(experiment, seed)[-1].stream),
        "epochs": known,
        "config": config,
        "made": dict(made or {}),
    }
    write_json(path.with_suffix(".json"), info)
    return name
