"""Several runs at once, each in a process of its own with its own cores."""

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import keras

from tiny_gpt.runtime.devices import choose_devices
from tiny_gpt.runtime.environment import make_deterministic, set_precision
from tiny_gpt.train import run
from tiny_gpt.training.run_setup import Job
from tiny_gpt.training.seed_batches import share_cores


def run_all(
    jobs: Sequence[Job],
    num_processes: int,
    precision: str,
    asked: Mapping[str, Any] | None = None,
) -> Iterator[Job]:
    """Runs jobs in processes that share the cores evenly.

    A process keeps to its cores, so that two do not wait for each other. What
    a run has saved when the command is interrupted is there for the next.

    Args:
        jobs: runs to make, started in this order.
        num_processes: runs at once.
        precision: see `environment.set_precision`.
        asked: devices, as `Placement.asked` has them; None for those that the
            backend offers first.

    Yields:
        Each job when its record is finished.
    """
    context = multiprocessing.get_context("spawn")
    shares = context.Queue()
    for share in share_cores(num_processes):
        shares.put(share)
    pool = ProcessPoolExecutor(
        num_processes, context, _start, (shares, precision, asked)
    )
    try:
        futures = {pool.submit(_run, job): job for job in jobs}
        for future in as_completed(futures):
            future.result()  # raises what the run raised
            yield futures[future]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(shares, precision: str, asked: Mapping[str, Any] | None) -> None:
    share = shares.get()
    if share:  # before the backend counts its cores
        os.sched_setaffinity(0, share)
    if asked:
        choose_devices(asked["devices"], asked["num_devices"], asked["tpu"])
    set_precision(precision)
    make_deterministic()


def _run(job: Job) -> None:
    run(
        job.experiment,
        job.seed,
        job.record,
        keeps_weights=job.keeps_weights,
    )
    keras.utils.clear_session()
