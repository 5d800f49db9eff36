"""A repeated run: trained again, to read its weights after each epoch."""

import dataclasses

import keras
import numpy as np

from tiny_gpt.experiment import Experiment
from tiny_gpt.runtime.files import hash_arrays
from tiny_gpt.train import run_all
from tiny_gpt.training.finished import NotRepeatedError, Trained
from tiny_gpt.training.run_setup import Job

Weights = list[np.ndarray]


class _Weights(keras.callbacks.Callback):
    """Keeps the weights of each epoch, in memory."""

    def __init__(self):
        super().__init__()
        self.by_epoch: list[Weights] = []

    def on_epoch_end(self, epoch, logs=None):
        # Copies: the next epoch is written over these.
        weights = [
            keras.ops.convert_to_numpy(weight.value).copy()
            for weight in self.model.weights
        ]
        self.by_epoch.append(weights)


def weights_by_epoch(trained: Trained) -> list[Weights]:
    """Trains a finished run once more, and keeps no file of it.

    The questions during training have a random generator of their own and
    change no weight. As few as possible are therefore asked.

    Args:
        trained: the finished run.

    Returns:
        The weights after each epoch.

    Raises:
        NotRepeatedError: if the last weights are not, to the bit, those of
            `trained`.
    """
    experiment, seed = _quietly(trained.experiment), trained.seed
    kept = _Weights()
    for _ in run_all([Job(experiment, seed)], 1, 1, callbacks=lambda _: [kept]):
        pass
    expected = hash_arrays(trained.model.get_weights())
    found = hash_arrays(kept.by_epoch[-1])
    if found != expected:
        raise NotRepeatedError(
            "A run that is made again must end with the same weights, of "
            f"SHA-256 {expected}; on another machine, or on a GPU, it may "
            f"not. Received: {found}, of {experiment.name}/"
            f"{experiment.condition}, seed {seed}"
        )
    return kept.by_epoch


def _quietly(experiment: Experiment) -> Experiment:
    """Returns the same run with the fewest possible questions."""
    evaluation = dataclasses.replace(
        experiment.evaluation,
        num_sentences=1,
        num_fresh_sentences=0,
        every=experiment.train.num_epochs,
        num_loss_windows=0,
        exact_demonstrations=(),
        is_asked_after_others=False,
        has_gradients=False,
    )
    return dataclasses.replace(experiment, evaluation=evaluation)
