"""Scripted training that takes no time, in place of `tasks._train`."""

from pathlib import Path

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
    """

    def __init__(self, fails=lambda job: False):
        self.made = []
        self._fails = fails

    def __call__(self, jobs, placement, is_stopped):
        for job in jobs:
            self.made.append((job.experiment.condition, job.seed))
            if self._fails(job):
                raise ArithmeticError("it diverged\nand more")
            write_record(job.record)
            yield job.seed


def contents(store):
    """Returns all that runs of a store are, by key and seed."""
    found = {}
    for path in sorted((store.folder / "cells").glob("*/seed_*.json")):
        cell = unseal(path)
        del cell["made"], cell["wall_s"]
        found[cell["key"], cell["seed"]] = cell
    return found
