"""Options of the commands of `tiny-gpt`; nothing here imports keras."""

import argparse
from pathlib import Path

from tiny_gpt.commands.option_groups import (
    add_ask,
    add_runs,
    add_store,
    add_sweep,
    add_where,
)

COMMANDS = {
    "run": "train one experiment; leaves a table and a figure",
    "reproduce": "train all experiments and judge every claim of the paper; "
    "leaves report.html",
    "theory": "train and measure what tests the theory of the paper; adds its "
    "claims to report.html",
    "report": "write report.html from finished runs; trains nothing",
    "sweep": "train a grid of experiments; leaves maps of where they succeed",
    "ask": "ask a trained network for a translation; shows its answer and the "
    "probabilities",
}

# Accepted, as `make` passes the same options to all, and without effect or
# refused: help leaves them out.
HIDDEN = {
    "reproduce": ("conditions",),
    "theory": ("conditions",),
    "report": (
        *("preset", "seeds", "first_seed", "jobs", "distributed", "clipping"),
        *("checkpoints", "overwrite", "precision", "devices", "num_devices"),
        *("tpu", "seeds_per_batch", "executor", "shard", "address", "shared"),
        "slurm",
        "keep_weights",
    ),
    "ask": (
        *("track", "keep_weights", "executor", "jobs", "shard", "address"),
        *("slurm", "precision", "seeds_per_batch"),
    ),
}


def build_parsers() -> dict[str, argparse.ArgumentParser]:
    """Returns the parser of every command; "" is the parser of them all."""
    main = argparse.ArgumentParser(
        prog="tiny-gpt",
        description="Trains tiny GPTs on invented languages and shows what "
        "they learn. A command that was interrupted continues when it is run "
        "again.",
        epilog="In a checkout start with `tiny-gpt run triangle`; `tiny-gpt "
        "run --help` explains its options.",
    )
    main.add_argument(
        "--print-completion",
        choices=("bash", "zsh", "tcsh"),
        help="print the completion script of this shell",
    )
    commands = main.add_subparsers(dest="command", metavar="COMMAND")
    parsers = {"": main}
    for name, text in COMMANDS.items():
        parsers[name] = commands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}."
        )
        parsers[name].set_defaults(command=name, distributed=False)
        parsers[name].add_argument(
            "--experiments",
            type=Path,
            metavar="PATH",
            help="folder in which experiments are found by name (default: "
            "experiments)",
        )
    parsers["run"].add_argument(
        "experiment",
        help="its name in the folder, e.g. triangle, or the path of its file, "
        "e.g. mine.py",
    )
    parsers["report"].add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="results folder of one experiment or of a reproduction "
        "(default: results/reproduce)",
    )
    for name in ("run", "reproduce", "theory", "report"):
        add_runs(parsers[name], name)
    add_sweep(parsers["sweep"])
    add_ask(parsers["ask"])
    for name in parsers.keys() - {""}:
        add_store(parsers[name], name)
        add_where(parsers[name])
        for action in parsers[name]._actions:
            if action.dest in HIDDEN.get(name, ()):
                action.help = argparse.SUPPRESS
    return parsers


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Parses a command line; ends the process with 2 if it cannot."""
    parsers = build_parsers()
    if not arguments or arguments[0] not in parsers:
        options = parsers[""].parse_args(arguments)
        if options.print_completion is None:
            parsers[""].error("a command is needed, see --help")
        return options
    # Words of a sweep may stand anywhere among its options.
    options = parsers[arguments[0]].parse_intermixed_args(arguments[1:])
    if options.command == "report":
        options.out = options.folder or options.out
    return options
