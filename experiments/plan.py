"""What one command asks for: conditions, seeds, folder."""

import dataclasses
import importlib
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from tiny_gpt import results
from tiny_gpt.experiment import Experiment
from tiny_gpt.multi_seed import Job

UNKNOWN = "unknown"  # a commit, outside a checkout


@dataclass(frozen=True)
class Plan:
    """What one command asks for.

    Attributes:
        module: module of the experiment.
        preset: name of its preset.
        experiments: its conditions.
        seeds: seeds of each.
        precision: see `devices.set_precision`.
        folder: where results go.
        overwrite: whether other results there may be replaced.
        command: the command, for the manifest.
        commit: commit of the checkout when the command started.
        num_jobs: runs at once; None for as many as suit (JAX), or one.
        keeps_weights: whether weights are kept at events and in between.
    """

    module: ModuleType
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

    @classmethod
    def from_options(cls, options, command: list[str]) -> "Plan":
        """Builds the plan of a command line.

        Raises:
            ValueError: if a preset, condition or number is invalid.
        """
        if options.seeds < 1:
            raise ValueError(
                f"`--seeds` must be at least 1. Received: {options.seeds}"
            )
        if options.jobs is not None and options.jobs < 1:
            raise ValueError(
                f"`--jobs` must be at least 1. Received: {options.jobs}"
            )
        if options.first_seed < 0:
            raise ValueError(
                "`--first-seed` cannot be negative. "
                f"Received: {options.first_seed}"
            )
        if keras.backend.backend() != options.backend:
            raise ValueError(
                "The backend is chosen when keras is imported; restart the "
                f"process to change it. Received: backend={options.backend!r}"
                f", while keras runs on {keras.backend.backend()!r}"
            )
        module = importlib.import_module(f"experiments.{options.experiment}")
        names = tuple(dict.fromkeys(options.conditions or module.CONDITIONS))
        first = options.first_seed
        return cls(
            module=module,
            preset=options.preset,
            experiments=tuple(
                module.build_experiment(options.preset, name) for name in names
            ),
            seeds=tuple(range(first, first + options.seeds)),
            precision=options.precision,
            folder=options.out or Path("results") / options.experiment,
            overwrite=options.overwrite,
            command=tuple(map(shlex.quote, command)),
            commit=current_commit(),
            num_jobs=options.jobs,
            keeps_weights=options.checkpoints,
        )

    @property
    def config(self) -> dict[str, Any]:
        """All that the results depend on."""
        return {
            "experiment": self.module.NAME,
            "preset": self.preset,
            "seeds": list(self.seeds),
            "backend": keras.backend.backend(),
            "precision": self.precision,
            "conditions": {
                e.condition: dataclasses.asdict(e) for e in self.experiments
            },
        }

    def record(self, experiment: Experiment, seed: int) -> Path:
        """Returns the path of a run's record, without suffix."""
        return self.folder / "runs" / experiment.condition / f"seed_{seed}"

    def job(self, experiment: Experiment, seed: int) -> Job:
        """Returns one run and where its files go."""
        record = self.record(experiment, seed)
        return Job(experiment, seed, record, self.keeps_weights)

    def claim(self) -> None:
        """Claims the folder (`results.claim_folder`)."""
        results.claim_folder(self.folder, self.config, self.overwrite)


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
    """Returns what git says; nothing outside a checkout."""
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
