"""One backend's half of tests/models/test_parity.py, in a process of its own.

Usage: parity_worker.py train FOLDER | load FOLDER FILE
"""

import sys
from pathlib import Path

import keras
import numpy as np

from tiny_gpt.experiment import TrainConfig
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.training.update import compile_gpt

NUM_STEPS = 20
PRESETS = {
    "published": (GPTConfig(num_heads=4, head_dim=8), TrainConfig()),
    "usual": (
        GPTConfig(
            num_heads=4,
            head_dim=8,
            normalization="pre",
            logit_scale="head_dim",
            output_activation=None,
        ),
        TrainConfig(learning_rate=3e-3),
    ),
}


def train(folder: Path) -> None:
    """Trains both networks and leaves losses, logits and a saved model."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 30, (NUM_STEPS, 16, 46)).astype("int32")
    arrays = {}
    for name, (config, training) in PRESETS.items():
        model = config.build()
        initialise_weights(model, np.random.default_rng(1))
        compile_gpt(model, training)
        losses = []
        for batch in tokens:
            # Keras returns a running mean; each loss is wanted by itself.
            model.reset_metrics()
            losses.append(model.train_on_batch(batch[:, :-1], batch[:, 1:]))
        arrays[f"{name}_losses"] = np.array(losses, "float64")
        arrays[f"{name}_logits"] = model.predict_on_batch(tokens[0, :, :-1])
        model.save(folder / f"{name}.keras")
    np.savez(folder / "arrays.npz", tokens=tokens[0, :, :-1], **arrays)


def load(folder: Path, path: Path) -> None:
    """Loads a model that the other backend saved, and leaves its logits."""
    model = keras.saving.load_model(path)
    tokens = np.load(path.parent / "arrays.npz")["tokens"]
    np.save(folder / f"{path.stem}.npy", model.predict_on_batch(tokens))


if __name__ == "__main__":
    action, *paths = sys.argv[1:]
    {"train": train, "load": load}[action](*map(Path, paths))
