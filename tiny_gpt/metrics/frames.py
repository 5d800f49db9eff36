"""Metrics frame and events frame of one run, from its logs."""

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from tiny_gpt.callbacks import (
    LossByTask,
    LossDropLogger,
    MemorisationMeter,
    WeightNorms,
)
from tiny_gpt.callbacks.columns import Column, column
from tiny_gpt.evaluation.data import Row
from tiny_gpt.evaluation.evaluate import (
    LOSS_KINDS,
    LOSS_TIERS,
    evaluation_columns,
    task_name,
)
from tiny_gpt.experiment import Experiment, updates_per_epoch
from tiny_gpt.metrics.columns import COLUMNS, EVENT_COLUMNS

Logs = Sequence[dict[str, float]]  # of each epoch

# Smallest change that is an event: nats, or a share of the words.
SMALLEST_CHANGE = 0.1


def columns_of(experiment: Experiment) -> dict[str, Column]:
    """Returns the columns of the keys that any run of an experiment writes.

    The classes of its callbacks tell them (`RunSetup.callbacks`), so a frame
    can be made from logs alone. The columns of further callbacks' keys are in
    the record of a run.

    Returns:
        Mapping, tier, prompt and metric by key of the logs.
    """
    return {
        "loss": column("loss"),
        **MemorisationMeter.columns_for("loss"),
        **WeightNorms().log_columns,
        **evaluation_columns(
            experiment.evaluation,
            experiment.task.eval_mappings,
            experiment.task.read_mappings,
        ),
        **LossByTask.columns_for(getattr(experiment.task, "part_columns", {})),
    }


def event_loggers(
    experiment: Experiment, logs: Logs = ()
) -> dict[str, LossDropLogger]:
    """Returns the callbacks that find the events of a run.

    "loss_drop" is the paper's event, a threshold on the training loss.
    "change" finds change points of the loss and, for each mapping, of the
    accuracies and of their continuous partner, the loss on fresh answers.

    Args:
        experiment: what is run.
        logs: logs of the epochs so far.
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
    further: Mapping[str, Column] | None = None,
) -> pd.DataFrame:
    """Turns the logs of each epoch into a metrics frame.

    Args:
        experiment: what was run.
        seed: its seed.
        logs: Keras logs of each epoch, in order.
        exact: rows of the exact evaluation after the last epoch.
        further: columns of the keys that `columns_of` does not know
            (`Record.columns`).

    Returns:
        Metrics frame, columns `columns.COLUMNS`. Epochs count from 1. An
        epoch without an evaluation has no row for it.

    Raises:
        ValueError: if a key of the logs has no column.
    """
    updates = updates_per_epoch(experiment)
    run_columns = experiment.name, experiment.condition, seed
    columns = {**columns_of(experiment), **(further or {})}
    unknown = sorted({key for log in logs for key in log} - set(columns))
    if unknown:
        raise ValueError(
            "Each key of the logs has a place in the metrics frame "
            f"(`log_columns`). Received: {', '.join(unknown)}"
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
