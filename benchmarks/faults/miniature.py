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


def fit_jobs(jobs: Sequence[Any], *_: Any, **__: Any) -> Iterator[Any]:
    """Runs jobs through `fit`, in place of `run_jobs`."""
    import keras

    from tiny_gpt.train import run

    for job in jobs:
        yield job, run(job.experiment, job.seed, job.record)
        keras.utils.clear_session()


def command_line(path: str, folder: Path) -> list[str]:
    """Returns the arguments of the command."""
    seeds = ["--seeds", str(len(SEEDS)), "--first-seed", str(SEEDS[0])]
    where = ["--out", str(folder), "--backend", PATHS[path]]
    return ["triangle", "--conditions", *CONDITIONS, *seeds, *where]


def serve_command(
    path: str, folder: Path, fault: Fault, pipe: Any, output: Path
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
    sys.argv = ["experiments", *command_line(path, folder)]
    runpy.run_module("experiments", run_name="__main__")


def serve_loading(folders: Sequence[Path], output: Path) -> None:
    """Loads all weights in some folders; ends with 2 if some are refused."""
    _print_into(output)
    from experiments import triangle
    from tiny_gpt.runtime.files import DamagedFileError
    from tiny_gpt.training.finished import load_model

    for folder in folders:
        for condition in CONDITIONS:
            experiment = shrink(triangle.build_experiment, "quick", condition)
            for seed in SEEDS:
                record = folder / "runs" / condition / f"seed_{seed}"
                try:
                    load_model(experiment, seed, record)
                except DamagedFileError as error:
                    sys.stderr.write(f"error: {error}\n")
                    sys.exit(2)


def _print_into(output: Path) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
