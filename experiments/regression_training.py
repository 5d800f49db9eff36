"""One run of `regression`: its windows, its training, its questions."""

import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from experiments import networks
from tiny_gpt.analysis.linear_readers import LinearPrior, ridge
from tiny_gpt.callbacks import LossDropLogger, TaskAccuracy, check_order
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.models.regression import RegressionConfig, interleave
from tiny_gpt.runtime.backend import form

POOL, FRESH = "pool", "fresh"  # sets of windows
CLIPNORM = 1.0
Windows = tuple[np.ndarray, np.ndarray]  # (N, n, d) and (N, n)


@dataclass(frozen=True)
class Size:
    """Sizes of the windows and of the training.

    Attributes:
        dim: numbers of a vector x, d.
        num_pairs: pairs of a window, n.
        noise: standard deviation of y, given x.
        num_epochs: of `updates` updates.
        updates: of an epoch, after which the network is asked.
        batch_size: windows of an update.
        learning_rate: of Adam.
        num_asked: windows of each set.
    """

    dim: int = 4
    num_pairs: int = 12
    noise: float = 0.5
    num_epochs: int = 20
    updates: int = 50
    batch_size: int = 64
    learning_rate: float = 3e-3
    num_asked: int = 512


@dataclass(frozen=True)
class Condition:
    """What is trained, and on which windows.

    Attributes:
        network: one of `networks.SAYS`.
        pool_size: weight vectors of the pool, K; 0 for fresh ones alone.
    """

    network: str
    pool_size: int = 0

    @property
    def sets(self) -> tuple[str, ...]:
        """Sets of windows that the network is asked on."""
        return (POOL, FRESH) if self.pool_size else (FRESH,)


@dataclass(frozen=True)
class Drawn:
    """What a seed draws, but the weights and the windows that are read.

    Attributes:
        prior: of the windows that are read.
        sets: windows that are asked, by the name of the set.
    """

    prior: LinearPrior
    sets: Mapping[str, Windows]


def draw_data(
    condition: Condition,
    size: Size,
    pool_rng: np.random.Generator,
    set_rngs: Sequence[np.random.Generator],
) -> Drawn:
    """Draws the pool and the sets.

    One seed has the same fresh set whatever the pool, and a small pool is the
    beginning of a larger one.

    Args:
        condition: what is trained.
        size: sizes of the windows.
        pool_rng: source of the pool.
        set_rngs: sources of the fresh set and of that of the pool.
    """
    pool = pool_rng.normal(size=(condition.pool_size, size.dim))
    fresh = LinearPrior(np.empty((0, size.dim)), 1.0, size.noise)
    prior = LinearPrior(pool, 0.0, size.noise) if len(pool) else fresh
    sources = {POOL: (prior, set_rngs[1]), FRESH: (fresh, set_rngs[0])}
    return Drawn(
        prior,
        {
            name: source.draw(size.num_asked, size.num_pairs, rng)
            for name, (source, rng) in sources.items()
            if name in condition.sets
        },
    )


def network_of(condition: Condition, size: Size) -> RegressionConfig:
    """Returns the network, in the size of the quick preset."""
    network = dataclasses.replace(
        networks.network(condition.network),
        sequence_length=2 * size.num_pairs - 1,
    )
    return RegressionConfig(network, size.dim)


def train(condition: Condition, size: Size, seed: int) -> dict[str, Any]:
    """Trains one network.

    Returns:
        JSON types: "metrics", rows [epoch, step, num_pairs, set, reader,
        squared error per dimension]; "events", falls of the training loss
        (`LossDropLogger`); "wall_s" and "cpu_s", seconds.
    """
    start, cpu = time.perf_counter(), time.process_time()
    of_pool, of_read, of_weights, *of_sets = np.random.default_rng(seed).spawn(
        5
    )
    drawn = draw_data(condition, size, of_pool, of_sets)
    model = network_of(condition, size).build()
    initialise_weights(model, of_weights)
    model.compile(
        keras.optimizers.Adam(size.learning_rate, clipnorm=CLIPNORM),
        loss="mse",
        jit_compile=form().has_xla,
    )
    scores = TaskAccuracy(
        {n: (interleave(x, y), y) for n, (x, y) in drawn.sets.items()},
        scores={
            str(k): functools.partial(error_after, size.dim, k)
            for k in range(size.num_pairs)
        },
    )
    events = LossDropLogger(falls=["loss"])
    check_order([scores, events])
    model.fit(
        batches(drawn.prior, size, of_read),
        epochs=size.num_epochs,
        steps_per_epoch=size.updates,
        callbacks=[scores, events],
        shuffle=False,
        verbose=0,
    )
    rows = rows_of_readers(drawn, size)
    for row in scores.rows:
        epoch = int(row["epoch"])
        place = epoch, epoch * size.updates
        for name in drawn.sets:
            rows += [
                [*place, k, name, "network", row[f"{name}_{k}"]]
                for k in range(size.num_pairs)
            ]
    return {
        "metrics": rows,
        "events": events.rows,
        "wall_s": round(time.perf_counter() - start, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
    }


def batches(
    prior: LinearPrior, size: Size, rng: np.random.Generator
) -> Iterator[Windows]:
    """Yields batches of new windows without an end: rows, and each y."""
    while True:
        x, y = prior.draw(size.batch_size, size.num_pairs, rng)
        yield interleave(x, y), y.astype("float32")


def error_after(
    dim: int, num_pairs: int, found: np.ndarray, y: np.ndarray
) -> float:
    """Returns the mean squared error after some pairs, divided by d."""
    difference = np.asarray(found, float)[:, num_pairs] - y[:, num_pairs]
    return float((difference**2).mean()) / dim


def rows_of_readers(drawn: Drawn, size: Size) -> list[list[Any]]:
    """Returns the rows of the exact predictors, see `train`."""
    rows = []
    for name, (x, y) in drawn.sets.items():
        answers = {
            "ridge": ridge(x, y, size.noise).mean,
            "mixture": drawn.prior.predict(x, y),
            "zero": np.zeros_like(y),
        }
        rows += [
            [0, 0, k, name, reader, error_after(size.dim, k, found, y)]
            for reader, found in answers.items()
            for k in range(size.num_pairs)
        ]
    return rows
