"""Rows of a sweep's frame, one for each run."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiny_gpt.analysis.times import time_to_threshold
from tiny_gpt.evaluation.evaluate import task_name
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.sweep.axes import CONDITION
from tiny_gpt.sweep.cell import Finished
from tiny_gpt.sweep.grid import Cell, Sweep

SEEN_TIER, UNSEEN_TIER = "seen_sentences", "unseen_sentences"
# How it was made: all others are the same whoever runs them, to the byte on
# one machine.
MADE_COLUMNS = ("wall_s", "made_on")
# Beside the axes; "value" is what counts, NaN where nothing is left to ask.
RUN_COLUMNS = (
    CONDITION,
    "seed",
    "value",
    "is_success",
    "value_unseen",
    "value_seen",
    "loss_above_floor",
    "epochs_made",  # "epochs" and "updates" are names of axes
    "updates_made",
    "updates_to_success",
    *MADE_COLUMNS,
)


def row_reader(
    sweep: Sweep, cell: Cell
) -> Callable[[Finished], tuple[Any, ...]]:
    """Returns a function that turns a run into `RUN_COLUMNS` from "value" on.

    These are, in order:

    - the value that counts, and whether it is a success (NaN and None if its
      tier is empty);
    - the same metric on sentences that were not seen, and on those that were
      (NaN if not asked);
    - the last training loss above its floor (nats per token; NaN after
      pre-training);
    - epochs and updates made;
    - updates after which the accuracy on the fixed sample first reached the
      threshold (inf if it did not; NaN if there is no such sample);
    - seconds, and the machine and versions.

    Args:
        sweep: says what counts.
        cell: one of its cells.
    """
    success, experiment = sweep.success, cell.experiment
    prompt = success.prompt(experiment.evaluation)
    per_epoch = updates_per_epoch(experiment)
    task = task_name(success.mapping)  # a pivot has no curve
    curve = f"{task}_{experiment.evaluation.accuracy}"

    def read(run: Finished) -> tuple[Any, ...]:
        last = run.logs[-1]
        scores = {
            tier: value
            for mapping, tier, asked, metric, value in run.exact
            if (mapping, asked, metric)
            == (success.mapping, prompt, success.metric)
        }
        value = scores.get(success.tier, math.nan)
        if success.tier == "all":
            value = last[f"{task}_{success.metric}"]
        is_success = None if math.isnan(value) else value >= success.threshold
        return (
            value,
            is_success,
            scores.get(UNSEEN_TIER, math.nan),
            scores.get(SEEN_TIER, math.nan),
            last.get("loss_above_floor", math.nan),
            len(run.logs),
            len(run.logs) * per_epoch,
            _updates_to(success.threshold, run.logs, curve, per_epoch),
            run.wall_s,
            run.made_on,
        )

    return read


def _updates_to(
    threshold: float,
    logs: Sequence[Mapping[str, float]],
    curve: str,
    per_epoch: int,
) -> float:
    points = [
        (epoch * per_epoch, log[curve])
        for epoch, log in enumerate(logs, start=1)
        if not math.isnan(log.get(curve, math.nan))
    ]
    if not points:
        return math.nan
    times, values = zip(*points, strict=True)
    return time_to_threshold(times, values, threshold)
