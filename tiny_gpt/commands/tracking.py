"""Finished runs into TensorBoard or Weights & Biases (`--track`)."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from tiny_gpt.callbacks.trackers import (
    TensorBoardWriter,
    send_events,
)
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.checks import check_installed

TOOLS = ("tensorboard", "wandb")
PROJECT = "tiny_gpt"


def check_tracking(tool: str | None) -> None:
    """Checks that a tool can be had, before anything is trained.

    Raises:
        MissingExtraError: if its package is missing.
    """
    if tool is not None:
        check_installed(tool)


def send_runs(
    tool: str, folder: Path, metrics: pd.DataFrame, events: pd.DataFrame
) -> None:
    """Shows the runs of a results folder in a tool.

    TensorBoard gets a run "{condition}/seed_{n}" for each, in the folder
    "tensorboard", which is written anew. Weights & Biases gets a run of the
    project "tiny_gpt" for each, once: what was sent is listed in
    "wandb.json". Epochs count from 1; the paper's events are "loss_drop".

    Args:
        tool: one of `TOOLS`.
        folder: the results folder.
        metrics: metrics frame, columns `COLUMNS`.
        events: events frame, columns `EVENT_COLUMNS`.
    """
    if tool == "tensorboard":
        shutil.rmtree(folder / tool, ignore_errors=True)
        for (_, condition, seed), curves, rows in _runs(metrics, events):
            name = f"{condition}/seed_{seed}"
            _write_run(TensorBoardWriter(folder / tool / name), curves, rows)
    else:
        _send_to_wandb(folder, metrics, events)


def _write_run(
    writer: TensorBoardWriter, curves: pd.DataFrame, rows: list[dict[str, Any]]
) -> None:
    for epoch, name, value in _points(curves):
        writer.scalar(name, value, epoch)
    for row in rows:
        writer.event(row, row["epoch"])
    writer.close()


def _send_to_wandb(
    folder: Path, metrics: pd.DataFrame, events: pd.DataFrame
) -> None:
    import wandb

    path = folder / "wandb.json"
    sent = json.loads(path.read_text())["sent"] if path.exists() else []
    for (name, condition, seed), curves, rows in _runs(metrics, events):
        key = f"{name} {condition} {seed} {_hash_of(curves)}"
        if key in sent:
            continue
        run = wandb.init(
            project=PROJECT,
            group=f"{name}/{condition}",
            name=f"{condition} seed {seed}",
            config={"experiment": name, "condition": condition, "seed": seed},
            dir=str(folder),
            reinit="finish_previous",
        )
        by_epoch: dict[int, dict[str, float]] = {}
        for epoch, metric, value in _points(curves):
            by_epoch.setdefault(epoch, {"epoch": epoch})[metric] = value
        for epoch in sorted(by_epoch):
            run.log(by_epoch[epoch])
        send_events(run, rows)
        run.finish()
        sent.append(key)
        results_folder.write_json(path, {"sent": sent})


def _runs(
    metrics: pd.DataFrame, events: pd.DataFrame
) -> Iterator[tuple[tuple[str, str, int], pd.DataFrame, list[dict[str, Any]]]]:
    """Yields experiment, condition and seed of a run, its curves and events."""
    keys = ["experiment", "condition", "seed"]
    for key, curves in metrics.groupby(keys, sort=False):
        of_run = events[(events[keys] == list(key)).all(axis=1)]
        rows = [
            {
                "metric": _name(row["metric"], row["mapping"], row["tier"]),
                "event": row["event"],
                **{k: int(row[k]) for k in ("start", "epoch", "found")},
                **{k: float(row[k]) for k in ("before", "after")},
            }
            for row in of_run.to_dict("records")
        ]
        yield key, curves, rows  # type: ignore[misc]


def _points(curves: pd.DataFrame) -> Iterator[tuple[int, str, float]]:
    """Yields epoch, name and value of each finite number of a run."""
    for row in curves.to_dict("records"):
        if math.isfinite(row["value"]):
            place = row["mapping"], row["tier"], row["prompt"]
            yield int(row["epoch"]), _name(row["metric"], *place), row["value"]


def _name(metric: Any, *place: Any) -> str:
    """Returns "accuracy_published/A->C fresh"; "all" is left out."""
    words = [str(word) for word in place if word != "all"]
    return f"{metric}/{' '.join(words)}" if words else str(metric)


def _hash_of(curves: pd.DataFrame) -> str:
    return f"{pd.util.hash_pandas_object(curves, index=False).sum():016x}"
