"""Logs of one run -> metrics frame and events frame."""

import itertools
import math
from collections.abc import Iterable, Sequence

import pandas as pd

from tiny_gpt.callbacks import LossDropLogger
from tiny_gpt.evaluation.data import Row
from tiny_gpt.evaluation.evaluate import LOSS_KINDS, LOSS_TIERS, task_name
from tiny_gpt.experiment import Experiment, updates_per_epoch
from tiny_gpt.metrics.columns import COLUMNS, EVENT_COLUMNS

Logs = Sequence[dict[str, float]]  # of each epoch

# Smallest change that is an event: nats, or a share of the words.
SMALLEST_CHANGE = 0.1


def columns_of(experiment: Experiment) -> dict[str, tuple[str, str, str, str]]:
    """Returns mapping, tier, prompt and metric of each key of the logs."""
    config = experiment.evaluation
    columns = {
        key: ("all", "all", "all", key)
        for key in ("loss", "loss_above_floor", "weight_norm")
    }
    for label in experiment.task.eval_mappings:
        for metric in config.metrics:
            key = f"{task_name(label)}_{metric}"
            columns[key] = label, "all", config.prompt, metric
    for label in experiment.task.read_mappings:
        for tier, kind in itertools.product(LOSS_TIERS, LOSS_KINDS):
            key = f"{task_name(label)}_{tier}_{kind}_loss"
            columns[key] = label, tier, "all", f"loss_{kind}"
    if config.has_gradients:
        tier = LOSS_TIERS[0]
        labels = experiment.task.read_mappings
        for label in labels:
            key = f"{task_name(label)}_gradient_norm"
            columns[key] = label, tier, "all", "gradient_norm"
        for pair in itertools.combinations(labels, 2):
            key = f"{'_'.join(map(task_name, pair))}_gradient_cosine"
            columns[key] = " ".join(pair), tier, "all", "gradient_cosine"
    return columns


def event_loggers(
    experiment: Experiment, logs: Logs = ()
) -> dict[str, LossDropLogger]:
    """Returns the callbacks that find the events of a run.

    "loss_drop" is the paper's event, a threshold on the training loss;
    "change" are change points of the loss and, for each mapping, of the
    accuracies and of the loss on fresh answers, their continuous partner.

    Args:
        experiment: what is run.
        logs: those of the epochs so far.
    """
    train, config = experiment.train, experiment.evaluation
    falls, rises = ["loss"], []
    smooth: dict[str, str] = {}
    for label in experiment.task.eval_mappings:
        task = task_name(label)
        scores = [f"{task}_{metric}" for metric in config.metrics[:2]]
        rises += scores
        if config.num_loss_windows and label in experiment.task.read_mappings:
            partner = f"{task}_{LOSS_TIERS[1]}_{LOSS_KINDS[2]}_loss"
            falls.append(partner)
            smooth |= dict.fromkeys(scores, partner)
    return {
        "loss_drop": LossDropLogger(
            method="threshold",
            min_size=train.min_loss_drop,
            window=train.loss_drop_window,
            earlier_logs=logs,
        ),
        "change": LossDropLogger(
            falls,
            rises,
            smooth,
            min_size=SMALLEST_CHANGE,
            earlier_logs=logs,
        ),
    }


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
        Metrics frame, columns `columns.COLUMNS`; epochs count from 1, and
        epochs without an evaluation have no row for it.

    Raises:
        ValueError: if the logs have a key that belongs to no row.
    """
    updates = updates_per_epoch(experiment)
    run_columns = experiment.name, experiment.condition, seed
    columns = columns_of(experiment)
    unknown = sorted({key for log in logs for key in log} - set(columns))
    if unknown:
        raise ValueError(
            "Every key of the logs has a place in the metrics frame "
            f"(`columns_of`). Received: {', '.join(unknown)}"
        )
    rows = [
        (*run_columns, epoch, epoch * updates, *columns[key], value)
        for epoch, log in enumerate(logs, start=1)
        for key, value in log.items()
        if not math.isnan(value)
    ]
    end = len(logs), len(logs) * updates
    rows += [(*run_columns, *end, *row) for row in exact]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def events_frame(experiment: Experiment, seed: int, logs: Logs) -> pd.DataFrame:
    """Finds the events in the logs of each epoch (`event_loggers`).

    Returns:
        Events frame, columns `EVENT_COLUMNS`.
    """
    run_columns = experiment.name, experiment.condition, seed
    columns = columns_of(experiment)
    rows = []
    for kind, logger in event_loggers(experiment, logs).items():
        for row in logger.rows:
            mapping, tier, _, metric = columns[row["metric"]]
            found = {
                **row,
                "event": row["direction"] if kind == "change" else kind,
                "mapping": mapping,
                "tier": tier,
                "metric": metric,
                "together": " ".join(row["together"]),
            }
            rows.append(
                (*run_columns, *(found[name] for name in EVENT_COLUMNS[3:]))
            )
    return pd.DataFrame(rows, columns=list(EVENT_COLUMNS))
