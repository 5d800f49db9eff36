"""What one training loss hides: three evaluation sets of handwritten digits.

Question  A network reads ten 8s and about a hundred of each other digit. When
          does it learn the 8? And does it know a digit that has moved?
Run       python examples/digits.py results/digits
Needs     pip install tiny_gpt's extra "examples" and any backend of Keras,
          chosen by KERAS_BACKEND; the digits come with scikit-learn.

It writes digits.png, events.jsonl, log.csv, run.jsonl, manifest.json and a
folder of weights. docs/callbacks.md explains each callback.
"""

import argparse
import sys
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from tiny_gpt.callbacks import (
    CheckpointAtEvents,
    LossDropLogger,
    RunRecorder,
    TaskAccuracy,
    WeightNorms,
    check_order,
)

RARE = 8  # which digit is rare
NUM_RARE = 10  # how often training shows it
NUM_TRAIN = 1000  # before the other 8s are taken out; 797 more are held out

# Light to dark, and each with a dash of its own: they differ in grey, too.
STYLES = {
    "common": ("#E69F00", "-"),
    "rare": ("#0072B2", "-"),
    "shifted": ("#CC79A7", "--"),
}
CAPTIONS = {
    "common": "held-out digits, all but 8",
    "rare": "held-out 8s",
    "shifted": "held-out digits, moved by a pixel",
}


def load(seed):
    """Returns the training set and the held-out digits."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    x = (digits.images[order] / 16).astype("float32")
    y = digits.target[order]
    rare = np.flatnonzero(y[:NUM_TRAIN] == RARE)
    train = np.delete(np.arange(NUM_TRAIN), rare[NUM_RARE:])
    return (x[train], y[train]), (x[NUM_TRAIN:], y[NUM_TRAIN:])


def build(seed):
    """Returns a network of one hidden layer, compiled with Keras's defaults."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def train(folder, num_epochs, seed):
    """Trains once. Returns the curves, the events and the epochs saved."""
    (x, y), (x_held_out, y_held_out) = load(seed)
    is_rare = y_held_out == RARE
    # One pixel to the right; what comes in at the left is paper.
    shifted = np.pad(x_held_out, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]

    # The loss and the accuracy of each set, as `model.evaluate` gives them. An
    # accuracy can jump where the probabilities behind it grow smoothly, so the
    # loss beside it is watched, too.
    scores = TaskAccuracy(
        {
            "common": (x_held_out[~is_rare], y_held_out[~is_rare]),
            "rare": (x_held_out[is_rare], y_held_out[is_rare]),
            "shifted": (shifted, y_held_out),
        }
    )
    events = LossDropLogger(
        falls=["loss", "common_loss", "rare_loss"],
        rises=["common_accuracy", "rare_accuracy", "shifted_accuracy"],
        smooth={"common_accuracy": "common_loss", "rare_accuracy": "rare_loss"},
        path=folder / "events.jsonl",
    )
    saved = CheckpointAtEvents(folder / "weights", events)
    command = f"python examples/digits.py --epochs {num_epochs} --seed {seed}"
    callbacks = [
        # What measures comes first, then what judges, saves and writes.
        scores,
        WeightNorms(),
        events,
        saved,
        keras.callbacks.CSVLogger(folder / "log.csv"),
        RunRecorder(
            folder / "run.jsonl", folder / "manifest.json", {"command": command}
        ),
    ]
    check_order(callbacks)
    history = build(seed).fit(
        x, y, epochs=num_epochs, callbacks=callbacks, verbose=0
    )
    saved_epochs = [epoch for epoch, _ in saved.saved]
    return history.history, events.rows, saved_epochs


def draw(curves, rows, saved_epochs):
    """Draws accuracies and losses; thick lines are the spans of events."""
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    top, bottom = figure.subplots(2, sharex=True)
    epochs = np.arange(1, len(curves["loss"]) + 1)
    for name, (colour, dash) in STYLES.items():
        label = CAPTIONS[name]
        curve = curves[f"{name}_accuracy"]
        top.plot(epochs, curve, dash, color=colour, label=label)
    top.axhline(0.1, color="grey", linestyle=":", label="chance")
    bottom.plot(epochs, curves["loss"], "k:", label="training loss")
    for name in ("common", "rare"):
        label = f"loss of {CAPTIONS[name]}"
        curve = curves[f"{name}_loss"]
        bottom.plot(epochs, curve, color=STYLES[name][0], label=label)
    for row in rows:
        ax = top if row["metric"].endswith("accuracy") else bottom
        span = np.arange(row["start"], row["epoch"] + 1)
        values = np.take(curves[row["metric"]], span - 1)
        ax.plot(span, values, "k", linewidth=6, alpha=0.35)
        # Right of the end, on the side where the curve does not go.
        is_rise = row["direction"] == "rise"
        ax.annotate(
            f"{span[0]}–{span[-1]}" + "\nsuspect" * bool(row["is_suspect"]),
            (span[-1], values[-1]),
            xytext=(8, -14 if is_rise else 8),
            textcoords="offset points",
            va="top" if is_rise else "bottom",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    bottom.plot(
        saved_epochs, np.full(len(saved_epochs), -0.25), "k|", label="saved"
    )
    top.plot([], [], "k", linewidth=6, alpha=0.35, label="event")
    top.set(ylabel="Accuracy (fraction of digits)", ylim=(-0.12, 1.03))
    bottom.set(xlabel="Epoch", ylabel="Loss (nats per digit)")
    for ax in (top, bottom):
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def main():
    """Trains, draws, and lists the events."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default="results/digits")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(options.folder)
    folder.mkdir(parents=True)  # refuses one that is there: nothing is replaced
    curves, rows, saved_epochs = train(folder, options.epochs, options.seed)
    draw(curves, rows, saved_epochs).savefig(folder / "digits.png", dpi=150)
    for row in rows:
        sys.stdout.write(
            f"{row['metric']} {row['direction']}s from {row['before']:.2f} to "
            f"{row['after']:.2f} in epochs {row['start']} to {row['epoch']}"
            f"{', suspect' if row['is_suspect'] else ''}\n"
        )


if __name__ == "__main__":
    main()
