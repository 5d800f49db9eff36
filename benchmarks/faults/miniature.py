"""The command's side of a trial: the command line, on tiny runs."""

import dataclasses
import faulthandler
import functools
import os
import resource
import runpy
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults.fault import Fault
from benchmarks.faults.watch import Watch

PATHS = {
    "compiled, many seeds": "jax",
    "fit on JAX": "jax",
    "fit on TensorFlow": "tensorflow",
}
CONDITIONS = ("a_to_c_alone", "sparse_a_to_c")
SEEDS = (3, 4)
NUM_EPOCHS = 4
NUM_RUNS = len(CONDITIONS) * len(SEEDS)
OUT, STORE = "out", "store"  # in the folder of a trial


def shrink(
    build_experiment: Callable[[str, str], Any], preset: str, condition: str
) -> Any:
    """Returns a condition that trains in almost no time."""
    from tiny_gpt.tasks.translation.mixture import Component, Mixture

    experiment = build_experiment(preset, condition)
    components = tuple(
        Component(c.mapping, n if c.num_pairs else 0)
        for c, n in zip(
            experiment.task.mixture.components, (30, 20, 40), strict=True
        )
    )
    mixture = Mixture(components, alphabet_size=4, sentence_length=2)
    task = dataclasses.replace(experiment.task, mixture=mixture)
    return dataclasses.replace(
        experiment,
        task=task,
        model=dataclasses.replace(
            experiment.model,
            vocabulary_size=task.vocabulary_size,
            num_layers=1,
            num_heads=2,
            head_dim=4,
        ),
        train=dataclasses.replace(
            experiment.train,
            num_epochs=NUM_EPOCHS,
            batch_size=4,
            learning_rate=0.02,
            min_loss_drop=0.02,
        ),
        evaluation=dataclasses.replace(
            experiment.evaluation,
            num_sentences=16,
            num_demonstrations=1,
            num_loss_windows=4,
            exact_demonstrations=(1,),
            is_asked_after_others=False,
        ),
    )


def experiments() -> list[Any]:
    """Returns the experiment of each condition."""
    from experiments import triangle

    return [
        shrink(triangle.build_experiment, "quick", condition)
        for condition in CONDITIONS
    ]


def keys() -> list[str]:
    """Returns the key of each condition in a store."""
    from tiny_gpt.sweep.cell import content_of, key_of

    return [key_of(content_of(each, "float32")) for each in experiments()]


def fit_jobs(
    jobs: Sequence[Any],
    num_workers: int | None,
    seeds_per_batch: int | None,
    on_epoch: Callable[..., None],
    *_: Any,
) -> Iterator[Any]:
    """Runs jobs through `fit`, in place of `run_jobs`."""
    import keras

    from tiny_gpt.train import run

    for job in jobs:
        tell = functools.partial(on_epoch, job)
        yield job, run(job.experiment, job.seed, job.record, on_epoch=tell)
        keras.utils.clear_session()


def command_line(path: str, folder: Path, out: str) -> list[str]:
    """Returns the arguments of the command.

    Args:
        path: one of `PATHS`.
        folder: of the trial.
        out: name of the results folder in it.
    """
    seeds = ["--seeds", str(len(SEEDS)), "--first-seed", str(SEEDS[0])]
    where = ["--out", str(folder / out), "--store", str(folder / STORE)]
    how = ["--keep-weights", "--backend", PATHS[path]]
    if path == "fit on JAX":  # `fit` trains one run at a time
        how += ["--jobs", "1"]
    return ["triangle", "--conditions", *CONDITIONS, *seeds, *where, *how]


def serve_command(
    path: str, folder: Path, out: str, fault: Fault, pipe: Any, output: Path
) -> None:
    """Runs the command in this process, and ends it."""
    _print_into(output)
    # As in a terminal; a shell makes what it starts with & ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.register(signal.SIGUSR1, sys.stderr)
    from experiments import triangle
    from tiny_gpt import train

    triangle.STUDY = dataclasses.replace(
        triangle.STUDY,
        build_experiment=functools.partial(shrink, triangle.build_experiment),
    )
    if path == "fit on JAX":
        train.run_jobs = fit_jobs  # type: ignore[assignment]
    Watch(fault, folder, pipe.fileno()).watch()
    if fault.largest_file is not None:
        limit = fault.largest_file
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv = ["experiments", *command_line(path, folder, out)]
    runpy.run_module("experiments", run_name="__main__")


def serve_loading(folders: Sequence[Path], output: Path) -> None:
    """Loads all weights in some folders.

    Ends with 2 if some are refused, and with 3 if some are missing.
    """
    _print_into(output)
    from tiny_gpt.runtime.files import DamagedFileError
    from tiny_gpt.sweep.kept_weights import load_model
    from tiny_gpt.sweep.store import Store

    of_conditions = experiments()
    for folder in folders:
        store = Store(folder / STORE, "float32", keeps_weights=True)
        for experiment in of_conditions:
            for seed in SEEDS:
                try:
                    model = load_model(store, experiment, seed)
                except DamagedFileError as error:
                    sys.stderr.write(f"error: {error}\n")
                    sys.exit(2)
                if model is None:
                    sys.stderr.write(f"error: no seed {seed} in {folder}\n")
                    sys.exit(3)


def _print_into(output: Path) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
