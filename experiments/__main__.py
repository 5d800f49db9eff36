"""Runs an experiment: `python -m experiments triangle --seeds 5`."""

import argparse
import importlib.util
import os
import shlex
import signal
import sys
from pathlib import Path

from tiny_gpt.commands.running.options import EXPERIMENTS, parse_arguments

BACKENDS = ("jax", "tensorflow")
LAB = ("pandas", "matplotlib", "scipy", "rich", "jinja2", "filelock")


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
        if options.experiment == "sweep" and options.executor != "threads":
            # One thread a program: the same bits on any number of cores.
            os.environ.setdefault("NPROC", "1")
        _keep_compiled_programs()
        return _dispatch(options, command)
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


def _explain_memory(error: Exception) -> str | None:
    """Says what to reduce, if an error says that memory is used up."""
    from tiny_gpt.runtime.environment import is_out_of_memory

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


def _dispatch(options: argparse.Namespace, command: list[str]) -> int:
    """Checks and claims all that is asked for, then does it."""
    if options.experiment == "sweep":
        from tiny_gpt.commands.sweeping.command import run_command

        return run_command(options, command)
    if options.experiment in EXPERIMENTS:
        from tiny_gpt.commands.running.plan import Plan, choose_placement
        from tiny_gpt.commands.running.runner import run_plan
        from tiny_gpt.runtime.results_folder import hold_folder

        plan = Plan.from_options(options, command, choose_placement(options))
        with hold_folder(plan.folder):
            plan.reserve()
            run_plan(plan)
        return 0
    from tiny_gpt.commands.reporting.reproduce import Reproduction
    from tiny_gpt.runtime.results_folder import hold_folder

    reproduction = Reproduction.from_options(options, command)
    if options.experiment == "theory":
        with hold_folder(reproduction.folder):
            reproduction.reserve()
            reproduction.study()
        return 0
    if not reproduction.trains:
        reproduction.execute()
        return 0
    with hold_folder(reproduction.folder):
        reproduction.reserve()
        reproduction.execute()
    return 0


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
