"""Executors of a command: where its missing runs are made, and how."""

import argparse
import contextlib
import copy
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tiny_gpt.commands.plan import check_packs, choose_placement
from tiny_gpt.runtime.backend import form
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.runtime.environment import (
    count_cores,
    make_deterministic,
    set_precision,
)
from tiny_gpt.sweep.processes import Pool
from tiny_gpt.sweep.ray import Cluster
from tiny_gpt.sweep.run import Executor, Outcome
from tiny_gpt.sweep.slurm import Slurm
from tiny_gpt.sweep.threads import in_process
from tiny_gpt.training.many_seeds import OnStart
from tiny_gpt.training.train_batch import OnEpoch

MOST_SHOWN = 5  # failed runs
SLURM_JOBS = 8
# Options that a cluster does not take.
CLUSTERS = {"ray": ("jobs", "num_devices"), "slurm": ("num_devices",)}


class FailedRunsError(RuntimeError):
    """Some runs of a command have failed; all others are in the store.

    Args:
        outcome: of the command.

    Attributes:
        details: traceback of the first of them.
    """

    def __init__(self, outcome: Outcome):
        super().__init__(describe_failures(outcome))
        self.details = outcome.details


@dataclass(frozen=True)
class Making:
    """Where and how missing runs are made.

    Attributes:
        kind: "threads", "processes", "ray" or "slurm".
        placement: the devices.
        num_workers: runs at once, of threads and processes, or jobs of SLURM;
            None for as many as suit the machine, or `SLURM_JOBS`.
        seeds_per_batch: see `run.plan_tasks`.
        most_seeds: in a batch of a program on a device; None for as many as
            fit.
        shard: see `run.plan_tasks`.
        address: of a cluster of Ray; None for a new one on this machine.
        num_gpus: GPUs of a task of Ray.
        slurm: parameters of the jobs, see `Slurm`.
    """

    kind: str
    placement: Placement
    num_workers: int | None = None
    seeds_per_batch: int | None = 1
    shard: tuple[int, int] = (0, 1)
    address: str | None = None
    num_gpus: float = 0.0
    slurm: Mapping[str, str] = field(default_factory=dict)
    most_seeds: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all runs are made, not only those of a shard."""
        return self.shard == (0, 1)

    @property
    def num_processes(self) -> int:
        """Processes of this machine for what is no run, e.g. measurements."""
        is_alone = self.placement.num_devices == 1 and form().has_thread_per_run
        if self.kind in CLUSTERS or not is_alone:
            return 1
        return self.num_workers or count_cores()

    @contextlib.contextmanager
    def start(
        self,
        folder: Path,
        on_epoch: OnEpoch | None = None,
        on_start: OnStart | None = None,
    ) -> Iterator[Executor]:
        """Starts the executor, and ends what it has started.

        Args:
            folder: of the store. Scripts and logs of SLURM's jobs are beside
                it, in a folder of their own.
            on_epoch: see `threads.in_process`, which alone calls it.
            on_start: see `threads.in_process`.
        """
        if self.kind == "slurm":
            logs = folder.with_name(f"{folder.name}_jobs")
            yield Slurm(self.num_workers or SLURM_JOBS, logs, self.slurm)
        elif self.kind == "ray":
            with Cluster(self.address, num_gpus=self.num_gpus) as cluster:
                yield cluster
        elif self.kind == "processes":
            num_processes = self.num_workers or count_cores()
            with Pool(num_processes, self.placement.asked) as pool:
                yield pool
        else:
            yield functools.partial(
                in_process,
                num_workers=self.num_workers,
                placement=self.placement,
                on_epoch=on_epoch,
                on_start=on_start,
                seeds_per_batch=self.most_seeds,
            )


def choose_making(
    options: argparse.Namespace, on_cpu: str = "threads"
) -> Making:
    """Chooses devices and executor of a command line; sets the precision.

    Args:
        options: result of `parse_arguments`.
        on_cpu: the executor on a CPU, unless an option names one.

    Raises:
        ValueError: if an option is invalid, or there are no such devices.
    """
    shard = parse_shard(options.shard)
    _check_numbers(options)
    asked = copy.copy(options)
    if options.executor in CLUSTERS:  # the devices are those of the nodes
        asked.devices = "auto"
    placement = choose_placement(asked)
    check_packs(options, placement)
    set_precision(options.precision)
    make_deterministic()
    is_cpu = form(placement.kind).platform == "cpu" and options.devices != "gpu"
    kind = options.executor or (on_cpu if is_cpu else "threads")
    if options.executor is None and options.backend != "jax":
        # There one model trains at a time.
        kind = "processes" if (options.jobs or 1) > 1 else kind
    return Making(
        kind,
        placement,
        options.jobs,
        # Elsewhere seeds are trained as one batch, as many as fit.
        options.seeds_per_batch or (1 if is_cpu else None),
        shard,
        options.address,
        1.0 if options.devices == "gpu" else 0.0,
        _parse_slurm(options),
        options.seeds_per_batch,
    )


def parse_shard(text: str) -> tuple[int, int]:
    """Returns the shard "I/N" as numbers.

    Raises:
        ValueError: if it is none.
    """
    index, slash, count = text.partition("/")
    is_pair = slash and index.isdecimal() and count.isdecimal()
    if is_pair and int(index) < int(count):
        return int(index), int(count)
    raise ValueError(
        "A shard is I of N commands, counted from 0, as '0/4'. "
        f"Received: --shard {text}"
    )


def _check_numbers(options: argparse.Namespace) -> None:
    check_packs(options, None)
    if options.jobs is not None and options.jobs < 1:
        raise ValueError(
            f"`--jobs` must be at least 1. Received: {options.jobs}"
        )
    if options.address is not None and options.executor != "ray":
        raise ValueError(
            "`--address` is that of a Ray cluster; it needs --executor ray. "
            f"Received: --address {options.address} with "
            f"--executor {options.executor}"
        )
    if options.executor not in CLUSTERS:
        return
    if options.devices == "tpu" or options.distributed:
        raise ValueError(
            "On a cluster, `--devices` is auto, cpu or gpu, of nodes that work "
            "each for itself. Received: "
            f"{'--distributed' if options.distributed else 'tpu'}"
        )
    for name in CLUSTERS[options.executor]:
        if getattr(options, name) is not None:
            raise ValueError(
                "A cluster deals out cores and devices itself. Received: "
                f"--{name.replace('_', '-')} {getattr(options, name)} "
                f"with --executor {options.executor}"
            )


def _parse_slurm(options: argparse.Namespace) -> dict[str, str]:
    pairs = [word.partition("=") for word in options.slurm or ()]
    is_asked = not pairs or options.executor == "slurm"
    if not is_asked or not all(name and value for name, _, value in pairs):
        raise ValueError(
            "`--slurm` has parameters of sbatch, as partition=gpu time=60; it "
            "needs --executor slurm. Received: --slurm "
            f"{' '.join(options.slurm)} with --executor {options.executor}"
        )
    return {name.lstrip("-"): value for name, _, value in pairs}


def describe_failures(outcome: Outcome) -> str:
    """Returns which runs have failed, and why."""
    shown = [
        f"  {key[:12]} seed {seed}: {error}"
        for (key, seed), error in list(outcome.failed.items())[:MOST_SHOWN]
    ]
    return (
        f"{len(outcome.failed)} runs have failed. All others are kept; the "
        "same command tries the failed ones again:\n" + "\n".join(shown)
    )
