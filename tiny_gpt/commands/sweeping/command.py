"""The command `tiny-gpt sweep FILE`: runs a grid, and draws its maps."""

import argparse
import math
import shlex
import sys
from pathlib import Path

from rich.console import Console

from tiny_gpt.analysis.psi import MOST_AT_ONCE
from tiny_gpt.commands.executors import (
    Making,
    choose_making,
    describe_failures,
    parse_shard,
)
from tiny_gpt.commands.reserved import check_reserved
from tiny_gpt.commands.sweeping.file import load_sweep
from tiny_gpt.commands.sweeping.progress import SweepReporter
from tiny_gpt.commands.sweeping.results import check_folder, plot, write_frames
from tiny_gpt.commands.sweeping.status import show_rows, show_status
from tiny_gpt.commands.tracking import check_tracking, send_runs
from tiny_gpt.runtime.commits import current_commit
from tiny_gpt.runtime.environment import count_cores
from tiny_gpt.sweep.adaptive import Rule, run_adaptively
from tiny_gpt.sweep.collect import axes_of_map, collect_frames
from tiny_gpt.sweep.exchange import exchange
from tiny_gpt.sweep.grid import Sweep
from tiny_gpt.sweep.kept_weights import forget_weights
from tiny_gpt.sweep.run import Outcome, experiments_by_key, run_sweep
from tiny_gpt.sweep.store import Store


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
    is_whole = parse_shard(options.shard) == (0, 1)
    is_collected = options.action == "collect" or (
        options.action is None and is_whole
    )
    asked = [name for name in ("metrics", "track") if getattr(options, name)]
    if asked and not is_collected:
        raise ValueError(
            f"`--{asked[0]}` belongs to `collect`, which other actions and "
            f"shards leave out. Received: --{asked[0]} with "
            f"{options.action or 'a shard'}"
        )
    check_tracking(options.track)
    if options.action == "plot":
        plot(sweep, folder, console)
        return 0
    making, is_failed = None, False
    if options.action in (None, "run"):
        _check_adaptive(options)
        folders = (options.file.parent, options.experiments)
        check_reserved(sweep.seeds, f"sweep {sweep.name}", "", folders)
        making = choose_making(options, on_cpu="processes")
    if is_collected:
        check_folder(sweep, folder)
    num_devices = options.num_devices or 1
    store = Store(
        options.store,
        options.precision,
        options.shared,
        options.keep_weights,
        num_replicas=making.placement.num_devices if making else num_devices,
    )
    if options.action == "forget":
        _forget(sweep, store, console)
        return 0
    if options.action in ("status", "collect"):
        exchange(store, experiments_by_key(sweep, store), sweep.seeds)
    if options.action == "status":
        show_status(sweep, store, console)
        return 0
    if making is not None:
        outcome = _run(sweep, store, making, options, console)
        is_failed = bool(outcome.failed)
        _tell(outcome, console)
    if is_collected:
        text = " ".join(map(shlex.quote, command))
        commit, has_metrics = current_commit(), options.metrics
        write_frames(sweep, store, folder, text, commit, console, has_metrics)
        if options.track is not None:
            send_runs(options.track, folder, *collect_frames(sweep, store))
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


def _check_adaptive(options: argparse.Namespace) -> None:
    if options.adaptive is None:
        return
    if options.adaptive < 1:
        raise ValueError(
            f"`--adaptive` must be at least 1. Received: {options.adaptive}"
        )
    if options.shard != "0/1":
        raise ValueError(
            "`--adaptive` chooses each run by all runs before it, so that "
            f"it cannot be dealt out. Received: --shard {options.shard}"
        )


def _run(
    sweep: Sweep,
    store: Store,
    making: Making,
    options: argparse.Namespace,
    console: Console,
) -> Outcome:
    if options.adaptive is not None:
        num_rows = _count_rows(sweep)
        batch = math.ceil((options.jobs or count_cores()) / num_rows)
        most = num_rows * options.adaptive
        with (
            making.start(store.folder) as executor,
            SweepReporter(sweep.name, console, most) as reporter,
        ):
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
    with (
        making.start(store.folder) as executor,
        SweepReporter(sweep.name, console) as reporter,
    ):
        return run_sweep(
            sweep,
            store,
            executor,
            making.seeds_per_batch,
            making.shard,
            on_plan=reporter.plan,
            on_done=reporter.done,
        )


def _count_rows(sweep: Sweep) -> int:
    """Returns the number of points of all axes but the first numeric one."""
    numbers, _ = axes_of_map(sweep.axes)
    return len(sweep.cells) // len(sweep.axes[numbers[0]]) if numbers else 1


def _tell(outcome: Outcome, console: Console) -> None:
    console.print(
        f"{outcome.finished} runs trained by this command.", highlight=False
    )
    if outcome.failed:
        sys.stderr.write(
            f"{outcome.details}error: {describe_failures(outcome)}\n"
        )
