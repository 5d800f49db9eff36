"""A trained model with all that its run had read."""

from dataclasses import dataclass
from pathlib import Path

import keras

from tiny_gpt.experiment import Experiment
from tiny_gpt.tasks.translation.stream import Stream
from tiny_gpt.train import load_model
from tiny_gpt.training.run_setup import draw_phases


@dataclass(frozen=True)
class Trained:
    """A finished run of one seed.

    Attributes:
        experiment: what was run.
        seed: its seed.
        model: the trained model.
        stream: what it has read: languages, vocabulary, windows.
    """

    experiment: Experiment
    seed: int
    model: keras.Model
    stream: Stream

    @classmethod
    def load(cls, experiment: Experiment, seed: int, record: Path) -> "Trained":
        """Loads a finished run.

        Args:
            experiment: what was run.
            seed: its seed.
            record: path of its files, without suffix.

        Raises:
            ValueError: as `train.load_model`.
        """
        model = load_model(experiment, seed, record)
        stream = draw_phases(experiment, seed)[-1]
        return cls(experiment, seed, model, stream)
