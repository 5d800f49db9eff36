"""Runs of a sweep -> frames: one row per run, or the whole metrics frame."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tiny_gpt.analysis.exponents import Exponent, fit_exponent
from tiny_gpt.analysis.regimes import classify_regime
from tiny_gpt.analysis.statistics import wilson_interval
from tiny_gpt.analysis.thresholds import (
    Threshold,
    fit_threshold,
    median_intervals,
)
from tiny_gpt.analysis.times import time_to_threshold
from tiny_gpt.evaluate import task_name
from tiny_gpt.experiment import updates_per_epoch
from tiny_gpt.frames import metrics_frame
from tiny_gpt.sweep.axes import CONDITION
from tiny_gpt.sweep.cell import Finished
from tiny_gpt.sweep.grid import Cell, Sweep
from tiny_gpt.sweep.store import Store

SEEN_TIER = "seen_sentences"
# Beside the axes; "value" is what counts, NaN where nothing is left to ask.
RUN_COLUMNS = (
    CONDITION,
    "seed",
    "value",
    "is_success",
    "value_seen",
    "loss_above_floor",
    "epochs",
    "updates_made",
    "updates_to_success",
    "wall_s",
)


def collect_runs(sweep: Sweep, store: Store) -> pd.DataFrame:
    """Returns one row for each finished run of a sweep.

    Args:
        sweep: whose runs.
        store: where they are. A damaged file is set aside, with a warning,
            and its run is missing.

    Returns:
        A column per axis, then `RUN_COLUMNS`: the value that counts and
        whether it is a success (NaN and None where its tier is empty), the
        same metric on sentences that were seen (NaN if not asked), the last
        training loss above its floor (nats per token; NaN after
        pre-training), epochs and updates made, updates after which the
        accuracy on the fixed sample first reached the threshold (inf if it
        did not), seconds.
    """
    axes = [axis for axis in sweep.axes if axis != CONDITION]
    rows = []
    for cell, found in _finished(sweep, store):
        read = _reader(sweep, cell)
        point = [cell.values[axis] for axis in axes]
        for seed, run in found:
            rows.append((*point, cell.experiment.condition, seed, *read(run)))
    return pd.DataFrame(rows, columns=[*axes, *RUN_COLUMNS])


def collect_metrics(sweep: Sweep, store: Store) -> pd.DataFrame:
    """Returns the metrics frame of all finished runs, with a column per axis.

    Args:
        sweep: whose runs; its name and conditions label them.
        store: where they are.

    Returns:
        Columns `metrics.COLUMNS`, then the axes.
    """
    frames = []
    for cell, found in _finished(sweep, store):
        for seed, run in found:
            frame = metrics_frame(cell.experiment, seed, run.logs, run.exact)
            values = {a: v for a, v in cell.values.items() if a != CONDITION}
            frames.append(frame.assign(**values))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _finished(
    sweep: Sweep, store: Store
) -> Iterator[tuple[Cell, list[tuple[int, Finished]]]]:
    for cell in sweep.cells:
        key = store.key(cell.experiment)
        there = store.seeds(key)
        runs = ((s, store.load(key, s)) for s in sweep.seeds if s in there)
        yield cell, [(seed, run) for seed, run in runs if run is not None]


def _reader(sweep: Sweep, cell: Cell) -> Any:
    """Returns a function from a run of a cell to its row."""
    success, experiment = sweep.success, cell.experiment
    prompt = success.prompt(experiment.evaluation)
    per_epoch = updates_per_epoch(experiment)
    is_pivot = success.mapping in experiment.pivots
    task = "" if is_pivot else task_name(success.mapping)
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
            scores.get(SEEN_TIER, math.nan),
            last.get("loss_above_floor", math.nan),
            len(run.logs),
            len(run.logs) * per_epoch,
            _updates_to(success.threshold, run.logs, curve, per_epoch),
            run.wall_s,
        )

    return read


def _updates_to(threshold, logs, curve: str, per_epoch: int) -> float:
    points = [
        (epoch * per_epoch, log[curve])
        for epoch, log in enumerate(logs, start=1)
        if not math.isnan(log.get(curve, math.nan))
    ]
    if not points:
        return math.nan
    times, values = zip(*points, strict=True)
    return time_to_threshold(times, values, threshold)


def axes_of_map(sweep: Sweep) -> tuple[list[str], list[str]]:
    """Returns the axes of numbers, and those of words, in their order.

    The first of numbers is the one along which success rises.
    """
    numbers: list[str] = []
    words: list[str] = []
    for axis, values in sweep.axes.items():
        is_number = all(
            isinstance(v, (int, float)) and not isinstance(v, bool)
            for v in values
        )
        (numbers if is_number and axis != CONDITION else words).append(axis)
    return numbers, words


def fit_thresholds(
    sweep: Sweep, runs: pd.DataFrame, level: float = 0.95
) -> dict[tuple[Any, ...], Threshold]:
    """Fits the threshold along the first axis, at each point of the others.

    Args:
        sweep: whose runs.
        runs: what `collect_runs` returned.
        level: confidence of the intervals.

    Returns:
        Thresholds by the values of the other axes, in their order; points
        with fewer than two values above 0 on the first axis are left out.
    """
    numbers, _ = axes_of_map(sweep)
    if not numbers:
        return {}
    others = [axis for axis in sweep.axes if axis != numbers[0]]
    known = runs[runs["is_success"].notna() & (runs[numbers[0]] > 0)]
    known = known.assign(is_success=known["is_success"].astype(float))
    groups = known.groupby(others, sort=False) if others else [((), known)]
    found = {}
    for point, group in groups:
        table = group.pivot(
            index="seed", columns=numbers[0], values="is_success"
        )
        if table.shape[1] < 2:
            continue
        # All seeds, so that all points have the same resamples.
        table = table.reindex(sorted(sweep.seeds))
        found[tuple(point)] = fit_threshold(
            table.columns.to_numpy(float), table.to_numpy(float), level
        )
    return found


def fit_exponents(
    sweep: Sweep, thresholds: Mapping[tuple[Any, ...], Threshold]
) -> dict[tuple[Any, ...], Exponent]:
    """Fits how thresholds grow along the second axis of numbers.

    Args:
        sweep: whose thresholds.
        thresholds: what `fit_thresholds` returned.

    Returns:
        Exponents by the values of the axes that are left; empty without a
        second axis of numbers.
    """
    numbers, _ = axes_of_map(sweep)
    if len(numbers) < 2:
        return {}
    others = [axis for axis in sweep.axes if axis != numbers[0]]
    place = others.index(numbers[1])
    groups: dict[tuple[Any, ...], list[tuple[float, Threshold]]] = {}
    for point, threshold in thresholds.items():
        rest = (*point[:place], *point[place + 1 :])
        if point[place] > 0:
            groups.setdefault(rest, []).append((point[place], threshold))
    return {
        rest: fit_exponent([x for x, _ in some], [t for _, t in some])
        for rest, some in groups.items()
    }


def summarise_cells(
    sweep: Sweep, runs: pd.DataFrame, level: float = 0.95
) -> pd.DataFrame:
    """Summarises the runs of each cell.

    Args:
        sweep: whose runs.
        runs: what `collect_runs` returned.
        level: confidence of the intervals.

    Returns:
        A column per axis, then: "runs" whose value is known, "successes",
        "p_success" with its Wilson interval ("p_low", "p_high"), "median" of
        the value with its bootstrap ("low", "high"), and "regime", the most
        frequent one (`classify_regime`).
    """
    axes, threshold = list(sweep.axes), sweep.success.threshold
    rows, values = [], []
    for point, group in runs.groupby(axes, sort=False):
        known = group[group["is_success"].notna()]
        count, successes = len(known), int(known["is_success"].sum())
        p = [math.nan] * 3
        if count:
            interval = wilson_interval(successes, count, level)
            p = [interval.value, interval.low, interval.high]
        regimes = [
            classify_regime(unseen, seen, loss, threshold)
            for unseen, seen, loss in zip(
                group["value"],
                group["value_seen"],
                group["loss_above_floor"],
                strict=True,
            )
        ]
        regime = max(sorted(set(regimes)), key=regimes.count)
        rows.append((*point, count, successes, *p, regime))
        filled = known["value"].to_list()
        values.append(filled + [math.nan] * (len(sweep.seeds) - count))
    names = ("runs", "successes", "p_success", "p_low", "p_high", "regime")
    cells = pd.DataFrame(rows, columns=[*axes, *names])
    shape = len(rows), len(sweep.seeds)
    table = np.array(values, float).reshape(shape)
    cells[["median", "low", "high"]] = median_intervals(table, level)
    return cells


def describe_threshold(found: Threshold) -> Mapping[str, Any]:
    """Returns JSON types: None for an end that is open."""
    ends = {
        name: value if math.isfinite(value) else None
        for name, value in vars(found).items()
        if isinstance(value, float)
    }
    return {**ends, "censoring": found.censoring}
