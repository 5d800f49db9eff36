"""Finished runs: their frames and trained models."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.files import DamagedFileError, hash_arrays
from tiny_gpt.training.run_files import Record
from tiny_gpt.training.run_setup import frames_of


class NotRepeatedError(ValueError):
    """A repeated run did not end with the same weights."""


def load_finished(
    experiment: Experiment, seed: int, record: Path | None
) -> tuple[pd.DataFrame, pd.DataFrame, float] | None:
    """Reads the record of a finished run.

    Returns:
        Its metrics, events and wall seconds; None if it is not finished.

    Raises:
        ValueError: if the record is of another experiment.
    """
    progress = Record(experiment, seed, record)
    if not progress.is_finished:
        return None
    return frames_of(experiment, seed, progress)


def read_model(
    experiment: Experiment, weights: Path, weights_hash: str | None
) -> keras.Model:
    """Builds a model with the weights of a file.

    Args:
        experiment: what was run.
        weights: the file, "*.weights.h5".
        weights_hash: SHA-256 of the weights at the end of the run.

    Raises:
        DamagedFileError: if the weights are not those.
    """
    model = experiment.model.build()
    try:
        model.load_weights(weights)
        found = hash_arrays(model.get_weights())
    except (OSError, ValueError, KeyError) as error:
        raise DamagedFileError(
            f"The weights of a run must be whole. Received: {weights} ({error})"
        ) from error
    if found != weights_hash:
        raise DamagedFileError(
            "The weights of a run must be those it ended with, of SHA-256 "
            f"{weights_hash}. Received: {weights}, of {found}"
        )
    return model


@dataclass(frozen=True)
class Trained:
    """A finished run of one seed.

    Attributes:
        experiment: what was run.
        seed: its seed.
        model: the trained model.
        data: the text that it has read, `Data`.
    """

    experiment: Experiment
    seed: int
    model: keras.Model
    data: Any
