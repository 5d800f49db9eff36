"""Works of a sweep on Ray: a local cluster, or one that runs already.

This module imports nothing that needs a backend: Ray's workers import it
before they know which one is used.
"""

import os
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiny_gpt.sweep.store import Lease, Store
    from tiny_gpt.sweep.work import Done, Work

MOST_RETRIES = 20  # of a work whose worker or node dies


def on_ray(
    store: "Store",
    works: Sequence["Work"],
    address: str | None = None,
    num_cpus: float = 1.0,
    is_shared: bool = False,
) -> Iterator["Done"]:
    """Does works as tasks of Ray, which starts those of a dead worker anew.

    This process holds the leases and writes the store, with what the workers
    send. What they save on the way is in a temporary folder of their node,
    from which a task that is started there again goes on; with `is_shared`,
    it is in the store.

    Args:
        store: where they go.
        works: what to do.
        address: of a cluster, e.g. "ray://host:10001" or "auto"; None for a
            new one on this machine. Ignored if Ray is initialised.
        num_cpus: cores of a task.
        is_shared: whether every node sees the store's folder.

    Yields:
        What came of each, as it is done.

    Raises:
        ValueError: if Ray is not installed, or does not find the cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError(
            "This executor needs Ray: pip install -e '.[ray]'. "
            "Received: an environment without it"
        ) from error
    is_ours = not ray.is_initialized()
    if is_ours:
        try:
            own = {} if address else {"include_dashboard": False}
            ray.init(address=address, log_to_driver=False, **own)
        except ConnectionError as error:
            raise ValueError(
                "A running cluster must be found at `address`. "
                f"Received: address={address!r}"
            ) from error
    try:
        yield from _deal(ray, store, works, num_cpus, is_shared)
    finally:
        if is_ours:
            ray.shutdown()


def _deal(ray, store, works, num_cpus, is_shared) -> Iterator["Done"]:
    from tiny_gpt.sweep.work import Done

    remote = ray.remote(num_cpus=num_cpus, max_retries=MOST_RETRIES)(_do)
    where = (store.folder.resolve(), store.precision, _backend(), is_shared)
    waiting = list(reversed(works))
    running: dict[Any, tuple[Any, dict[int, Lease], tuple[int, ...]]] = {}
    try:
        while waiting or running:
            # Enough that no core waits; a lease is taken late, not all early.
            cores = ray.cluster_resources().get("CPU", 1) / num_cpus
            while waiting and len(running) < 2 * max(1, int(cores)):
                work = waiting.pop()
                held, taken = _lease(store, work)
                if not held:
                    yield Done(work, taken=taken)
                    continue
                reference = remote.remote(
                    pickle.dumps((work, tuple(held))), *where
                )
                running[reference] = work, held, taken
            if not running:
                continue
            (reference,), _ = ray.wait(list(running))
            work, held, taken = running.pop(reference)
            try:
                yield _receive(ray, store, reference, work, held, taken)
            finally:
                _release(held)
    finally:
        for reference, (_, held, _) in running.items():
            ray.cancel(reference, force=True)
            _release(held)


def _backend() -> str:
    import keras

    return keras.backend.backend()


def _lease(store, work) -> tuple[dict[int, "Lease"], tuple[int, ...]]:
    """Returns leases by seed, and seeds that others work at."""
    held, taken = {}, []
    for seed in work.seeds:
        lease = store.lease(work.key, seed)
        if lease is None:
            taken.append(seed)
        elif store.path(work.key, seed).exists():
            lease.release()
        else:
            held[seed] = lease
    return held, tuple(taken)


def _release(held: dict[int, "Lease"]) -> None:
    while held:
        held.popitem()[1].release()


def _receive(ray, store, reference, work, held, taken) -> "Done":
    from tiny_gpt.sweep.work import Done

    try:
        texts, error = ray.get(reference)
    except (ray.exceptions.RayError, OSError) as caught:
        lines = str(caught).strip().splitlines() or [""]
        return Done(work, (), taken, f"{type(caught).__name__}: {lines[0]}")
    for seed, text in texts.items():
        store.put(work.key, seed, text)
    return Done(work, tuple(texts), taken, error)


def _do(
    pickled: bytes, folder: Path, precision: str, backend: str, is_shared: bool
) -> tuple[dict[int, str], str | None]:
    """Does a work in a worker of Ray.

    Returns:
        Files of the finished runs by seed, and what a run raised, if any.
    """
    os.environ["KERAS_BACKEND"] = backend  # before keras is imported
    import dataclasses

    from tiny_gpt.devices import make_deterministic, set_precision
    from tiny_gpt.sweep.store import Store
    from tiny_gpt.sweep.work import do, kept_programs

    set_precision(precision)
    make_deterministic()
    work, seeds = pickle.loads(pickled)
    work = dataclasses.replace(work, seeds=seeds)
    name = f"tiny_gpt_sweep_{os.getuid() if hasattr(os, 'getuid') else ''}"
    here = Path(tempfile.gettempdir()) / name
    scratch = Store(folder / "scratch" if is_shared else here, precision)
    done = do(scratch, work, kept_programs())
    texts = {}
    for seed in work.seeds:
        path = scratch.path(work.key, seed)
        if path.exists():
            texts[seed] = scratch.read(work.key, seed)
            path.unlink()  # the driver has it
    return texts, done.error
