"""Groups of options that commands share; nothing here imports keras."""

import argparse
import os
from pathlib import Path

ACTIONS = ("run", "status", "collect", "plot", "forget")
EXECUTORS = ("threads", "processes", "ray", "slurm")


def add_runs(parser: argparse.ArgumentParser, command: str) -> None:
    """Adds the options of presets, seeds and results."""
    num_seeds = 5 if command == "run" else 10
    folder = "EXPERIMENT" if command == "run" else "reproduce"
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
        help="only these conditions (default: all)",
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
        help=f"folder of the results (default: results/{folder})",
    )
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="JAX: train on the devices of several hosts; run this command on "
        "each of them",
    )
    parser.add_argument(
        "--clipping",
        choices=("global", "per_replica"),
        default="global",
        help="global: clip the gradients of the whole batch; per_replica: "
        "clip those of each device before they are summed, as in sec. 3.2 of "
        "the paper; needs several devices on TensorFlow (default: global)",
    )
    parser.add_argument(
        "--checkpoints",
        action="store_true",
        help="keep weights of all epochs around an event, and of ever fewer "
        "of the others, in the store; runs that lack them are trained again",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace results of another configuration in the same folder",
    )


def add_where(parser: argparse.ArgumentParser) -> None:
    """Adds the options of backend and devices, which every command has."""
    parser.add_argument(
        "--backend",
        default=os.environ.get("KERAS_BACKEND", "jax"),
        help="Keras backend, jax or tensorflow (default: the environment "
        "variable KERAS_BACKEND, or jax)",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "default", "mixed_bfloat16"),
        default="float32",
        help="float32: true float32 products; default: what the backend "
        "prefers, TF32 on recent GPUs; mixed_bfloat16: layers compute in "
        "bfloat16; weights, logits and loss stay in float32 (default: "
        "float32)",
    )
    parser.add_argument(
        "--devices",
        choices=("auto", "cpu", "gpu", "tpu"),
        default="auto",
        help="auto: what the backend offers first; a kind that is missing is "
        "an error (default: auto)",
    )
    parser.add_argument(
        "--num-devices",
        type=int,
        metavar="N",
        help="devices to use; changes the time, not the results (default: "
        "all of the kind)",
    )
    parser.add_argument(
        "--tpu",
        metavar="WHICH",
        help="TensorFlow: local, or the name of a TPU VM (default with "
        "--devices tpu: local)",
    )
    parser.add_argument(
        "--seeds-per-batch",
        type=int,
        metavar="N",
        help="JAX: seeds that are trained as one batch; fewer need less "
        "memory (default: 1 on a CPU, else as many as fit, shared evenly among "
        "devices)",
    )


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a sweep."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=ACTIONS,
        help="run: train what is not finished; status: count finished runs; "
        "collect: write frames and thresholds of finished runs; plot: draw "
        "maps of what was collected; forget: remove the weights that were "
        "kept (default: run, collect and plot)",
    )
    parser.add_argument(
        "file",
        type=Path,
        help="the sweep, a TOML file, e.g. "
        "experiments/sweeps/samples_by_majority.toml",
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
        help="also collect every metric of every run, into metrics.csv.gz; a "
        "later collection without this option removes the file",
    )
    parser.add_argument(
        "--adaptive",
        type=int,
        metavar="N",
        help="train at most N runs per row of the map, where its threshold is "
        "least certain (default: every seed of every cell)",
    )


def add_ask(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a question."""
    parser.set_defaults(clipping="global", overwrite=False)
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="results folder of an experiment, e.g. results/triangle, or the "
        "name of a pretrained network, e.g. triangle/sparse_a_to_c",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="a sentence of the source language (default: lines are read)",
    )
    parser.add_argument(
        "--condition",
        metavar="NAME",
        help="condition of the network (default: the last of the folder)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="seed of the network (default: the first of the folder)",
    )
    parser.add_argument(
        "--mapping",
        metavar="X->Y",
        help='what is asked, e.g. "A->C" (default: the last of the condition)',
    )
    parser.add_argument(
        "--epoch",
        type=int,
        metavar="N",
        help="weights after this epoch; those around events are kept "
        "(default: the end)",
    )
    parser.add_argument(
        "--demonstrations",
        type=int,
        default=2,
        metavar="N",
        help="solved pairs before the question (default: 2)",
    )
    parser.add_argument(
        "--prompt-seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the solved pairs (default: 0)",
    )


def add_store(parser: argparse.ArgumentParser, command: str) -> None:
    """Adds the options of the store, and of where its runs are trained."""
    on_cpu = "processes on a CPU, else threads"
    if command != "sweep":
        on_cpu = "threads; processes for --jobs above 1 on TensorFlow"
    parser.add_argument(
        "--track",
        choices=("tensorboard", "wandb"),
        help="show finished runs, with their events, in TensorBoard (files in "
        "the results folder) or Weights & Biases (project tiny_gpt) as well",
    )
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("results") / "store",
        metavar="DIR",
        help="folder of all runs, each found by its content; several commands "
        "may share it at once (default: results/store)",
    )
    parser.add_argument(
        "--keep-weights",
        action="store_true",
        help="keep trained weights; runs that lack them are trained again",
    )
    parser.add_argument(
        "--executor",
        choices=EXECUTORS,
        help="where runs are trained; processes: one run each; threads: of "
        "one process, with shared compiled programs; ray: a cluster, see "
        f"--address; slurm: an array of jobs, see --slurm (default: {on_cpu})",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="runs at once, threads or processes (default: one per core on a "
        "CPU, fewer if the model is large; one on TensorFlow); jobs of SLURM "
        "(default: 8)",
    )
    parser.add_argument(
        "--shard",
        default="0/1",
        metavar="I/N",
        help="train part I of N of the runs, counted from 0, e.g. in a SLURM "
        "array, and no more; the whole command then draws (default: 0/1)",
    )
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help="address of a Ray cluster, e.g. ray://host:10001 or auto "
        "(default: a new one on this machine)",
    )
    parser.add_argument(
        "--slurm",
        nargs="+",
        metavar="NAME=VALUE",
        help="of the jobs: parameters of sbatch, e.g. partition=gpu "
        "cpus-per-task=2 time=120, in minutes (default: time=60)",
    )
    parser.add_argument(
        "--shared",
        metavar="URL",
        help="a second store, on any file system of fsspec, e.g. "
        "s3://bucket/store; its finished runs are fetched, ours are sent",
    )
