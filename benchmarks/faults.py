"""What survives when a command is killed, stopped, or finds damaged files.

Question  Does the same command, started again, end with the same bytes as one
          that was never stopped?
Run       python -m benchmarks.faults docs/faults
Time      13 minutes on 2 CPU cores, shared with other work

The real command line, `python -m experiments triangle`, on a miniature of two
conditions, two seeds and `NUM_EPOCHS` epochs, saved after each. It says
through a pipe what it is about to do; that is where it is killed, stopped,
or given an error. Then the same command is started again. Survived means:
exit code 0, the bytes of `metrics.csv`, `events.csv` and the logs and the hash
of the weights of every run are those of a command never stopped, the saved
weights have that hash, and no other file is left over. Detected means: the
command said what was wrong, or a damaged file was set aside or written anew;
empty where there is nothing to detect. Lost is what did not survive, was not
detected, or left a file with its final name that is not whole.

Kills are SIGKILL at a random moment of each phase; in the phase "writing" the
process is held between two system calls while it is killed. A few are killed
again in the next attempt. A full disk is an injected ENOSPC at each
kind of write, and a limit on the size of files, which cuts a write in the
middle. Damaged weights are found by who loads them; then the files of their
run are removed, and it is trained again.

`fit` has no compiled programs to keep, and is slow to start; so its command
finds three of the four runs finished, as if it had been killed before. The
command line uses `fit` on TensorFlow alone; on JAX it is put in place of the
compiled path.
"""

import builtins
import dataclasses
import errno
import faulthandler
import functools
import itertools
import json
import multiprocessing
import os
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PATHS = {
    "compiled, many seeds": "jax",
    "fit on JAX": "jax",
    "fit on TensorFlow": "tensorflow",
}
PHASES = ("compiling", "stepping", "evaluating", "writing")
CONDITIONS = ("a_to_c_alone", "sparse_a_to_c")
SEEDS = (3, 4)
NUM_EPOCHS = 4
KILLS = 20  # on each path
MOMENTS = ("half written", "written", "renaming", "renamed", "removed")
DAMAGES = ("cut", "flip", "empty")
COLUMNS = (
    "path",
    "kind",
    "phase",
    "point",
    "seed",
    "survived",
    "detected",
    "lost",
    "seconds",
)
SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
DEADLINE_S = 480.0  # of a command that takes seconds
HELD_S = 600.0
HANGS = 99  # exit code of a command that came to no end


@dataclass(frozen=True)
class Fault:
    """What happens to a command, and when.

    Attributes:
        action: "kill", "SIGINT", "SIGTERM", or the name of an error, such as
            "ENOSPC"; "" for nothing.
        phase: one of `PHASES`.
        name: of the step, e.g. "renaming metrics.csv"; None for any.
        occurrence: number of the step among those of that phase and name,
            from 0.
        delay_s: seconds from the beginning of the step to a signal.
        largest_file: bytes that a file may have; None for no limit.
    """

    action: str = ""
    phase: str = ""
    name: str | None = None
    occurrence: int = 0
    delay_s: float = 0.0
    largest_file: int | None = None

    def is_at(self, phase: str, name: str) -> bool:
        """Tells whether a step is of the kind at which it happens."""
        return phase == self.phase and self.name in (None, name)


