"""Scripted training that takes no time, in place of `tasks._train`."""

from pathlib import Path

from tiny_gpt.metrics.frames import columns_of
from tiny_gpt.runtime.files import seal, unseal

EXACT = [["A->C", "unseen_sentences", "1_demonstrations", "accuracy", 0.5]]


def write_record(record, logs=({"loss": 2.0},)):
    """Writes what a finished run leaves, but its weights."""
    record.parent.mkdir(parents=True, exist_ok=True)
    saved = {
        "config": {},
        "wall_s": 1.5,
        "logs": list(logs),
        "exact": EXACT,
        "weights_hash": "0",
    }
    Path(f"{record}.json").write_text(seal(saved))


class Training:
    """Finishes jobs at once, and remembers them; some of them fail.

    Args:
        fails: from a job to whether it raises.

    Attributes:
        made: label and seed of each run.
        weights: what a run leaves as its weights; None for no file.
    """

    def __init__(self, fails=lambda job: False):
        self.made = []
        self.weights = None
        self._fails = fails

    def __call__(self, jobs, placement, is_stopped, on_epoch):
        for job in jobs:
            self.made.append((job.experiment.condition, job.seed))
            if self._fails(job):
                raise ArithmeticError("it diverged\nand more")
            if self.weights is not None:
                Path(f"{job.record}.weights.h5").write_bytes(self.weights)
            logs = dict.fromkeys(columns_of(job.experiment), 2.0)
            num_epochs = job.experiment.train.num_epochs
            write_record(job.record, [logs] * num_epochs)
            for epoch in range((on_epoch and num_epochs) or 0):
                on_epoch(job, epoch + 1, logs)
            yield job.seed


def contents(store):
    """Returns all that runs of a store are, by key and seed."""
    found = {}
    for path in sorted((store.folder / "cells").glob("*/seed_*.json")):
        cell = unseal(path)
        del cell["made"], cell["wall_s"]
        found[cell["key"], cell["seed"]] = cell
    return found
