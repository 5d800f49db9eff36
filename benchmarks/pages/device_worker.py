"""A worker process that trains on virtual devices of a CPU.

Usage: device_worker.py FILE ACTION:NUM_DEVICES ...

FILE receives losses and logits of each case. A run has 20 updates of 6
windows, the last of an epoch of 3. Its gradients are clipped hard.
"""

import contextlib
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.tiny_runs import TINY
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.runtime.devices import Placement, choose_devices
from tiny_gpt.runtime.environment import make_deterministic, set_precision
from tiny_gpt.tasks.translation.mixture import Component
from tiny_gpt.train import run

# 92 pairs of 6 tokens in rows of 21: 27 windows, 5 updates an epoch.
EXPERIMENT = dataclasses.replace(
    TINY,
    task=dataclasses.replace(
        TINY.task,
        mixture=dataclasses.replace(
            TINY.task.mixture,
            components=(Component("A->B", 60), Component("A->C", 32)),
        ),
        pivots=(),
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
    """Returns losses and norms of all epochs, (R, E), and logits of runs."""
    losses, norms = (
        [r.metrics.query(f"metric == '{name}'")["value"] for r in runs]
        for name in ("loss", "weight_norm")
    )
    return {
        "losses": np.array(losses),
        "norms": np.array(norms),
        "logits": np.array([r.model.predict_on_batch(PROBE) for r in runs]),
    }


def train_seeds(num_seeds: int, placement: Placement) -> dict[str, np.ndarray]:
    """Trains seeds by the compiled program, and records where it runs."""
    from tiny_gpt.training import compiled_runs, epoch_program, many_seeds

    used: set[Any] = set()
    told: list[Any] = []

    class Program(epoch_program.EpochProgram):
        def __call__(self, *args):
            state, loss = super().__call__(*args)
            used.update(state[0].devices())
            return state, loss

    compiled_runs.EpochProgram = Program  # type: ignore[misc]
    compiled_runs.forget_programs()
    runs = many_seeds.run_seeds(
        EXPERIMENT, range(num_seeds), on_start=told.append, placement=placement
    )
    (seed_batches,) = told
    facts = seed_batches.num_devices, seed_batches.is_divided, len(used)
    return {**results(runs), "facts": np.array(facts)}


def fit(placement: Placement, **changes: Any) -> dict[str, np.ndarray]:
    """Trains one seed by `fit`, with some other `TrainConfig`."""
    train = dataclasses.replace(EXPERIMENT.train, **changes)
    experiment = dataclasses.replace(EXPERIMENT, train=train)
    return results([run(experiment, 0, placement=placement)])


def fit_continued(placement: Placement) -> dict[str, np.ndarray]:
    """Trains one seed by `fit`, stopped after 2 epochs and after the last."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    def stop_after_2(epoch: int, logs: object) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "run"
        for hooks in ({"on_epoch_begin": stop_after_2}, {"on_train_end": stop}):
            callback = keras.callbacks.LambdaCallback(**hooks)
            with contextlib.suppress(KeyboardInterrupt):
                run(EXPERIMENT, 0, record, [callback], 0.0, placement=placement)
        return results([run(EXPERIMENT, 0, record, placement=placement)])


ACTIONS = {
    "eight_seeds": lambda placement: train_seeds(8, placement),
    "one_seed": lambda placement: train_seeds(1, placement),
    "fit": fit,
    "fit_continued": fit_continued,
    "fit_per_replica": lambda placement: fit(placement, clipping="per_replica"),
    "fit_sgd": lambda placement: fit(
        placement, optimizer="sgd", learning_rate=3.0
    ),
    "fit_unclipped": lambda placement: fit(placement, clipnorm=None),
}


def main(path: str, actions: list[str]) -> None:
    """Divides the CPU, trains, and saves the results."""
    cases = [action.rsplit(":", 1) for action in actions]
    divide_the_cpu(max(int(number) for _, number in cases))
    set_precision("float32")
    make_deterministic()
    found: dict[str, Any] = {}
    for action, number in cases:
        placement = choose_devices("cpu", int(number))
        for name, value in ACTIONS[action](placement).items():
            found[f"{action}:{number}:{name}"] = value
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
