"""Logs and events of one run -> metrics frame and events frame."""

import dataclasses
import itertools
import math
from collections.abc import Iterable

import pandas as pd

from tiny_gpt.analysis.events import LossDrop
from tiny_gpt.evaluate import LOSS_KINDS, LOSS_TIERS, task_name
from tiny_gpt.experiment import Experiment, updates_per_epoch
from tiny_gpt.metrics import COLUMNS, EVENT_COLUMNS
from tiny_gpt.tiers import Row


def metrics_frame(
    experiment: Experiment,
    seed: int,
    logs: list[dict[str, float]],
    exact: Iterable[Row] = (),
) -> pd.DataFrame:
    """Turns the logs of each epoch into a metrics frame.

    Args:
        experiment: what was run.
        seed: its seed.
        logs: Keras logs of each epoch, in order.
        exact: rows of the exact evaluation after the last epoch.

    Returns:
        Metrics frame, columns `metrics.COLUMNS`; epochs count from 1, and
        epochs without an evaluation have no row for it.
    """
    config = experiment.evaluation
    updates = updates_per_epoch(experiment)
    run_columns = experiment.name, experiment.condition, seed
    # Log key -> mapping, tier, prompt and metric.
    columns = {"loss": ("all", "all", "all", "loss")}
    for label in experiment.eval_mappings:
        for metric in config.metrics:
            key = f"{task_name(label)}_{metric}"
            columns[key] = label, "all", config.prompt, metric
    for label in (c.mapping for c in experiment.mixture.components):
        for tier, kind in itertools.product(LOSS_TIERS, LOSS_KINDS):
            key = f"{task_name(label)}_{tier}_{kind}_loss"
            columns[key] = label, tier, "all", f"loss_{kind}"
    rows = [
        (*run_columns, epoch, epoch * updates, *columns[key], value)
        for epoch, log in enumerate(logs, start=1)
        for key, value in log.items()
        if key in columns and not math.isnan(value)
    ]
    end = len(logs), len(logs) * updates
    rows += [(*run_columns, *end, *row) for row in exact]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def events_frame(
    experiment: Experiment, seed: int, drops: Iterable[LossDrop]
) -> pd.DataFrame:
    """Turns loss drops into an events frame, columns `EVENT_COLUMNS`."""
    run_columns = experiment.name, experiment.condition, seed, "loss_drop"
    rows = [(*run_columns, *dataclasses.astuple(drop)) for drop in drops]
    return pd.DataFrame(rows, columns=list(EVENT_COLUMNS))
