"""The plan of one command: conditions, seeds, folder."""

import argparse
import dataclasses
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tiny_gpt.commands.study import Study
from tiny_gpt.experiment import Experiment, config_of
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.devices import (
    Placement,
    choose_devices,
    host_index,
    join_hosts,
)
from tiny_gpt.training.run_setup import Job
from tiny_gpt.training.update import check_clipping

UNKNOWN = "unknown"  # a commit, outside a checkout


@dataclass(frozen=True)
class Plan:
    """The plan of one command.

    Attributes:
        study: the experiment, all its conditions.
        preset: name of its preset.
        experiments: the conditions that are run.
        seeds: seeds of each.
        precision: see `environment.set_precision`.
        folder: where results are written.
        overwrite: whether other results there may be replaced.
        command: the command, for the manifest.
        commit: commit of the checkout when the command started.
        num_jobs: runs at once; None for as many as suit the machine (JAX),
            or one.
        keeps_weights: whether weights are kept at events and in between.
        seeds_per_batch: runs in one batch of a program (JAX); None for as
            many as suit the machine.
        placement: the devices; None for those that the backend offers first.
    """

    study: Study
    preset: str
    experiments: tuple[Experiment, ...]
    seeds: tuple[int, ...]
    precision: str
    folder: Path
    overwrite: bool
    command: tuple[str, ...]
    commit: str
    num_jobs: int | None = None
    keeps_weights: bool = False
    seeds_per_batch: int | None = None
    placement: Placement | None = None

    @classmethod
    def from_options(
        cls,
        study: Study,
        options: argparse.Namespace,
        command: list[str],
        placement: Placement | None = None,
    ) -> "Plan":
        """Builds the plan of a command line.

        Args:
            study: the experiment.
            options: result of `parse_arguments`.
            command: the command, for the manifest.
            placement: result of `choose_placement`; None if nothing is
                trained.

        Raises:
            ValueError: if a preset, condition or number is invalid, or the
                devices do not allow it.
        """
        if options.seeds < 1:
            raise ValueError(
                f"`--seeds` must be at least 1. Received: {options.seeds}"
            )
        if options.jobs is not None and options.jobs < 1:
            raise ValueError(
                f"`--jobs` must be at least 1. Received: {options.jobs}"
            )
        check_packs(options, placement)
        if options.first_seed < 0:
            raise ValueError(
                "`--first-seed` cannot be negative. "
                f"Received: {options.first_seed}"
            )
        _check_backend(options)
        folder = options.out or Path("results") / study.name
        asked = options.conditions or tuple(study.conditions)
        for name in asked:
            check_choice("condition", name, tuple(study.conditions))
        first = options.first_seed
        experiments = tuple(
            _clipped(study.build(options.preset, name), options)
            for name in study.conditions  # in this order everywhere
            if name in asked
        )
        if placement is not None:
            for experiment in experiments:
                check_clipping(experiment.train, placement)
        return cls(
            study=study,
            preset=options.preset,
            experiments=experiments,
            seeds=tuple(range(first, first + options.seeds)),
            precision=options.precision,
            folder=folder_of_host(folder) if placement else folder,
            overwrite=options.overwrite,
            command=tuple(map(shlex.quote, command)),
            commit=current_commit(),
            num_jobs=options.jobs,
            keeps_weights=options.checkpoints,
            seeds_per_batch=options.seeds_per_batch,
            placement=placement,
        )

    @property
    def config(self) -> dict[str, Any]:
        """All that the results depend on.

        Devices are not part of it, unless each clips its own gradients.
        """
        clips_alone = any(
            e.train.clipping == "per_replica" for e in self.experiments
        )
        replicas = {}
        if clips_alone and self.placement is not None:
            replicas = {"num_replicas": self.placement.num_devices}
        return {
            **replicas,
            "experiment": self.study.name,
            "preset": self.preset,
            "seeds": list(self.seeds),
            "backend": keras.backend.backend(),
            "precision": self.precision,
            "conditions": {e.condition: config_of(e) for e in self.experiments},
        }

    def record(self, experiment: Experiment, seed: int) -> Path:
        """Returns the path of a run's record, without suffix."""
        return self.folder / "runs" / experiment.condition / f"seed_{seed}"

    def job(self, experiment: Experiment, seed: int) -> Job:
        """Returns one run, with the path of its files."""
        record = self.record(experiment, seed)
        return Job(experiment, seed, record, self.keeps_weights)

    def reserve(self) -> None:
        """Reserves the folder (`results_folder.reserve_folder`)."""
        results_folder.reserve_folder(self.folder, self.config, self.overwrite)


def choose_placement(options: argparse.Namespace) -> Placement:
    """Chooses the devices of a command line, before anything is written.

    Raises:
        ValueError: if the backend is another one, or lacks the devices.
    """
    _check_backend(options)
    if options.distributed:
        join_hosts()
    return choose_devices(options.devices, options.num_devices, options.tpu)


def _check_backend(options: argparse.Namespace) -> None:
    if keras.backend.backend() != options.backend:
        raise ValueError(
            "The backend is chosen when keras is imported; restart the "
            f"process to change it. Received: backend={options.backend!r}"
            f", while keras runs on {keras.backend.backend()!r}"
        )


def check_packs(
    options: argparse.Namespace, placement: Placement | None
) -> None:
    """Checks the options of seed batches and of simultaneous runs.

    Args:
        options: of the command line.
        placement: devices; None if they are not known yet.

    Raises:
        ValueError: if the backend or the devices cannot do it.
    """
    if options.seeds_per_batch is not None and options.backend != "jax":
        raise ValueError(
            "`--seeds-per-batch` is for JAX; elsewhere each run is a batch of "
            f"its own. Received: --seeds-per-batch {options.seeds_per_batch} "
            f"with backend={options.backend!r}"
        )
    if options.seeds_per_batch is not None and options.seeds_per_batch < 1:
        raise ValueError(
            "`--seeds-per-batch` must be at least 1. "
            f"Received: {options.seeds_per_batch}"
        )
    if placement is None or options.backend != "tensorflow":
        return
    if placement.is_replicated and (options.jobs or 1) > 1:
        raise ValueError(
            "On TensorFlow, several devices or a TPU train one run at a "
            "time; choose --num-devices 1 or --jobs 1. Received: "
            f"--jobs {options.jobs} with {placement.num_devices} devices"
        )


def _clipped(experiment: Experiment, options: argparse.Namespace) -> Experiment:
    train = dataclasses.replace(experiment.train, clipping=options.clipping)
    return dataclasses.replace(experiment, train=train)


def folder_of_host(folder: Path) -> Path:
    """Returns the folder in which this host writes.

    The first host has the folder itself, others one next to it.
    """
    index = host_index()
    return folder.with_name(f"{folder.name}_host_{index}") if index else folder


def count_seeds(seeds: tuple[int, ...]) -> str:
    """Returns "1 seed" or "5 seeds"."""
    return "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"


def current_commit() -> str:
    """Returns the commit of the checkout, marked if it was changed."""
    return _git("describe", "--always", "--dirty", "--abbrev=12") or UNKNOWN


def last_commit(folder: Path) -> str:
    """Returns the last commit of a folder, marked if it was changed since."""
    path = str(folder)
    commit = _git("log", "-1", "--format=%h", "--abbrev=12", "--", path)
    is_changed = bool(_git("status", "--porcelain", "--", path))
    return f"{commit or UNKNOWN}{'-dirty' if is_changed else ''}"


def _git(*arguments: str) -> str:
    """Returns the output of git; empty outside a checkout."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
