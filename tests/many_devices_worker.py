"""Trains on virtual devices of a CPU, in a process of its own.

Usage: many_devices_worker.py WHAT NUM_DEVICES FILE

WHAT is a key of `ACTIONS`. Losses of all epochs and logits after the last go
into FILE. 20 updates of 6 windows, and with 27 windows an epoch's last batch
has 3; every gradient is clipped.
"""

import dataclasses
import sys

import keras
import numpy as np

from tests.tiny_runs import TINY
from tiny_gpt.devices import make_deterministic, set_precision
from tiny_gpt.evaluate import EvaluationConfig
from tiny_gpt.mixture import Component
from tiny_gpt.placement import Placement, choose_devices
from tiny_gpt.train import run

# 92 pairs of 6 tokens in rows of 21: 27 windows, 5 updates an epoch.
EXPERIMENT = dataclasses.replace(
    TINY,
    mixture=dataclasses.replace(
        TINY.mixture, components=(Component("A->B", 60), Component("A->C", 32))
    ),
    train=dataclasses.replace(TINY.train, clipnorm=0.02),
    evaluation=EvaluationConfig(
        "cached",
        num_sentences=8,
        num_demonstrations=1,
        num_fresh_sentences=0,
        num_loss_windows=0,
        exact_demonstrations=(),
    ),
    pivots=(),
)
PROBE = np.random.default_rng(0).integers(1, 15, (8, 20)).astype("int32")


def divide_the_cpu(num_devices: int) -> None:
    """Makes several devices of the CPU, before the backend uses it."""
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", num_devices)
        return
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    part = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [part] * num_devices)


def results(runs) -> dict[str, np.ndarray]:
    """Returns losses of all epochs, shape (R, E), and logits of runs."""
    losses = [r.metrics.query("metric == 'loss'")["value"] for r in runs]
    return {
        "losses": np.array(losses),
        "logits": np.array([r.model.predict_on_batch(PROBE) for r in runs]),
    }


def train_seeds(num_seeds: int, placement: Placement) -> dict[str, np.ndarray]:
    """Trains seeds by the compiled program."""
    from tiny_gpt.multi_seed import run_seeds

    used, told = set(), []

    def note(*_: object) -> None:
        import jax

        used.add(str(jax.config.jax_default_device))

    runs = run_seeds(
        EXPERIMENT,
        range(num_seeds),
        on_epoch=note,
        on_start=told.append,
        placement=placement,
    )
    (packs,) = told
    facts = packs.num_devices, packs.is_divided, len(used)
    return {**results(runs), "facts": np.array(facts)}


def fit(
    placement: Placement, clipping: str = "global"
) -> dict[str, np.ndarray]:
    """Trains one seed by `fit`."""
    train = dataclasses.replace(EXPERIMENT.train, clipping=clipping)
    experiment = dataclasses.replace(EXPERIMENT, train=train)
    return results([run(experiment, 0, placement=placement)])


ACTIONS = {
    "seeds": lambda placement: train_seeds(8, placement),
    "one_run": lambda placement: train_seeds(1, placement),
    "fit": fit,
    "fit_per_replica": lambda placement: fit(placement, "per_replica"),
}


def main(path: str, actions: list[str]) -> None:
    """Divides the CPU, trains, and saves what came out."""
    cases = [action.rsplit(":", 1) for action in actions]
    divide_the_cpu(max(int(number) for _, number in cases))
    set_precision("float32")
    make_deterministic()
    found = {}
    for action, number in cases:
        placement = choose_devices("cpu", int(number))
        for name, value in ACTIONS[action](placement).items():
            found[f"{action}:{number}:{name}"] = value
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
