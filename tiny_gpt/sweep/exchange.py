"""The exchange of finished runs between a store and its shared place."""

from collections.abc import Iterable

from tiny_gpt.runtime.files import DamagedFileError
from tiny_gpt.sweep.remote_store import WEIGHTS
from tiny_gpt.sweep.store import Store


def has_run(store: Store, key: str, seed: int) -> bool:
    """Tells whether a run is finished, in the store or the shared place.

    For the holder of the lease: the run is fetched from there. A damaged file
    there does not count, with a warning; `send_run` replaces it later.
    """
    if store.is_finished(key, seed):
        return True
    if store.shared is None or store.keeps_epochs:
        return False
    data, weights = store.shared.fetch(key, seed), None
    if data is not None and store.keeps_weights:
        weights = store.shared.fetch(key, seed, WEIGHTS)
    if data is None or (store.keeps_weights and weights is None):
        return False
    try:
        store.receive(key, seed, data, weights)
    except DamagedFileError:
        store.shared.warn(key, seed, "is damaged; the run is made again")
        return False
    return True


def send_run(store: Store, key: str, seed: int) -> None:
    """Sends a finished run to the shared place, if there is one."""
    if store.shared is None:
        return
    if store.keeps_weights:
        weights = store.weights(key, seed).read_bytes()
        store.shared.send(key, seed, weights, WEIGHTS)
    store.shared.send(key, seed, store.path(key, seed).read_bytes())


def exchange(store: Store, keys: Iterable[str], seeds: Iterable[int]) -> None:
    """Fetches others' runs from the shared place, and sends those it lacks.

    Does nothing without a shared place.
    """
    if store.shared is None:
        return
    for key in keys:
        there, here = store.shared.seeds(key), store.seeds(key, checks=True)
        for seed in sorted(set(seeds) & (there ^ here)):
            if seed in here:
                send_run(store, key, seed)
                continue
            lease = store.lease(key, seed)
            if lease is not None:
                has_run(store, key, seed)
                lease.release()
