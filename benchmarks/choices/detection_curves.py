"""Simulated curves with known drops and jumps, and the published curves."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

CURVES_BY_LENGTH = {15: 160, 100: 40, 400: 20}  # of each kind, twice to judge
PUBLISHED = Path("experiments/published/triangle.csv")


@dataclass(frozen=True)
class Drop:
    """A fall or jump that was put into a curve, in epochs from 1."""

    start: float
    end: float
    size: float
    ratio: float  # size over the sd of the noise

    @property
    def middle(self) -> float:
        """Epoch at which half of it is over."""
        return (self.start + self.end) / 2


@dataclass(frozen=True)
class Curve:
    """A simulated curve, with its drops."""

    kind: str
    direction: str
    values: np.ndarray
    drops: tuple[Drop, ...]


def sigmoid(epochs: np.ndarray, middle: float, width: float) -> np.ndarray:
    """Returns a rise from 0 to 1; 97.6 % of it within `width`."""
    return 0.5 + 0.5 * np.tanh((epochs - middle) * math.log(81) / width)


def draw_loss(rng: np.random.Generator, length: int, num_drops: int) -> Curve:
    """Draws a training loss with drops."""
    epochs = np.arange(1.0, length + 1)
    base = rng.choice(["exponential", "power law", "flat"])
    height = rng.uniform(1, 3)
    values = np.full(length, 2.0)
    if base == "exponential":
        values += height * np.exp(
            (1 - epochs) / length / rng.uniform(0.05, 0.5)
        )
    if base == "power law":
        values += height * epochs ** -rng.uniform(0.3, 1.0)
    sd, memory = 10 ** rng.uniform(-3, -1), rng.choice([0.0, 0.5])
    drops = []
    room = (length - 9) / max(num_drops, 1)
    for i in range(num_drops):
        size = 0.05 * 20 ** rng.uniform()
        width = rng.uniform(1, min(10, room - 1))
        low = 6 + i * room + width / 2
        middle = rng.uniform(low, 6 + (i + 1) * room - width / 2)
        values -= size * sigmoid(epochs, middle, width)
        start, end = middle - width / 2, middle + width / 2
        drops.append(Drop(start, end, size, size / sd))
    noise = rng.normal(size=length)
    for i in range(1, length):
        noise[i] *= math.sqrt(1 - memory**2)
        noise[i] += memory * noise[i - 1]
    kind = f"loss, {base}" + (", autoregressive" if memory else "")
    return Curve(kind, "fall", values + sd * noise, tuple(drops))


def draw_accuracy(
    rng: np.random.Generator, length: int, num_drops: int
) -> Curve:
    """Draws an accuracy that is flat, and then jumps."""
    epochs = np.arange(1.0, length + 1)
    num_sentences = int(rng.choice([5, 64, 256]))
    before = float(
        rng.choice([0.0, 0.02, 0.125, 0.5, 0.9][: 5 - 2 * num_drops])
    )
    chance, drops = np.full(length, before), []
    if num_drops:
        after = rng.uniform(before + 0.1, 1.0)
        width = rng.uniform(1, min(10, length - 10))
        middle = rng.uniform(6 + width / 2, length - 3 - width / 2)
        chance += (after - before) * sigmoid(epochs, middle, width)
        variance = max(p * (1 - p) for p in (before, after))
        sd = math.sqrt(variance / num_sentences)
        start, end, size = (
            middle - width / 2,
            middle + width / 2,
            after - before,
        )
        drops.append(Drop(start, end, size, size / sd))
    values = rng.binomial(num_sentences, chance) / num_sentences
    kind = f"accuracy, {num_sentences} sentences"
    return Curve(kind, "rise", values, tuple(drops))


def draw_curves(seed: int, times: int) -> list[Curve]:
    """Draws curves with and without drops, half losses, half accuracies."""
    rng = np.random.default_rng(seed)
    curves = []
    for length, num_curves in CURVES_BY_LENGTH.items():
        for i in range(times * num_curves):
            most = 1 if length < 50 else 1 + i % 3
            for num_drops in (0, most):
                curves.append(draw_loss(rng, length, num_drops))
                curves.append(draw_accuracy(rng, length, min(num_drops, 1)))
    return curves


def read_published() -> dict[tuple[str, str], np.ndarray]:
    """Returns loss and A -> C accuracy of the published runs, in order."""
    frame = pd.read_csv(PUBLISHED).sort_values("epoch")
    curves = {}
    for condition in frame["condition"].unique():
        for task, metric in (("all", "loss"), ("A->C", "accuracy")):
            is_it = (frame["condition"] == condition) & (frame["task"] == task)
            rows = frame[is_it & (frame["metric"] == metric)]
            curves[(condition, metric)] = rows["value"].to_numpy()
    return curves
