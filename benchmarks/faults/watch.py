"""The watch in the process of a command: announces steps, injects faults."""

import builtins
import errno
import functools
import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults.fault import Fault

HELD_S = 600.0
WRITER = re.compile(r"saving_.+_\d+_\d+_(?=[^/]+$)")  # host, process, time
KEY = re.compile(r"([0-9a-f]{8})[0-9a-f]{56}")


def name_of(path: Path, folder: Path) -> str:
    """Returns the name of a file, the same in each command.

    It is the path in the trial's folder, without the name of the writer, and
    with short keys.
    """
    name = path.relative_to(folder).as_posix()
    return KEY.sub(r"\1", WRITER.sub("saving_", name))


class Watch:
    """Announces each step of a command, and lets a fault happen there.

    Args:
        fault: the fault.
        folder: of the trial; files elsewhere are not watched.
        pipe: descriptor for the announcements.
    """

    def __init__(self, fault: Fault, folder: Path, pipe: int):
        self._fault, self._folder, self._pipe = fault, folder, pipe
        self._count = 0
        self._lock = threading.Lock()

    def step(self, phase: str, name: str) -> None:
        """Announces a step; raises the fault's error, or waits to be killed."""
        fault, is_here = self._fault, False
        line = json.dumps(
            [time.perf_counter(), threading.get_ident(), phase, name]
        )
        with self._lock:
            if fault.is_at(phase, name):
                is_here = self._count == fault.occurrence
                self._count += 1
            os.write(self._pipe, f"{line}\n".encode())
        if not is_here:
            return
        if fault.action == "kill" and phase == "writing":
            time.sleep(HELD_S)
        if fault.action == "raise":
            raise ArithmeticError(name)
        number = getattr(errno, fault.action, None)
        if number is not None:
            raise OSError(number, os.strerror(number), name)

    def write(self, moment: str, path: Any) -> None:
        """Announces an operation on a file or its descriptor."""
        if isinstance(path, int):
            path = os.path.realpath(f"/proc/self/fd/{path}")
        path = Path(path)
        if path.is_relative_to(self._folder):
            name = name_of(path, self._folder)
            self.step("writing", f"{moment} {name}")

    def watch(self) -> None:
        """Wraps the functions that the command calls."""
        import keras

        from tiny_gpt.callbacks import recorder
        from tiny_gpt.runtime import files
        from tiny_gpt.runtime.programs import JaxProgram
        from tiny_gpt.training import run_setup
        from tiny_gpt.training.epoch_program import EpochProgram
        from tiny_gpt.training.run_files import Record

        watch = self

        class Announcer(keras.callbacks.Callback):
            """Comes before all that is measured."""

            def on_train_begin(self, logs=None):
                self._phase = "compiling"

            def on_train_batch_begin(self, batch, logs=None):
                watch.step(self._phase, "batch")
                self._phase = "stepping"

            def on_epoch_end(self, epoch, logs=None):
                watch.step("evaluating", "epoch")

        def before(holder, name, *step):
            original = getattr(holder, name)

            @functools.wraps(original)
            def wrapped(*args, **options):
                watch.step(*step)
                return original(*args, **options)

            setattr(holder, name, wrapped)

        def around(holder, name, moments, place):
            original = getattr(holder, name)

            @functools.wraps(original)
            def wrapped(*args, **options):
                watch.write(moments[0], args[place])
                result = original(*args, **options)
                watch.write(moments[1], args[place])
                return result

            setattr(holder, name, wrapped)

        callbacks = run_setup.RunSetup.callbacks

        def announced(self, compiled):
            return [Announcer(), *callbacks(self, compiled)]

        run_setup.RunSetup.callbacks = announced  # type: ignore
        before(JaxProgram, "lowered", "compiling", "program")
        before(EpochProgram, "__call__", "stepping", "epoch")
        before(run_setup, "evaluate_exactly", "evaluating", "exactly")

        around(os, "replace", ("renaming", "renamed"), 1)
        around(os, "fsync", ("syncing", "synced"), 0)
        around(os, "unlink", ("removing", "removed"), 0)
        around(os, "mkdir", ("making", "made"), 0)
        around(os, "open", ("opening", "opened"), 0)  # locks
        around(keras.Model, "save_weights", ("opening", "written"), 1)
        from matplotlib.figure import Figure

        around(Figure, "savefig", ("opening", "written"), 1)
        files.open = recorder.open = self._open  # type: ignore[attr-defined]
        create = Record.__init__

        def always_save(record, *args, **options):
            create(record, *args, **options)
            record._save_every_s = 0.0

        Record.__init__ = always_save  # type: ignore

    def _open(self, path, mode="r", *args, **options):
        if not set(mode) & set("wax"):
            return builtins.open(path, mode, *args, **options)
        self.write("opening", path)
        # Closed by `_Writing`.
        file = builtins.open(path, mode, *args, **options)  # noqa: SIM115
        write = file.write

        def in_halves(data):
            half = len(data) // 2
            write(data[:half])
            file.flush()
            self.write("half written", path)
            write(data[half:])
            file.flush()
            self.write("written", path)
            return len(data)

        return _Writing(file, in_halves)


class _Writing:
    """A file that is written in two halves."""

    def __init__(self, file: Any, write: Callable[[Any], int]):
        self._file, self.write = file, write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_Writing":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
