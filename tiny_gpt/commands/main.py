"""The command `tiny-gpt`: its subcommands and exit codes."""

import argparse
import shlex
import signal
import sys
from pathlib import Path

from tiny_gpt.commands.options import build_parsers, parse_arguments
from tiny_gpt.runtime.checks import check_installed
from tiny_gpt.runtime.settings import set_up_process

BACKENDS = ("jax", "tensorflow")
LAB = ("pandas", "matplotlib", "scipy", "rich", "jinja2", "filelock")


def console() -> None:
    """Runs the command line of this process, and ends it."""
    end_on_sigterm()
    sys.exit(main(sys.argv[1:]))


def end_on_sigterm() -> None:
    """Makes SIGTERM act like Ctrl-C; systems such as SLURM stop jobs by it."""
    signal.signal(signal.SIGTERM, _interrupt)


def main(
    arguments: list[str],
    command: list[str] | None = None,
    experiments: Path | None = None,
) -> int:
    """Runs a command line.

    Args:
        arguments: what follows the name of the command.
        command: the whole command, for messages and manifests; by default
            `tiny-gpt` with the arguments.
        experiments: folder of experiments, unless an option names one.

    Returns:
        The exit code: 0; 1 if a file cannot be written or read, or memory is
        used up; 2 if the command is refused, before any training; 130 if it
        is interrupted.
    """
    options = parse_arguments(arguments)
    command = command or ["tiny-gpt", *arguments]
    try:
        if options.command is None:
            return _print_completion(options.print_completion)
        options.experiments = options.experiments or experiments
        _check_backend(options.backend)
        check_installed(*LAB)
        by_default = "processes" if options.command == "sweep" else "threads"
        has_own_threads = (options.executor or by_default) == "threads"
        set_up_process(options.backend, has_own_threads)
        return _dispatch(options, command)
    except KeyboardInterrupt:
        sys.stderr.write(
            "Interrupted. The same command continues from the last saved "
            f"epoch:\n  {shlex.join(command)}\n"
        )
        return 130
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except OSError as error:  # a full disk, a folder taken away
        sys.stderr.write(
            f"error: {error}\nWhat was saved before is kept. The same command "
            f"continues from there:\n  {shlex.join(command)}\n"
        )
        return 1
    except Exception as error:
        message = _explain_memory(error) or _explain_failures(error)
        if message is None:
            raise
        sys.stderr.write(message)
        return 1


def _check_backend(backend: str) -> None:
    """Checks, before keras is imported, that the backend is installed."""
    if backend not in BACKENDS:
        raise ValueError(
            f"`--backend` must be one of {BACKENDS}. "
            f"Received: backend={backend!r}"
        )
    check_installed(backend)


def _print_completion(shell: str) -> int:
    """Prints what a shell evaluates to complete the command."""
    check_installed("shtab")
    import shtab

    sys.stdout.write(shtab.complete(build_parsers()[""], shell))
    return 0


def _explain_memory(error: Exception) -> str | None:
    """Says what to reduce, if an error says that memory is used up."""
    from tiny_gpt.runtime.environment import is_out_of_memory

    if not is_out_of_memory(error):
        return None
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (
        "error: The device is out of memory. Reduce one of these: seeds per "
        "batch (--seeds-per-batch 1, on JAX), runs at once (--jobs 1), windows "
        "per device (more devices with --num-devices, or a smaller batch_size "
        "in the preset), the model (--preset quick). "
        f"Received: {lines[0][:300]}\nWhat was saved before is kept. The same "
        "command with smaller numbers continues from there.\n"
    )


def _explain_failures(error: Exception) -> str | None:
    """Says which runs have failed, or that workers were lost."""
    from tiny_gpt.commands.executors import FailedRunsError
    from tiny_gpt.runtime.processes import LostWorkersError

    if not isinstance(error, (FailedRunsError, LostWorkersError)):
        return None
    return f"{getattr(error, 'details', '')}error: {error}\n"


def _dispatch(options: argparse.Namespace, command: list[str]) -> int:
    """Checks the options and reserves the folders, then runs the command."""
    if options.command == "sweep":
        from tiny_gpt.commands.sweeping.command import run_command

        return run_command(options, command)
    if options.command == "run":
        from tiny_gpt.commands.runner import run_study

        run_study(options, command)
        return 0
    if options.command == "ask":
        from tiny_gpt.commands.asking import run_command as ask

        ask(options, command)
        return 0
    from tiny_gpt.commands.reporting.command import run_command as reproduce

    reproduce(options, command)
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
