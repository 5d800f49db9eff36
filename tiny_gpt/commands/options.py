"""Options of the commands of `tiny-gpt`; nothing here imports keras."""

import argparse
import os
from pathlib import Path

ACTIONS = ("run", "status", "collect", "plot")
EXECUTORS = ("threads", "processes", "ray")
COMMANDS = {
    "run": "run one experiment",
    "reproduce": "run all experiments, decide every claim and report",
    "theory": "run what tests the theory, into the same folder and report",
    "report": "write report.html anew, from the runs that are there",
    "sweep": "run a grid of experiments, and draw where success begins",
}


def build_parsers() -> dict[str, argparse.ArgumentParser]:
    """Returns the parser of every command; "" is the parser of them all."""
    main = argparse.ArgumentParser(
        prog="tiny-gpt",
        description="Trains tiny GPTs on every condition of an experiment, "
        "with several seeds, and writes metrics, summary, figure and report. "
        "The same command continues what was interrupted.",
    )
    main.add_argument(
        "--print-completion",
        choices=("bash", "zsh", "tcsh"),
        help="print a completion for this shell, and end",
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
            help="folder in which experiments are found by name, and claims "
            "(default: experiments)",
        )
    parsers["run"].add_argument(
        "experiment", help="path of its file, or its name in the folder"
    )
    parsers["report"].add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="folder of a reproduction or of one experiment (default: "
        "results/reproduce)",
    )
    for name in ("run", "reproduce", "theory", "report"):
        _add_runs(parsers[name], 5 if name == "run" else 10)
    _add_sweep(parsers["sweep"])
    for name in parsers.keys() - {""}:
        _add_where(parsers[name])
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


def _add_runs(parser: argparse.ArgumentParser, num_seeds: int) -> None:
    """Adds the options of presets, seeds and results."""
    parser.add_argument(
        "--preset",
        default="quick",
        help="quick: a small model, minutes on a laptop; paper: data, "
        "network, optimizer and epochs as published, hours on a laptop "
        "(default: quick)",
    )
    parser.add_argument(
        "--conditions",
        nargs="+",
        metavar="NAME",
        help="run these conditions only (default: all)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=num_seeds,
        metavar="N",
        help=f"number of seeds (default: {num_seeds})",
    )
    parser.add_argument(
        "--first-seed",
        type=int,
        default=0,
        metavar="N",
        help="seeds are N, N+1, ... (default: 0)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the results (default: results/EXPERIMENT; "
        "results/reproduce for reproduce, theory and report)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="runs at once: threads of one process on JAX (default: one per "
        "core, or fewer if the model is large), processes that share the "
        "cores on TensorFlow (default: 1)",
    )
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="JAX: join the processes of several hosts, in each of which this "
        "command runs; batches are divided among all their devices",
    )
    parser.add_argument(
        "--clipping",
        choices=("global", "per_replica"),
        default="global",
        help="global: clip gradients of the whole batch; per_replica: of "
        "each device before they are summed, as published in sec. 3.2; "
        "several devices on TensorFlow only (default: global)",
    )
    parser.add_argument(
        "--checkpoints",
        action="store_true",
        help="keep the weights of some epochs, ever fewer, and of all around "
        "an event, in runs/CONDITION/seed_N_weights",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace results of another config in the same folder",
    )


def _add_where(parser: argparse.ArgumentParser) -> None:
    """Adds the options of backend and devices, which every command has."""
    parser.add_argument(
        "--backend",
        default=os.environ.get("KERAS_BACKEND", "jax"),
        help="Keras backend, jax or tensorflow (default: KERAS_BACKEND, or "
        "else jax)",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "default", "mixed_bfloat16"),
        default="float32",
        help="float32: true float32 products; default: what the backend "
        "prefers, TF32 on recent GPUs; mixed_bfloat16: layers compute in "
        "bfloat16, weights, logits and loss in float32 (default: float32)",
    )
    parser.add_argument(
        "--devices",
        choices=("auto", "cpu", "gpu", "tpu"),
        default="auto",
        help="auto: what the backend offers first; a kind that is asked for "
        "is used or refused, never replaced (default: auto)",
    )
    parser.add_argument(
        "--num-devices",
        type=int,
        metavar="N",
        help="devices to use (default: all of the kind); they change the "
        "time, not the results",
    )
    parser.add_argument(
        "--tpu",
        metavar="WHICH",
        help="TensorFlow: local, or the name or host:port of a TPU (default: "
        "local, with --devices tpu)",
    )
    parser.add_argument(
        "--seeds-per-batch",
        "--pack-size",  # its name until version 0.2
        type=int,
        metavar="N",
        help="JAX: seeds in one batch of a program; fewer need less memory "
        "(default: 1 on a CPU, else an even share of each device, or as many "
        "as fit)",
    )


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a sweep."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=ACTIONS,
        help="run: what is not finished; status: what is; collect: frames "
        "and thresholds from the runs that are there; plot: maps from what "
        "was collected (default: run, collect and plot)",
    )
    parser.add_argument(
        "file",
        type=Path,
        help="the sweep, a TOML file; see experiments/sweeps",
    )
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("results") / "store",
        metavar="DIR",
        help="folder of the runs, which any sweeps and any commands at one "
        "time may share (default: results/store)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of frames and maps (default: results/sweeps/NAME)",
    )
    parser.add_argument(
        "--metrics",
        action="store_true",
        help="collect writes metrics.csv.gz, too: every metric of every run, "
        "with a column per axis; a later collection without it removes the "
        "file",
    )
    parser.add_argument(
        "--executor",
        choices=EXECUTORS,
        help="processes: of this machine; threads: of this process, which "
        "share compiled programs; ray: a cluster, see --address (default: "
        "processes on a CPU, else threads)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="runs at once, threads or processes (default: one per core on a "
        "CPU)",
    )
    parser.add_argument(
        "--shard",
        default="0/1",
        metavar="I/N",
        help="only the runs that fall to I of N commands, counted from 0, "
        "e.g. of a SLURM array (default: 0/1)",
    )
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help="of a Ray cluster, e.g. ray://host:10001 or auto (default: a "
        "new one on this machine)",
    )
    parser.add_argument(
        "--shared",
        metavar="URL",
        help="a second place for finished runs, of any file system of "
        "fsspec, e.g. s3://bucket/store: those that are there are fetched, "
        "those that are made are sent",
    )
    parser.add_argument(
        "--adaptive",
        type=int,
        metavar="N",
        help="spend at most N runs on each row of the map, where its "
        "threshold is least certain (default: every cell, every seed)",
    )