@dataclass(frozen=True)
class Step:
    """One thing that a command was about to do.

    Attributes:
        at_s: when, in seconds of its clock.
        thread: which of its threads.
        phase: one of `PHASES`.
        name: what, e.g. "renaming metrics.csv".
    """

    at_s: float
    thread: int
    phase: str
    name: str


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; that of a killed one is negative.
        output: what it printed.
        steps: what it did.
    """

    code: int
    output: str
    steps: tuple[Step, ...]

    @property
    def was_refused(self) -> bool:
        """Whether it ended with a message, 1 or 2, and no traceback."""
        is_said = "error: " in self.output
        is_handled = "Traceback" not in self.output
        return self.code in (1, 2) and is_said and is_handled

    @property
    def was_interrupted(self) -> bool:
        """Whether it ended with 130 and said how to continue."""
        is_said = "The same command continues" in self.output
        return self.code == 130 and is_said and "Traceback" not in self.output


# In the process of the command.


def shrink(
    build_experiment: Callable[[str, str], Any], preset: str, condition: str
) -> Any:
    """Returns a condition that trains in no time."""
    from tiny_gpt.mixture import Component, Mixture
    from tiny_gpt.vocabulary import vocabulary_size

    experiment = build_experiment(preset, condition)
    components = tuple(
        Component(c.mapping, n if c.num_pairs else 0)
        for c, n in zip(
            experiment.mixture.components, (30, 20, 40), strict=True
        )
    )
    mixture = Mixture(components, alphabet_size=4, sentence_length=2)
    return dataclasses.replace(
        experiment,
        mixture=mixture,
        model=dataclasses.replace(
            experiment.model,
            vocabulary_size=vocabulary_size(mixture, experiment.tokens),
            num_layers=1,
            num_heads=2,
            head_dim=4,
        ),
        train=dataclasses.replace(
            experiment.train,
            num_epochs=NUM_EPOCHS,
            batch_size=4,
            learning_rate=0.02,
            min_loss_drop=0.02,
        ),
        evaluation=dataclasses.replace(
            experiment.evaluation,
            num_sentences=16,
            num_demonstrations=1,
            num_loss_windows=4,
            exact_demonstrations=(1,),
            is_asked_after_others=False,
        ),
    )


class Watch:
    """Says what a command is about to do, and lets a fault happen there.

    Args:
        fault: what is to happen.
        folder: results folder; files elsewhere are not watched.
        pipe: descriptor that is written to.
    """

    def __init__(self, fault: Fault, folder: Path, pipe: int):
        self._fault, self._folder, self._pipe = fault, folder, pipe
        self._count = 0
        self._lock = threading.Lock()

    def step(self, phase: str, name: str) -> None:
        """Says what comes next; an error is raised, a kill waited for."""
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
        number = getattr(errno, fault.action, None)
        if number is not None:
            raise OSError(number, os.strerror(number), name)

    def write(self, moment: str, path: Any) -> None:
        """Says what is done to a file, or its descriptor."""
        if isinstance(path, int):
            path = os.path.realpath(f"/proc/self/fd/{path}")
        path = Path(path)
        if self._folder in path.parents or path == self._folder:
            self.step("writing", f"{moment} {path.name}")

    def watch(self) -> None:
        """Puts itself between the command and what it calls."""
        import keras

        from tiny_gpt import backend, files, preparation
        from tiny_gpt.callbacks import recorder
        from tiny_gpt.epoch_program import EpochProgram
        from tiny_gpt.record import Record

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

        callbacks = preparation.Preparation.callbacks

        def announced(self, asker):
            return [Announcer(), *callbacks(self, asker)]

        preparation.Preparation.callbacks = announced  # type: ignore
        before(backend, "_compile", "compiling", "program")
        before(EpochProgram, "__call__", "stepping", "epoch")
        before(preparation, "evaluate_exactly", "evaluating", "exactly")

        around(os, "replace", ("renaming", "renamed"), 1)
        around(os, "fsync", ("syncing", "synced"), 0)
        around(os, "unlink", ("removing", "removed"), 0)
        around(os, "mkdir", ("making", "made"), 0)
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


def fit_jobs(jobs: Sequence[Any], *_: Any, **__: Any) -> Iterator[Any]:
    """Runs jobs through `fit`, in place of `run_jobs`."""
    import keras

    from tiny_gpt.train import run

    for job in jobs:
        yield job, run(job.experiment, job.seed, job.record)
        keras.utils.clear_session()


def command_line(path: str, folder: Path) -> list[str]:
    """Returns the arguments of the command."""
    seeds = ["--seeds", str(len(SEEDS)), "--first-seed", str(SEEDS[0])]
    where = ["--out", str(folder), "--backend", PATHS[path]]
    return ["triangle", "--conditions", *CONDITIONS, *seeds, *where]


def serve_command(
    path: str, folder: Path, fault: Fault, pipe: Any, output: Path
) -> None:
    """Runs the command in this process, and ends it."""
    _print_into(output)
    # As in a terminal; a shell makes what it starts with & ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.register(signal.SIGUSR1, sys.stderr)
    from experiments import runner, triangle

    triangle.build_experiment = functools.partial(
        shrink, triangle.build_experiment
    )
    if path == "fit on JAX":
        runner.run_jobs = fit_jobs  # type: ignore[assignment]
    Watch(fault, folder, pipe.fileno()).watch()
    if fault.largest_file is not None:
        limit = fault.largest_file
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv = ["experiments", *command_line(path, folder)]
    runpy.run_module("experiments", run_name="__main__")


def serve_loading(folders: Sequence[Path], output: Path) -> None:
    """Loads all weights in some folders; ends with 2 if some are refused."""
    _print_into(output)
    from experiments import triangle
    from tiny_gpt.files import DamagedFileError
    from tiny_gpt.train import load_model

    for folder in folders:
        for condition in CONDITIONS:
            experiment = shrink(triangle.build_experiment, "quick", condition)
            for seed in SEEDS:
                record = folder / "runs" / condition / f"seed_{seed}"
                try:
                    load_model(experiment, seed, record)
                except DamagedFileError as error:
                    sys.stderr.write(f"error: {error}\n")
                    sys.exit(2)


def _print_into(output: Path) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)


# In the process of the benchmark, which never computes.


class Commands:
    """Starts commands of one backend, forked from a process that has imported.

    Args:
        folder: where logs of the commands and compiled programs go.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._number = 0
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "programs")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
        self._context = multiprocessing.get_context("forkserver")
        modules = ["experiments.runner", "experiments.triangle"]
        if "pytest" in sys.modules:
            modules.append("pytest")
        self._context.set_forkserver_preload(modules)

    def start(
        self, path: str, folder: Path, fault: Fault | None = None
    ) -> "Command":
        """Starts the command of a path, with a fault."""
        reader, writer = self._context.Pipe(duplex=False)
        output = self._new_output()
        arguments = (path, folder, fault or Fault(), writer, output)
        process = self._context.Process(target=serve_command, args=arguments)
        process.start()
        writer.close()
        return Command(process, reader, output, fault or Fault())

    def run(self, path: str, folder: Path, fault: Fault | None = None) -> Ended:
        """Runs a command to its end."""
        return self.start(path, folder, fault).end()

    def load(self, folders: Sequence[Path]) -> Ended:
        """Loads the weights of all runs of some folders."""
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
    """A command that runs; the fault's signal is sent by `end`."""

    def __init__(self, process: Any, reader: Any, output: Path, fault: Fault):
        self._process, self._reader = process, reader
        self._output, self._fault = output, fault
        self._steps: list[Step] = []
        self._rest = b""

    def wait_for(self, phase: str) -> None:
        """Waits until a phase begins."""
        while not any(step.phase == phase for step in self._steps):
            if not self._read():
                return

    def end(self) -> Ended:
        """Waits for the end, and sends the signal when it is time."""
        fault = self._fault
        deadline = time.perf_counter() + DEADLINE_S
        sent = False
        while self._read(deadline - time.perf_counter()):
            met = [s for s in self._steps if fault.is_at(s.phase, s.name)]
            if not sent and len(met) > fault.occurrence:
                sent = True
                if fault.action == "kill" or fault.action in SIGNALS:
                    time.sleep(fault.delay_s)
                    self._send(SIGNALS.get(fault.action, signal.SIGKILL))
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

    def _send(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self._process.pid, number)

    def _read(self, timeout_s: float = DEADLINE_S) -> bool:
        """Reads what the command says; False at its end."""
        if not self._reader.poll(max(0.0, timeout_s)):
            return False
        data = os.read(self._reader.fileno(), 2**16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._steps += [Step(*json.loads(line)) for line in lines]
        return bool(data)


@dataclass(frozen=True)
class Result:
    """What a finished command leaves.

    Attributes:
        frames: bytes of the frames and of the logs of each run, by name.
        hashes: SHA-256 of the weights of each run, by its record.
        names: files, but those that were set aside.
    """

    frames: dict[str, bytes]
    hashes: dict[str, str]
    names: frozenset[str]


def read_result(folder: Path) -> Result:
    """Reads what a finished command left."""
    from tiny_gpt.files import unseal

    names = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".damaged" not in path.name
    }
    return Result(
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in (
                folder / "metrics.csv",
                folder / "events.csv",
                *folder.glob("runs/*/*.jsonl"),
            )
        },
        {
            str(path.relative_to(folder)): unseal(path)["weights_hash"]
            for path in sorted(folder.glob("runs/*/*.json"))
        },
        frozenset(names),
    )


