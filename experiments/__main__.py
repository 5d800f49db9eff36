"""Runs an experiment: `python -m experiments triangle --seeds 5`."""

import argparse
import importlib.util
import os
import shlex
import signal
import sys
from pathlib import Path

EXPERIMENTS = ("triangle", "controls", "four_languages")
COMMANDS = (*EXPERIMENTS, "reproduce", "theory", "report")
BACKENDS = ("jax", "tensorflow")
LAB = ("pandas", "matplotlib", "scipy", "rich", "jinja2", "filelock")
SEEDS = {"reproduce": 10, "theory": 10, "report": 10}  # 5 otherwise


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Parses a command line; ends the process with 2 if it cannot."""
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
        "same from the runs that are there",
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
        "--jobs",
        type=int,
        metavar="N",
        help="runs at once: threads of one process on JAX (default: one per "
        "core, or fewer if the model is large), processes that share the "
        "cores on TensorFlow (default: 1)",
    )
    parser.add_argument(
        "--pack-size",
        type=int,
        metavar="N",
        help="JAX: seeds in one batch of a program; fewer need less memory "
        "(default: 1 on a CPU, else an even share of each device, or as many "
        "as fit)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the results (default: results/EXPERIMENT; "
        "results/reproduce for theory and report)",
    )
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
    if options.seeds is None:
        options.seeds = SEEDS.get(options.experiment, 5)
    return options


def check_installed(backend: str) -> None:
    """Checks, before keras is imported, that all it needs is there.

    Raises:
        ValueError: if the backend is unknown, or it or a package of the `lab`
            extra is missing.
    """
    if backend not in BACKENDS:
        raise ValueError(
            f"`--backend` must be one of {BACKENDS}. "
            f"Received: backend={backend!r}"
        )
    if not _is_installed(backend):
        extra = "tf-cpu" if backend == "tensorflow" else backend
        raise ValueError(
            f"The backend must be installed: pip install -e '.[{extra}]'. "
            f"Received: backend={backend!r}, which is missing"
        )
    missing = [name for name in LAB if not _is_installed(name)]
    if missing:
        raise ValueError(
            "Experiments need the lab extra: pip install -e '.[lab]'. "
            f"Received: an environment without {', '.join(missing)}"
        )


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # sys.modules holds None, or a module without a spec
        return False


def main(arguments: list[str]) -> int:
    """Runs a command line.

    Returns:
        0; 1 if a file cannot be written or read, or memory is used up; 2 if
        the command is refused, before anything is trained; 130 if it is
        interrupted.
    """
    options = parse_arguments(arguments)
    command = ["python", "-m", "experiments", *arguments]
    try:
        check_installed(options.backend)
        # The backend is read once, when keras is imported.
        os.environ["KERAS_BACKEND"] = options.backend
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        _keep_compiled_programs()
        _do(options, command)
    except KeyboardInterrupt:
        sys.stderr.write(
            "Interrupted. The same command continues from the last saved "
            f"epoch: {shlex.join(command)}\n"
        )
        return 130
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except OSError as error:  # a full disk, a folder taken away
        sys.stderr.write(
            f"error: {error}\nWhat was saved before is kept; the same command "
            f"continues from it: {shlex.join(command)}\n"
        )
        return 1
    except Exception as error:
        message = _explain_memory(error)
        if message is None:
            raise
        sys.stderr.write(message)
        return 1
    return 0


def _explain_memory(error: Exception) -> str | None:
    """Says what to reduce, if an error says that memory is used up."""
    from tiny_gpt.devices import is_out_of_memory

    if not is_out_of_memory(error):
        return None
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (
        "error: The memory of the device is used up. Reduce what is in it at "
        "once: seeds per batch (--pack-size 1, on JAX), runs side by side "
        "(--jobs 1), windows per device (more of them: --num-devices; or a "
        "smaller batch_size in the preset), or the model (--preset quick). "
        f"Received: {lines[0][:300]}\nWhat was saved before is kept; the "
        "same command with fewer goes on from it.\n"
    )


def _do(options: argparse.Namespace, command: list[str]) -> None:
    """Checks and claims all that is asked for, then does it."""
    if options.experiment in EXPERIMENTS:
        from experiments.plan import Plan, choose_placement
        from experiments.runner import execute
        from tiny_gpt.results import hold_folder

        plan = Plan.from_options(options, command, choose_placement(options))
        with hold_folder(plan.folder):
            plan.claim()
            execute(plan)
        return
    from experiments.reproduce import Reproduction
    from tiny_gpt.results import hold_folder

    reproduction = Reproduction.from_options(options, command)
    if options.experiment == "theory":
        with hold_folder(reproduction.folder):
            reproduction.claim()
            reproduction.study()
        return
    if not reproduction.trains:
        reproduction.execute()
        return
    with hold_folder(reproduction.folder):
        reproduction.claim()
        reproduction.execute()


def _interrupt(*_: object) -> None:
    """Ends as Ctrl-C does, for those who stop jobs by SIGTERM (SLURM)."""
    raise KeyboardInterrupt


def _keep_compiled_programs() -> None:
    """Lets JAX keep compiled programs, so that the next process starts fast."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = str(cache / "tiny_gpt" / "jax")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder)
    name = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
    os.environ.setdefault(name, "0.1")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(sys.argv[1:]))
