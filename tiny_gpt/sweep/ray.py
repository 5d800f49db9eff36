"""Tasks of a sweep on Ray: a local cluster, or one that already runs.

This module imports nothing that needs a backend: Ray's workers import it
before they know which backend they use.
"""

import os
import re
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny_gpt.runtime.checks import check_installed

if TYPE_CHECKING:
    from tiny_gpt.sweep.store import Store
    from tiny_gpt.sweep.tasks import SweepTask, TaskLease, TaskResult

MOST_RETRIES = 20  # of a task whose worker or node dies
MOST_LEASES = 500  # of a driver at once; each is an open file
CONNECTION_TIMEOUT_S = 10.0
ADDRESS = re.compile(r"(?:ray://)?(?P<host>[^:/\s]+):(?P<port>\d{1,5})")


class Cluster:
    """Does tasks as tasks of Ray, which restarts those of a dead worker.

    If the nodes see the store's folder, tasks work there, under their own
    leases. Otherwise this process holds the leases, and writes the results
    that the tasks send into the store. The tasks then start from what the
    store has saved. They save in a temporary folder of their node; a task
    that is restarted on the same node continues from there.

    The first call joins the cluster; `close` or the end of a `with` leaves it.

    Args:
        address: of a cluster, e.g. "ray://host:10001" or "auto"; None for a
            new one on this machine. Ignored if Ray is initialised.
        num_cpus: cores of a task.
        num_gpus: GPUs of a task.
        sees_store: whether every node sees the store's folder; None for true
            if the cluster is a new one on this machine, else false.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(
        self,
        address: str | None = None,
        num_cpus: float = 1.0,
        num_gpus: float = 0.0,
        sees_store: bool | None = None,
    ):
        if num_cpus <= 0 or num_gpus < 0:
            raise ValueError(
                "A task needs more than 0 cores, and 0 GPUs or more. "
                f"Received: num_cpus={num_cpus}, num_gpus={num_gpus}"
            )
        self._address, self._sees_store = address, sees_store
        self._options = {
            "num_cpus": num_cpus,
            "num_gpus": num_gpus,
            "max_retries": MOST_RETRIES,
        }
        self._ours: Any = None  # Ray, if this has initialised it

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Leaves the cluster; a new one is ended."""
        if self._ours is not None:
            self._ours.shutdown()
            self._ours = None

    def __call__(
        self, store: "Store", tasks: Sequence["SweepTask"]
    ) -> Iterator["TaskResult"]:
        """Does tasks.

        Args:
            store: where the runs are written.
            tasks: the tasks.

        Yields:
            The result of each task, when it is done.

        Raises:
            ValueError: if Ray is not installed or does not find the cluster,
                or the store keeps weights of epochs and the nodes do not see
                it.
            OSError: if the store cannot be written.
        """
        check_installed("ray")
        import ray

        if not ray.is_initialized():
            _connect(ray, self._address)
            self._ours = ray
        sees_store = self._sees_store
        if sees_store is None:
            sees_store = self._ours is not None and self._address is None
        if store.keeps_epochs and not sees_store:
            raise ValueError(
                "Weights of epochs are kept by workers that see the store; "
                "others send the last ones alone. Received: keeps_epochs=True"
            )
        yield from _deal(ray, store, tasks, self._options, sees_store)


def _connect(ray: Any, address: str | None) -> None:
    if address is None:
        ray.init("local", include_dashboard=False, log_to_driver=False)
        return
    try:
        match = ADDRESS.fullmatch(address)
        if match:  # Ray itself waits for minutes
            place = match["host"], int(match["port"])
            socket.create_connection(place, CONNECTION_TIMEOUT_S).close()
        elif address != "auto":
            raise ValueError("neither host:port nor 'auto'")
        ray.init(address=address, log_to_driver=False)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise ValueError(
            "A running cluster must be found at `address`, "
            "'ray://host:10001', 'host:6379' or 'auto'. "
            f"Received: address={address!r} ({error})"
        ) from error


