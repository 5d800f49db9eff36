"""The benchmark's side of a trial: starts commands, and ends them."""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.faults.fault import Ended, Fault, Step
from benchmarks.faults.miniature import OUT, serve_command, serve_loading

SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
DEADLINE_S = 480.0  # of a command that takes seconds
HANGS = 99  # exit code of a command that came to no end


class Commands:
    """Starts commands of one backend, forked from a process with all imports.

    Args:
        folder: where logs of the commands and compiled programs are written.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._number = 0
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "programs")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
        self._context = multiprocessing.get_context("forkserver")
        modules = ["tiny_gpt.commands.runner", "experiments.triangle"]
        if "pytest" in sys.modules:
            modules.append("pytest")
        self._context.set_forkserver_preload(modules)

    def start(
        self,
        path: str,
        folder: Path,
        fault: Fault | None = None,
        out: str = OUT,
    ) -> "Command":
        """Starts the command of a path.

        Args:
            path: one of `PATHS`.
            folder: of the trial.
            fault: what happens to it.
            out: name of the results folder in it.
        """
        reader, writer = self._context.Pipe(duplex=False)
        fault, output = fault or Fault(), self._new_output()
        process = self._context.Process(
            target=serve_command,
            args=(path, folder, out, fault, writer, output),
        )
        process.start()
        writer.close()
        return Command(process, reader, output, fault)

    def run(self, path: str, folder: Path, fault: Fault | None = None) -> Ended:
        """Runs a command to its end."""
        return self.start(path, folder, fault).end()

    def load(self, folders: Sequence[Path]) -> Ended:
        """Loads the weights of all runs of some trials' folders."""
        output = self._new_output()
        process = self._context.Process(
            target=serve_loading, args=(folders, output)
        )
        process.start()
        process.join(DEADLINE_S)
        code = 1 if process.exitcode is None else process.exitcode
        return Ended(code, output.read_text(), ())

    def _new_output(self) -> Path:
        self._number += 1
        return self._folder / f"output_{self._number}.txt"


class Command:
    """A running command; `end` sends the fault's signal."""

    def __init__(self, process: Any, reader: Any, output: Path, fault: Fault):
        self._process, self._reader = process, reader
        self._output, self._fault = output, fault
        self._steps: list[Step] = []
        self._rest = b""

    def wait_for(self, phase: str) -> None:
        """Waits until a phase begins, or it is time for the fault."""
        while not any(step.phase == phase for step in self._steps):
            if self._is_time() or not self._read():
                return

    def end(self) -> Ended:
        """Waits for the end, and sends the signal when it is time."""
        fault = self._fault
        deadline = time.perf_counter() + DEADLINE_S
        sent, is_open = False, True
        while is_open:
            if not sent and self._is_time():
                sent = True
                if fault.action == "kill" or fault.action in SIGNALS:
                    time.sleep(fault.delay_s)
                    self._send(SIGNALS.get(fault.action, signal.SIGKILL))
            is_open = self._read(deadline - time.perf_counter())
        self._process.join(max(1.0, deadline - time.perf_counter()))
        code = self._process.exitcode
        if code is None:  # it hangs, and says where
            self._send(signal.SIGUSR1)
            time.sleep(1.0)
            self._process.kill()
            self._process.join()
            code = HANGS
        self._reader.close()
        output = self._output.read_text() if self._output.exists() else ""
        return Ended(code, output, tuple(self._steps))

    def _is_time(self) -> bool:
        fault = self._fault
        met = [s for s in self._steps if fault.is_at(s.phase, s.name)]
        return len(met) > fault.occurrence

    def _send(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self._process.pid, number)

    def _read(self, timeout_s: float = DEADLINE_S) -> bool:
        """Reads the messages of the command; False at their end."""
        if not self._reader.poll(max(0.0, timeout_s)):
            return False
        data = os.read(self._reader.fileno(), 2**16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._steps += [Step(*json.loads(line)) for line in lines]
        return bool(data)


def end_all(commands: Sequence[Command]) -> list[Ended]:
    """Waits for commands that may wait for each other."""
    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(Command.end, commands))
