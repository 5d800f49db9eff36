"""The plan of one command: conditions, seeds, store, folder."""

import argparse
import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tiny_gpt.commands.reserved import check_reserved
from tiny_gpt.commands.study import Study
from tiny_gpt.commands.tracking import check_tracking
from tiny_gpt.experiment import Experiment, config_of
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.runtime.commits import current_commit
from tiny_gpt.runtime.devices import (
    Placement,
    choose_devices,
    host_index,
    join_hosts,
)
from tiny_gpt.sweep.store import Store
from tiny_gpt.training.update import check_clipping


@dataclass(frozen=True)
class Plan:
    """The plan of one command.

    Attributes:
        study: the experiment, all its conditions.
        preset: name of its preset.
        experiments: the conditions that are run.
        seeds: seeds of each.
        precision: see `environment.set_precision`.
        folder: where results are written, a view of the store.
        overwrite: whether other results there may be replaced.
        command: the command, for the manifest.
        commit: commit of the checkout when the command started.
        store: folder of the store with the runs.
        shared: see `Store`.
        keeps_weights: see `Store`.
        keeps_epochs: see `Store`.
        placement: the devices; None for those that the backend offers first.
        num_replicas: see `Store`.
        track: tool that shows the finished runs, see `tracking`.
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
    store: Path
    shared: str | None = None
    keeps_weights: bool = False
    keeps_epochs: bool = False
    placement: Placement | None = None
    num_replicas: int = 1
    track: str | None = None

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
            placement: the devices; None if nothing is trained.

        Raises:
            ValueError: if a preset, condition or number is invalid, or the
                devices do not allow it.
        """
        if options.seeds < 1:
            raise ValueError(
                f"`--seeds` must be at least 1. Received: {options.seeds}"
            )
        if options.first_seed < 0:
            raise ValueError(
                "`--first-seed` cannot be negative. "
                f"Received: {options.first_seed}"
            )
        _check_backend(options)
        check_tracking(options.track)
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
        seeds = tuple(range(first, first + options.seeds))
        if placement is not None:
            own = Path(study.file).parent if study.file else None
            folders = (own, options.experiments)
            check_reserved(seeds, study.name, options.preset, folders)
            for experiment in experiments:
                check_clipping(experiment.train, placement)
        return cls(
            study=study,
            preset=options.preset,
            experiments=experiments,
            seeds=seeds,
            precision=options.precision,
            folder=folder_of_host(folder) if placement else folder,
            store=folder_of_host(options.store) if placement else options.store,
            overwrite=options.overwrite,
            command=tuple(map(shlex.quote, command)),
            commit=current_commit(),
            shared=options.shared,
            keeps_weights=options.keep_weights,
            keeps_epochs=options.checkpoints,
            track=options.track,
            placement=placement,
            num_replicas=options.num_devices or 1
            if placement is None
            else placement.num_devices,
        )

    @property
    def config(self) -> dict[str, Any]:
        """All that the results depend on.

        Devices are not part of it, unless each clips its own gradients.
        """
        clips_alone = any(
            e.train.clipping == "per_replica" for e in self.experiments
        )
        replicas = {"num_replicas": self.num_replicas} if clips_alone else {}
        return {
            **replicas,
            "experiment": self.study.name,
            "preset": self.preset,
            "seeds": list(self.seeds),
            "backend": keras.backend.backend(),
            "precision": self.precision,
            "conditions": {e.condition: config_of(e) for e in self.experiments},
        }

    def open_store(self) -> Store:
        """Opens the store of the runs.

        Raises:
            ValueError: as `Store`.
        """
        return Store(
            self.store,
            self.precision,
            self.shared,
            self.keeps_weights,
            self.keeps_epochs,
            self.num_replicas,
        )

    def reserve(self) -> None:
        """Reserves the folder (`results_folder.reserve_folder`)."""
        with results_folder.hold_folder(self.folder):
            results_folder.reserve_folder(
                self.folder, self.config, self.overwrite
            )


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