def find_half_written(folder: Path) -> list[str]:
    """Returns the files that have their final name and are not whole."""
    from tiny_gpt.files import DamagedFileError, read_checkpoint, unseal
    from tiny_gpt.results import read_manifest

    half = []
    for path in folder.rglob("*"):
        if path.name.startswith("saving_") or not path.is_file():
            continue
        try:
            if path.suffix == ".checkpoint":
                read_checkpoint(path)
            elif path.name == "manifest.json":
                read_manifest(folder)
            elif path.suffix == ".json" and path.parent != folder:
                unseal(path)
        except DamagedFileError:
            half.append(path.name)
    return half


def damage(path: Path, how: str) -> None:
    """Cuts a file in half, flips one of its bits, or empties it."""
    whole = path.read_bytes()
    half = len(whole) // 2
    if path.suffix == ".h5":  # half of such a file is never read
        half = _place_of_a_weight(path)
    flipped = whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]
    path.write_bytes({"cut": whole[:half], "flip": flipped, "empty": b""}[how])


def _place_of_a_weight(path: Path) -> int:
    import h5py

    found: list[int] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.size > 1:
            found.append(item.id.get_offset())

    with h5py.File(path) as file:
        file.visititems(visit)
    return found[0]


def draw_fault(
    steps: Sequence[Step],
    action: str,
    phase: str,
    rng: np.random.Generator,
    moment: str = "",
) -> Fault:
    """Draws when a signal comes, from what a command did undisturbed.

    Args:
        steps: what it did.
        action: the signal.
        phase: where it is to come.
        rng: source of randomness.
        moment: beginning of the names to choose from, in "writing".
    """
    of_phase = [step for step in steps if step.phase == phase]
    chosen = [step for step in of_phase if step.name.startswith(moment)]
    step = chosen[rng.integers(len(chosen))]
    if phase == "writing":  # threads take turns, so files are told by name
        alike = [other for other in of_phase if other.name == step.name]
        delay = 0.0 if action == "kill" else rng.uniform(0, 0.01)
        return Fault(action, phase, step.name, alike.index(step), delay)
    after = [
        other.at_s - step.at_s
        for other in steps
        if other.thread == step.thread and other.at_s > step.at_s
    ]
    delay = rng.uniform(0, min(after, default=0.0))
    return Fault(action, phase, None, of_phase.index(step), delay)


