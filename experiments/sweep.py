"""`python -m experiments sweep FILE`: runs a grid, and draws its maps."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from experiments.plan import choose_placement, current_commit
from experiments.sweep_file import load_sweep
from experiments.sweep_results import check_folder, collect, plot
from experiments.sweep_status import show_rows, show_status
from tiny_gpt.devices import count_cores, make_deterministic, set_precision
from tiny_gpt.sweep.adaptive import Adapted, Rule, run_adaptively
from tiny_gpt.sweep.grid import Sweep
from tiny_gpt.sweep.pool import in_pool
from tiny_gpt.sweep.ray import on_ray
from tiny_gpt.sweep.run import Executor, Outcome, run_sweep
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.work import Done, Work, in_process

MOST_SHOWN = 5  # failed runs


def do(options: argparse.Namespace, command: list[str]) -> int:
    """Does what a command line asks for.

    Returns:
        0; 1 if runs have failed, which does not keep the others from theirs.

    Raises:
        ValueError: if an option or the sweep is invalid.
    """
    console = Console()
    sweep = load_sweep(options.file)
    folder = options.out or Path("results") / "sweeps" / sweep.name
    shard = _parse_shard(options.shard)
    if options.action == "plot":
        plot(sweep, folder, console)
        return 0
    executor, is_failed = None, False
    if options.action in (None, "run"):
        _check_numbers(options)
        executor = _choose_executor(options)
    is_collected = options.action == "collect" or (
        options.action is None and shard == (0, 1)
    )
    if is_collected:
        check_folder(sweep, folder)
    store = Store(options.store, options.precision, options.shared)
    if options.action == "status":
        show_status(sweep, store, console)
        return 0
    if executor is not None:
        outcome = _run(sweep, store, executor, options, shard, console)
        is_failed = bool(outcome.failed)
        _tell(outcome, console)
    if is_collected:
        text = " ".join(map(shlex.quote, command))
        collect(sweep, store, folder, text, current_commit(), console)
    if is_collected and options.action is None:
        plot(sweep, folder, console)
    return int(is_failed)


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
    for name in ("jobs", "pack_size", "adaptive"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(
                f"`--{name.replace('_', '-')}` must be at least 1. "
                f"Received: {value}"
            )
    if options.address is not None and options.executor != "ray":
        raise ValueError(
            "`--address` is that of a Ray cluster; it needs --executor ray. "
            f"Received: --address {options.address} with "
            f"--executor {options.executor}"
        )
    if options.adaptive is not None and options.shard != "0/1":
        raise ValueError(
            "`--adaptive` chooses each run by all that came before, so that "
            f"it cannot be dealt out. Received: --shard {options.shard}"
        )


def _choose_executor(options: argparse.Namespace) -> Executor:
    placement = choose_placement(options)
    set_precision(options.precision)
    make_deterministic()
    default = "processes" if placement.kind == "cpu" else "threads"
    executor = options.executor or default
    if executor == "threads":

        def threads(store, works):
            return in_process(store, works, options.jobs, placement)

        return threads
    if executor == "processes":
        jobs = options.jobs or count_cores()
        asked = placement.asked

        def processes(store, works):
            return in_pool(store, works, jobs, asked)

        return processes

    def ray(store, works):
        return on_ray(store, works, options.address)

    return ray


def _run(
    sweep: Sweep,
    store: Store,
    executor: Executor,
    options: argparse.Namespace,
    shard: tuple[int, int],
    console: Console,
) -> Outcome | Adapted:
    bar = Progress(
        TextColumn(sweep.name),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[state]}"),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=None, state="")
        on_plan, on_done = _reports(bar, task, console)
        if options.adaptive is not None:
            rule = Rule(options.adaptive)
            adapted = run_adaptively(
                sweep, store, executor, rule, on_done=on_done
            )
            show_rows(sweep, adapted, console)
            return adapted
        return run_sweep(
            sweep,
            store,
            executor,
            options.pack_size or 1,
            shard,
            on_plan=on_plan,
            on_done=on_done,
        )


def _reports(
    bar: Progress, task, console: Console
) -> tuple[Callable[[Sequence[Work]], None], Callable[[Done], None]]:
    made = total = 0

    def on_plan(works: Sequence[Work]) -> None:
        nonlocal total
        left = sum(len(work.seeds) for work in works)
        total = made + left
        bar.update(task, total=total, completed=made)
        if not console.is_terminal:
            console.print(f"{left} runs of {len(works)} works to do")

    def on_done(done: Done) -> None:
        nonlocal made
        before, made = made, made + len(done.finished)
        state = f"failed: {done.error}" if done.error else ""
        bar.update(task, completed=made, state=state)
        # In a log, some twenty lines in all; how many an adaptive sweep will
        # make is not known.
        step = max(total // 20, 1) if total else 20
        if not console.is_terminal and made // step > before // step:
            of = f" of {total}" if total else ""
            console.print(f"{made}{of} runs", highlight=False)

    return on_plan, on_done


def _tell(outcome: Outcome | Adapted, console: Console) -> None:
    console.print(f"{outcome.finished} runs made here.", highlight=False)
    if not outcome.failed:
        return
    shown = [
        f"  {key[:12]} seed {seed}: {error}"
        for (key, seed), error in list(outcome.failed.items())[:MOST_SHOWN]
    ]
    sys.stderr.write(
        f"error: {len(outcome.failed)} runs have failed; all others are kept, "
        "and the same command tries them again:\n" + "\n".join(shown) + "\n"
    )
