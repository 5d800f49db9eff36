"""Command lines of the experiments; nothing here imports keras."""

import argparse
import os
from pathlib import Path

EXPERIMENTS = ("triangle", "controls", "four_languages")
COMMANDS = (*EXPERIMENTS, "reproduce", "theory", "report", "sweep")
SEEDS = {"reproduce": 10, "theory": 10, "report": 10}  # 5 otherwise
ACTIONS = ("run", "status", "collect", "plot")
EXECUTORS = ("threads", "processes", "ray")


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Parses a command line; ends the process with 2 if it cannot."""
    if arguments[:1] == ["sweep"]:
        return _parse_sweep(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description="Trains tiny GPTs on every condition of an experiment, "
        "with several seeds, and writes metrics, summary and figure. The same "
        "command continues what was interrupted.",
    )
    parser.add_argument(
        "experiment",
        choices=COMMANDS,
        help="triangle: Sinha 2024, sec. 3.1 and fig. 2; "
        "controls: what its model really learned; "
        "four_languages: sec. 3.2 and table 1; "
        "reproduce: all three, the verdict on each claim of the paper and a "
        "report; theory: what tests sec. 2, in the same folder; report: the "
        "same from the runs that are there; sweep: a grid of experiments, see "
        "sweep --help",
    )
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
        metavar="N",
        help="number of seeds (default: 5; 10 for reproduce)",
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
        "results/reproduce for theory and report)",
    )
    _add_where(parser)
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
    options = parser.parse_args(arguments)
    if options.experiment == "sweep":
        parser.error("sweep comes first, before its options")
    if options.seeds is None:
        options.seeds = SEEDS.get(options.experiment, 5)
    return options


def _add_where(parser: argparse.ArgumentParser) -> None:
    """Adds what every command can be told of backend and devices."""
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
        "--pack-size",
        type=int,
        metavar="N",
        help="JAX: seeds in one batch of a program; fewer need less memory "
        "(default: 1 on a CPU, else an even share of each device, or as many "
        "as fit)",
    )


def _parse_sweep(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m experiments sweep",
        description="Runs every cell of a grid with every seed, and draws "
        "where success begins. Finished runs are found again by their "
        "content; the same command continues what was interrupted.",
    )
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
    _add_where(parser)
    options = parser.parse_intermixed_args(arguments)
    options.experiment, options.distributed = "sweep", False
    return options
