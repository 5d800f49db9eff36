"""The command `tiny-gpt sweep FILE`: runs a grid, and draws its maps."""

import argparse
import contextlib
import copy
import functools
import math
import shlex
import sys
from pathlib import Path

from rich.console import Console

from tiny_gpt.analysis.psi import MOST_AT_ONCE
from tiny_gpt.commands.plan import (
    check_packs,
    choose_placement,
    current_commit,
)
from tiny_gpt.commands.sweeping.file import load_sweep
from tiny_gpt.commands.sweeping.progress import SweepReporter
from tiny_gpt.commands.sweeping.results import check_folder, plot, write_frames
from tiny_gpt.commands.sweeping.status import show_rows, show_status
from tiny_gpt.runtime.environment import (
    count_cores,
    make_deterministic,
    set_precision,
)
from tiny_gpt.sweep.adaptive import Rule, run_adaptively
from tiny_gpt.sweep.collect import axes_of_map
from tiny_gpt.sweep.grid import Sweep
from tiny_gpt.sweep.kept_weights import forget_weights
from tiny_gpt.sweep.processes import Pool
from tiny_gpt.sweep.ray import Cluster
from tiny_gpt.sweep.run import (
    Executor,
    Outcome,
    exchange,
    experiments_by_key,
    run_sweep,
)
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.tasks import in_process

MOST_SHOWN = 5  # failed runs


def run_command(options: argparse.Namespace, command: list[str]) -> int:
    """Runs the command.

    Returns:
        0; 1 if runs have failed, which does not stop the others.

    Raises:
        ValueError: if an option or the sweep is invalid.
    """
    console = Console()
    sweep = load_sweep(options.file, options.experiments)
    folder = options.out or Path("results") / "sweeps" / sweep.name
    shard = _parse_shard(options.shard)
    if options.action == "plot" and not options.metrics:
        plot(sweep, folder, console)
        return 0
    executor, seeds_per_batch, is_failed = None, None, False
    if options.action in (None, "run"):
        _check_numbers(options)
        executor, seeds_per_batch = _choose_executor(options)
    is_collected = options.action == "collect" or (
        options.action is None and shard == (0, 1)
    )
    if options.metrics and not is_collected:
        raise ValueError(
            "`--metrics` belongs to `collect`, which other actions and shards "
            "leave out. Received: --metrics with "
            f"{options.action or 'a shard'}"
        )
    if is_collected:
        check_folder(sweep, folder)
    store = Store(
        options.store, options.precision, options.shared, options.keep_weights
    )
    if options.action == "forget":
        _forget(sweep, store, console)
        return 0
    if options.action in ("status", "collect"):
        exchange(sweep, store)
    if options.action == "status":
        show_status(sweep, store, console)
        return 0
    if executor is not None:
        with contextlib.ExitStack() as stack:
            if isinstance(executor, contextlib.AbstractContextManager):
                stack.enter_context(executor)
            outcome = _run(
                sweep, store, executor, seeds_per_batch, options, shard, console
            )
        is_failed = bool(outcome.failed)
        _tell(outcome, console)
    if is_collected:
        text = " ".join(map(shlex.quote, command))
        commit, has_metrics = current_commit(), options.metrics
        write_frames(sweep, store, folder, text, commit, console, has_metrics)
    if is_collected and options.action is None:
        plot(sweep, folder, console)
    return int(is_failed)


def _forget(sweep: Sweep, store: Store, console: Console) -> None:
    keys = experiments_by_key(sweep, store)
    num_files, num_bytes = forget_weights(store, keys)
    console.print(
        f"Weights of {num_files} runs removed, {num_bytes / 1e6:.1f} MB; the "
        "runs are kept.",
        highlight=False,
    )


def _parse_shard(text: str) -> tuple[int, int]:
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
    for name in ("jobs", "adaptive"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(
                f"`--{name}` must be at least 1. Received: {value}"
            )
    if options.address is not None and options.executor != "ray":
        raise ValueError(
            "`--address` is that of a Ray cluster; it needs --executor ray. "
            f"Received: --address {options.address} with "
            f"--executor {options.executor}"
        )
    if options.executor == "ray":
        if options.devices == "tpu":
            raise ValueError(
                "On Ray, `--devices` is auto, cpu or gpu. Received: tpu"
            )
        for name in ("jobs", "num_devices"):
            if getattr(options, name) is not None:
                raise ValueError(
                    "Ray deals out cores and devices itself. Received: "
                    f"--{name.replace('_', '-')} {getattr(options, name)} "
                    "with --executor ray"
                )
    if options.adaptive is not None and options.shard != "0/1":
        raise ValueError(
            "`--adaptive` chooses each run by all runs before it, so that "
            f"it cannot be dealt out. Received: --shard {options.shard}"
        )


def _choose_executor(
    options: argparse.Namespace,
) -> tuple[Executor, int | None]:
    """Returns an executor, and the seeds of a seed batch."""
    is_ray = options.executor == "ray"
    # On Ray the devices are those of the nodes.
    asked = copy.copy(options)
    asked.devices = "auto" if is_ray else options.devices
    placement = choose_placement(asked)
    set_precision(options.precision)
    make_deterministic()
    is_cpu = placement.kind == "cpu" and options.devices != "gpu"
    # Elsewhere seeds are trained as one batch, as many as fit.
    seeds_per_batch = options.seeds_per_batch or (1 if is_cpu else None)
    if is_ray:
        num_gpus = 1.0 if options.devices == "gpu" else 0.0
        return Cluster(options.address, num_gpus=num_gpus), seeds_per_batch
    if options.executor == "processes" or (options.executor is None and is_cpu):
        return Pool(
            options.jobs or count_cores(), placement.asked
        ), seeds_per_batch
    threads = functools.partial(
        in_process, num_workers=options.jobs, placement=placement
    )
    return threads, seeds_per_batch


def _run(
    sweep: Sweep,
    store: Store,
    executor: Executor,
    seeds_per_batch: int | None,
    options: argparse.Namespace,
    shard: tuple[int, int],
    console: Console,
) -> Outcome:
    if options.adaptive is not None:
        num_rows = _count_rows(sweep)
        batch = math.ceil((options.jobs or count_cores()) / num_rows)
        most = num_rows * options.adaptive
        with SweepReporter(sweep.name, console, most) as reporter:
            adapted = run_adaptively(
                sweep,
                store,
                executor,
                Rule(options.adaptive),
                min(batch, MOST_AT_ONCE),
                on_done=reporter.done,
            )
        show_rows(sweep, adapted, console)
        return adapted
    with SweepReporter(sweep.name, console) as reporter:
        return run_sweep(
            sweep,
            store,
            executor,
            seeds_per_batch,
            shard,
            on_plan=reporter.plan,
            on_done=reporter.done,
        )


def _count_rows(sweep: Sweep) -> int:
    """Returns the number of points of all axes but the first numeric one."""
    numbers, _ = axes_of_map(sweep)
    return len(sweep.cells) // len(sweep.axes[numbers[0]]) if numbers else 1


def _tell(outcome: Outcome, console: Console) -> None:
    console.print(
        f"{outcome.finished} runs trained by this command.", highlight=False
    )
    if not outcome.failed:
        return
    shown = [
        f"  {key[:12]} seed {seed}: {error}"
        for (key, seed), error in list(outcome.failed.items())[:MOST_SHOWN]
    ]
    sys.stderr.write(
        f"error: {len(outcome.failed)} runs have failed. All others are kept; "
        "the same command tries the failed ones again:\n"
        + "\n".join(shown)
        + "\n"
    )