def _steps_of(steps: Sequence[Step], i: int) -> tuple[Step, ...]:
    """Returns what a command does for the last seed of a condition alone."""
    starts = [
        place
        for place, step in enumerate(steps)
        if (step.phase, step.name) == ("compiling", "batch")
    ]
    (end,) = (
        place
        for place, step in enumerate(steps)
        if step.name == "opening saving_metrics.csv"
    )
    run = (i + 1) * len(SEEDS) - 1
    stop = [*starts, end][run + 1]
    return (*steps[starts[run] : stop], *steps[end:])


class Trials:
    """Injects faults into the command of one path.

    Args:
        path: one of `PATHS`.
        commands: starts commands.
        folder: where results folders go.

    Attributes:
        reference: what a command that was never stopped leaves.
        steps: what it did.
        num_epochs: epochs that the last command trained.
        rows: one dictionary per fault, with the keys `COLUMNS`.
    """

    def __init__(self, path: str, commands: Commands, folder: Path):
        self.path, self._commands, self._folder = path, commands, folder
        self.rows: list[dict[str, Any]] = []
        self._whole = folder / "reference"
        ended = commands.run(path, self._whole)
        if ended.code:
            raise RuntimeError(f"{path} does not run:\n{ended.output}")
        self.reference = read_result(self._whole)
        self.steps, self.num_epochs = ended.steps, 0
        self._starts: list[tuple[str | None, tuple[Step, ...]]] = [
            (None, ended.steps)
        ]
        if path.startswith("fit"):  # slow, so only one run is left to do
            self._starts = [
                (self._run_of(condition), _steps_of(ended.steps, i))
                for i, condition in enumerate(CONDITIONS)
            ]

    def _run_of(self, condition: str) -> str:
        return f"runs/{condition}/seed_{SEEDS[-1]}"

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder)) / "results"

    def _run(self, folder: Path, fault: Fault | None = None) -> Ended:
        return self._commands.run(self.path, folder, fault)

    def _start_folder(self, run: str | None) -> Path:
        """Returns a new folder, or one in which all runs but one are done."""
        from tiny_gpt.results import read_manifest, write_manifest

        folder = self._new_folder()
        if run is None:
            return folder
        shutil.copytree(self._whole, folder)
        manifest = read_manifest(folder)
        for path in folder.iterdir():
            if path.is_file():
                path.unlink()
        for path in folder.glob(f"{run}.*"):
            path.unlink()
        claimed = {name: manifest[name] for name in ("format", "config")}
        write_manifest(folder, {**claimed, "status": "unfinished"})
        return folder

    def _finish(self, folder: Path) -> bool:
        """Starts the command until it ends, and compares what it left."""
        ended = self._run(folder)
        self.num_epochs = sum(
            (step.phase, step.name) == ("evaluating", "epoch")
            for step in ended.steps
        )
        try:
            is_same = read_result(folder) == self.reference
        except (OSError, ValueError):
            is_same = False
        if ended.code or not is_same:
            sys.stderr.write(f"{folder} {ended.code}\n{ended.output}\n")
        return is_same and ended.code == 0

    def _add(
        self,
        kind: str,
        fault: Fault,
        seed: int,
        survived: bool,
        detected: bool | None,
        start: float,
    ) -> bool:
        """Adds a row; returns whether nothing is lost."""
        is_lost = not survived or detected is False
        self.rows.append(
            {
                "path": self.path,
                "kind": kind,
                "phase": fault.phase,
                "point": fault.name,
                "seed": seed,
                "survived": survived,
                "detected": detected,
                "lost": is_lost,
                "seconds": round(time.perf_counter() - start, 1),
            }
        )
        sys.stderr.write(f"{self.rows[-1]}\n")
        return not is_lost

    def signal(
        self, action: str, phase: str, seed: int, moment: str = ""
    ) -> bool:
        """Kills or stops the command, and starts it again.

        Returns:
            Whether nothing is lost, as all that follow.
        """
        rng = np.random.default_rng(seed)
        for _ in range(5):  # until it comes before the end
            start = time.perf_counter()
            run, steps = self._starts[rng.integers(len(self._starts))]
            fault = draw_fault(steps, action, phase, rng, moment)
            folder = self._start_folder(run)
            ended = self._run(folder, fault)
            if ended.code != 0:
                break
        detected = None
        if action in SIGNALS:
            detected = ended.was_interrupted
        is_whole = not find_half_written(folder)
        if action == "kill":
            is_whole &= ended.code == -signal.SIGKILL
            if rng.random() < 0.25:
                again = PHASES[rng.integers(1, len(PHASES))]
                self._run(folder, Fault("kill", again))
                is_whole &= not find_half_written(folder)
                point = f"{fault.name or 'any'}, then in {again}"
                fault = dataclasses.replace(fault, name=point)
        survived = is_whole and self._finish(folder)
        if not survived or detected is False:
            sys.stderr.write(f"{fault} {folder} {ended.code} {ended.output}\n")
        kind = "killed" if action == "kill" else action
        return self._add(kind, fault, seed, survived, detected, start)

    def error(self, error: str, name: str, seed: int) -> bool:
        """Lets a write fail, at any of its occurrences.

        Args:
            error: name of the error, e.g. "ENOSPC".
            name: what fails: a moment and the end of a file's name.
            seed: chooses the occurrence.
        """
        start = time.perf_counter()
        rng = np.random.default_rng(seed)
        run, steps = self._starts[rng.integers(len(self._starts))]
        moment, _, end = name.rpartition(" ")
        chosen = [
            step
            for step in steps
            if step.name.startswith(moment) and step.name.endswith(end)
        ]
        step = chosen[rng.integers(len(chosen))]
        occurrence = [s for s in steps if s.name == step.name].index(step)
        fault = Fault(error, "writing", step.name, occurrence)
        kinds = {"ENOSPC": "full disk", "EACCES": "no permission"}
        return self._refuse(kinds[error], fault, seed, run, start)

    def limit(self, seed: int, largest_file: int) -> bool:
        """Lets every write fail that makes a file too large."""
        start = time.perf_counter()
        run, _ = self._starts[seed % len(self._starts)]
        name = f"files of {largest_file} bytes at most"
        fault = Fault("", "writing", name, largest_file=largest_file)
        return self._refuse("full disk", fault, seed, run, start)

    def _refuse(
        self,
        kind: str,
        fault: Fault,
        seed: int,
        run: str | None,
        start: float,
    ) -> bool:
        folder = self._start_folder(run)
        ended = self._run(folder, fault)
        detected = ended.was_refused
        is_whole = not folder.exists() or not find_half_written(folder)
        survived = is_whole and self._finish(folder)
        if not survived or not detected:
            sys.stderr.write(f"{fault} {folder} {ended.code} {ended.output}\n")
        return self._add(kind, fault, seed, survived, detected, start)

    def no_folder(self, seed: int) -> bool:
        """Puts a file where the folder should be, then takes it away."""
        start = time.perf_counter()
        folder = self._new_folder()
        folder.write_text("")
        ended = self._run(folder)
        folder.unlink()
        detected, survived = ended.was_refused, self._finish(folder)
        fault = Fault("", "writing", "a file in place of the folder")
        return self._add(
            "no permission", fault, seed, survived, detected, start
        )

    def damage(
        self, names: Sequence[str], how: str, is_finished: bool, seed: int
    ) -> bool:
        """Damages files that a command left.

        Args:
            names: paths inside the results folder; "run" stands for a run.
            how: one of `DAMAGES`.
            is_finished: whether the command had come to its end; if not, the
                run has saved three times.
            seed: of the row.
        """
        start = time.perf_counter()
        run, folder = self._run_of(CONDITIONS[0]), self._new_folder()
        fault = Fault("", "", f"{' and '.join(names)}, {how}")
        names = [name.replace("run", run) for name in names]
        shutil.copytree(
            self._whole if is_finished else self._midway_folder, folder
        )
        for name in names:
            damage(folder / name, how)
        if names[0].endswith(".h5"):  # no command reads them
            detected: bool | None = self._commands.load([folder]).was_refused
            for path in folder.glob(f"{run}.*"):
                path.unlink()
            survived = self._finish(folder)
        else:
            survived = self._finish(folder)
            detected = all(self._is_right(folder, name) for name in names)
            if names == [f"{run}.previous.checkpoint"]:
                detected = None  # nobody reads it
        kind = "damaged, finished" if is_finished else "damaged, midway"
        return self._add(kind, fault, seed, survived, detected, start)

    def _is_right(self, folder: Path, name: str) -> bool:
        """Tells whether a damaged file was set aside or written anew."""
        path, whole = folder / name, self._whole / name
        if list(path.parent.glob(f"{path.name}.damaged*")):
            return True
        return whole.exists() and path.read_bytes() == whole.read_bytes()

    @functools.cached_property
    def _midway_folder(self) -> Path:
        run = self._run_of(CONDITIONS[0])
        is_alone = self.path.startswith("fit")
        folder = self._start_folder(run if is_alone else None)
        name = f"renamed {Path(run).name}.checkpoint"
        self._run(folder, Fault("kill", "writing", name, 2))
        return folder

    def race(self, phase: str, seed: int) -> bool:
        """Starts a second command when the first is in a phase, or at once."""
        start = time.perf_counter()
        folder = self._start_folder(self._starts[0][0])
        first = self._commands.start(self.path, folder)
        if phase:
            first.wait_for(phase)
        second = self._commands.start(self.path, folder)
        ended = sorted((first.end(), second.end()), key=lambda e: e.code)
        detected = (
            [e.code for e in ended] == [0, 2]
            and ended[1].was_refused
            and "another process is using" in ended[1].output
        )
        survived = read_result(folder) == self.reference
        fault = Fault("", phase, "two at once")
        return self._add("race", fault, seed, survived, detected, start)

    def repeat(self, seed: int) -> bool:
        """Runs the command anew, undisturbed."""
        start = time.perf_counter()
        survived = self._finish(self._new_folder())
        return self._add("repeated", Fault(), seed, survived, None, start)

    def load_all(self, seed: int) -> bool:
        """Loads the saved weights of every run of every finished folder."""
        start = time.perf_counter()
        folders = [
            path
            for path in self._folder.glob("*/results")
            if (path / "metrics.csv").exists()
        ]
        is_right = True
        for i in range(0, len(folders), 8):
            ended = self._commands.load(folders[i : i + 8])
            if ended.code:
                sys.stderr.write(f"{ended.code} {ended.output}\n")
            is_right &= ended.code == 0
        fault = Fault("", "", f"all of {len(folders)} folders")
        return self._add("weights loaded", fault, seed, is_right, None, start)