def _deal(ray, store, tasks, options, sees_store) -> Iterator["TaskResult"]:
    from tiny_gpt.runtime.environment import count_threads
    from tiny_gpt.sweep.tasks import TaskLease

    start = _backend(), count_threads()
    in_store = ray.remote(**options)(_do_in_store)
    apart = ray.remote(**options)(_do_apart)
    waiting = list(reversed(tasks))
    running: dict[Any, tuple[SweepTask, TaskLease | None]] = {}
    try:
        while waiting or running:
            # Enough that no core waits; a lease is taken late, not all early.
            cores = ray.cluster_resources().get("CPU", 1)
            most = 2 * max(1, int(cores / options["num_cpus"]))
            while waiting and len(running) < most:
                task = waiting.pop()
                if sees_store:
                    sent = [ray.put(task)], start, store.arguments
                    running[in_store.remote(*sent)] = task, None
                    continue
                held = TaskLease(store, task)
                if not held.leases:
                    yield held.done()
                    continue
                most = min(most, MOST_LEASES // len(held.leases))
                saved = _saved_files(store, task, held)
                kept = store.precision, store.keeps_weights
                sent = [ray.put((task, saved))], start, kept
                running[apart.remote(*sent)] = task, held
            if running:
                (reference,), _ = ray.wait(list(running))
                task, held_or_none = running[reference]
                yield _receive(ray, reference, task, held_or_none)
                del running[reference]
    finally:
        for reference, (_, held_or_none) in running.items():
            ray.cancel(reference, force=True)
            if held_or_none is not None:
                held_or_none.release()


def _backend() -> str:
    import keras

    return keras.backend.backend()


def _receive(ray, reference, task, held) -> "TaskResult":
    """Keeps what a task has sent; if `held` is None, the task did so itself."""
    from tiny_gpt.runtime.files import DamagedFileError
    from tiny_gpt.sweep.tasks import TaskResult, in_a_line

    try:
        found = ray.get(reference)
    except (ray.exceptions.RayError, OSError) as caught:
        error = in_a_line(getattr(caught, "cause", None) or caught)
        if held is None:
            return TaskResult(task, error=error)
        held.release()
        return held.done(error)
    if held is None:
        return found
    files, error = found
    try:
        for seed, (data, weights) in files.items():
            held.receive(seed, data, weights)
    except DamagedFileError as caught:  # of a node with another version
        error = in_a_line(caught)
    finally:
        held.release()
    return held.done(error)


def _saved_files(
    store: "Store", task: "SweepTask", held: "TaskLease"
) -> dict[int, dict[str, bytes]]:
    """Returns the saved files of the runs of a task, by seed and name."""
    saved = {}
    for seed in held.leases:
        record = store.record(task.key, seed)
        saved[seed] = {
            path.name: path.read_bytes()
            for path in record.parent.glob(f"{record.name}.*")
        }
    return saved


def _start(sent: Sequence[Any], start: tuple[str, str], precision: str) -> Any:
    """Sets a worker up, and only then reads its arguments.

    Ray reads arguments before the task begins, and reading a task imports
    keras. Ray does not read a reference inside a list.
    """
    # Before keras is imported, and JAX is used.
    os.environ["KERAS_BACKEND"], os.environ["NPROC"] = start
    from tiny_gpt.runtime.environment import make_deterministic, set_precision
    from tiny_gpt.runtime.settings import reserve_gpu_memory

    reserve_gpu_memory()
    set_precision(precision)
    make_deterministic()
    import ray

    return ray.get(sent[0])


def _do_in_store(
    sent: Sequence[Any], start: tuple[str, str], arguments: tuple[Any, ...]
) -> "TaskResult":
    """Does a task in a worker of Ray that sees the store."""
    task = _start(sent, start, arguments[1])
    from tiny_gpt.sweep.store import Store
    from tiny_gpt.sweep.tasks import run_task

    return run_task(Store(*arguments), task)


def _do_apart(
    sent: Sequence[Any], start: tuple[str, str], kept: tuple[str, bool]
) -> tuple[dict[int, tuple[bytes, bytes | None]], str | None]:
    """Does a task in a worker of Ray, in a folder of its node.

    Returns:
        Files of the finished runs by seed, and their weights if they are
        kept; and what a run raised, if any.
    """
    precision, keeps_weights = kept
    task, saved = _start(sent, start, precision)
    import dataclasses

    from tiny_gpt.runtime.files import write_whole
    from tiny_gpt.sweep.cell import FORMAT
    from tiny_gpt.sweep.store import Store
    from tiny_gpt.sweep.tasks import run_task

    task = dataclasses.replace(task, seeds=tuple(saved))
    user = os.getuid() if hasattr(os, "getuid") else ""
    name = f"tiny_gpt_sweep_{user}_{FORMAT}"
    folder = Path(tempfile.gettempdir()) / name
    here = Store(folder, precision, keeps_weights=keeps_weights)
    for seed, files in saved.items():
        record = here.record(task.key, seed)
        if not any(record.parent.glob(f"{record.name}.*")):
            record.parent.mkdir(parents=True, exist_ok=True)
            for file, data in files.items():
                write_whole(record.with_name(file), data)
    done = run_task(here, task)
    found = {}
    for seed in task.seeds:
        if not here.is_finished(task.key, seed):
            continue
        path, weights = here.path(task.key, seed), here.weights(task.key, seed)
        sent_weights = weights.read_bytes() if keeps_weights else None
        found[seed] = path.read_bytes(), sent_weights
        for file in (path, weights):  # the driver has them
            file.unlink(missing_ok=True)
    return found, done.error