# What is written, and at which moment it fails.
WRITES = (
    "half written saving_manifest.json",
    "making runs",
    "half written .jsonl",
    "half written .checkpoint",
    "opening .weights.h5",
    "renaming .weights.h5",
    "half written saving_seed_4.json",
    "half written saving_metrics.csv",
    "half written saving_events.csv",
    "half written saving_summary.json",
    "opening figure_2.png.tmp",
    "half written saving_table_1.md",
    "renaming manifest.json",
)
LIMITS = (5_000, 7_000, 20_000, 60_000, 150_000)  # bytes
MIDWAY = (
    ("run.checkpoint",),
    ("run.previous.checkpoint",),
    ("run.checkpoint", "run.previous.checkpoint"),
    ("run.jsonl",),
    ("manifest.json",),
)
FINISHED = (
    ("run.json",),
    ("run.weights.h5",),
    ("run.jsonl",),
    ("metrics.csv",),
    ("events.csv",),
    ("manifest.json",),
)


def try_all(trials: Trials) -> None:
    """Tries every fault on one path; the slower paths get fewer errors."""
    seeds = itertools.count()
    is_fast = trials.path == "compiled, many seeds"
    trials.repeat(next(seeds))
    for i in range(KILLS):
        phase = PHASES[i % len(PHASES)]
        moment = MOMENTS[i // len(PHASES) % len(MOMENTS)]
        trials.signal(
            "kill", phase, next(seeds), moment if phase == "writing" else ""
        )
    for i, phase in enumerate(PHASES):
        for action in SIGNALS if is_fast else [list(SIGNALS)[i % 2]]:
            trials.signal(action, phase, next(seeds))
    for name in WRITES if is_fast else WRITES[2:5]:
        trials.error("ENOSPC", name, next(seeds))
    for limit in LIMITS if is_fast else LIMITS[2:3]:
        trials.limit(next(seeds), limit)
    denied = ("renaming manifest.json", "making runs", "renaming .checkpoint")
    for name in denied if is_fast else denied[2:]:
        trials.error("EACCES", name, next(seeds))
    if is_fast:
        trials.no_folder(next(seeds))
    for how in DAMAGES if is_fast else ["flip"]:
        for names in MIDWAY if is_fast else MIDWAY[::2]:
            trials.damage(names, how, False, next(seeds))
        for names in FINISHED if is_fast else FINISHED[:3]:
            trials.damage(names, how, True, next(seeds))
    for phase in ("", "compiling", "writing") if is_fast else [""]:
        trials.race(phase, next(seeds))
    trials.load_all(next(seeds))


def main() -> None:
    """Tries all paths, or those of one backend in this process."""
    folder = Path(sys.argv[1])
    if len(sys.argv) == 3:
        rows = []
        with tempfile.TemporaryDirectory() as temporary:
            commands = Commands(Path(temporary))
            for i, path in enumerate(PATHS):
                if PATHS[path] == sys.argv[2]:
                    of_path = Path(temporary) / str(i)
                    of_path.mkdir()
                    trials = Trials(path, commands, of_path)
                    try_all(trials)
                    rows += trials.rows
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    # Side by side, on a core each.
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.faults", str(folder), backend],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KERAS_BACKEND": backend},
        )
        for backend in dict.fromkeys(PATHS.values())
    ]
    outputs = [process.communicate()[0] for process in running]
    rows = [row for text in outputs for row in json.loads(text)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    _write(folder, frame, time.perf_counter() - start)


def _write(folder: Path, frame: pd.DataFrame, seconds: float) -> None:
    from tiny_gpt import results
    from tiny_gpt.devices import describe

    results.write_frame(folder / "faults.csv", frame)
    table = tabulate(frame)
    results.write_text(folder / "table.md", table)
    unused = ("backend", "precision")
    manifest = {
        "command": f"python -m benchmarks.faults {folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_s": round(seconds, 1),
        "load": os.getloadavg(),
        "backends": list(dict.fromkeys(PATHS.values())),
        # Of this process, which computed nothing.
        **{k: v for k, v in describe().items() if k not in unused},
    }
    results.write_json(folder / "manifest.json", manifest)
    sys.stdout.write(table)


def tabulate(frame: pd.DataFrame) -> str:
    """Returns a Markdown table: injected, survived, lost by path and kind."""
    headings = ("path", "fault", "injected", "survived", "lost")
    rulers = ("---", "---", "---:", "---:", "---:")
    is_kill = frame["kind"] == "killed"
    kinds = frame["kind"].where(~is_kill, "killed, " + frame["phase"])
    lines: list[Sequence[str]] = [headings, rulers]
    for names, rows in frame.groupby(["path", kinds], sort=False):
        counts = len(rows), rows["survived"].sum(), rows["lost"].sum()
        lines.append([*map(str, names), *map(str, counts)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
