"""Frames of a sweep: one row per run, or the whole metrics frame."""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tiny_gpt.analysis.exponents import Exponent, fit_exponent
from tiny_gpt.analysis.regimes import REGIMES, UNKNOWN, classify_regime
from tiny_gpt.analysis.statistics import wilson_interval
from tiny_gpt.analysis.thresholds import (
    Threshold,
    fit_threshold,
    median_intervals,
)
from tiny_gpt.metrics.frames import events_frame, metrics_frame
from tiny_gpt.sweep.axes import CONDITION
from tiny_gpt.sweep.cell import Finished
from tiny_gpt.sweep.grid import Cell, Sweep
from tiny_gpt.sweep.rows import RUN_COLUMNS, row_reader
from tiny_gpt.sweep.store import Store


def collect_runs(sweep: Sweep, store: Store) -> pd.DataFrame:
    """Returns one row for each finished run of a sweep.

    Args:
        sweep: the sweep.
        store: where its runs are. A damaged file is set aside, with a
            warning, and its run is missing.

    Returns:
        A column per axis, words as text (`text_of`), then `RUN_COLUMNS`.
    """
    axes = [axis for axis in sweep.axes if axis != CONDITION]
    rows = []
    for cell, found in _finished(sweep, store):
        read, point = row_reader(sweep, cell), _point(sweep, cell, axes)
        for seed, run in found:
            rows.append((*point, cell.experiment.condition, seed, *read(run)))
    return pd.DataFrame(rows, columns=[*axes, *RUN_COLUMNS])


def collect_metrics(sweep: Sweep, store: Store) -> pd.DataFrame:
    """Returns the metrics frame of all finished runs, with a column per axis.

    Args:
        sweep: the sweep; its name and conditions label the runs.
        store: where its runs are.

    Returns:
        Columns `columns.COLUMNS`, then the axes other than "condition", words
        as text. Without a run the frame has no columns.
    """
    axes = [axis for axis in sweep.axes if axis != CONDITION]
    frames = []
    for cell, found in _finished(sweep, store):
        for seed, run in found:
            frame = metrics_frame(
                cell.experiment, seed, run.logs, run.exact, run.columns
            )
            values = zip(axes, _point(sweep, cell, axes), strict=True)
            frames.append(frame.assign(**dict(values)))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def collect_frames(
    sweep: Sweep, store: Store
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns metrics and events of all finished runs.

    The condition of a run is its cell in words, "num_sparse 50, ...".

    Args:
        sweep: the sweep.
        store: where its runs are.

    Returns:
        Columns `columns.COLUMNS`, and `columns.EVENT_COLUMNS`.
    """
    metrics, events = [], []
    for cell, found in _finished(sweep, store):
        words = (f"{axis} {text_of(v)}" for axis, v in cell.values.items())
        label = ", ".join(words).replace("/", "_")  # it may be a folder
        for seed, run in found:
            curves = metrics_frame(
                cell.experiment, seed, run.logs, run.exact, run.columns
            )
            found_events = events_frame(cell.experiment, seed, run.logs)
            metrics.append(curves.assign(condition=label))
            events.append(found_events.assign(condition=label))
    return pd.concat(metrics), pd.concat(events)


def _finished(
    sweep: Sweep, store: Store
) -> Iterator[tuple[Cell, list[tuple[int, Finished]]]]:
    for cell in sweep.cells:
        key = store.key(cell.experiment)
        there = store.seeds(key)
        runs = ((s, store.load(key, s)) for s in sweep.seeds if s in there)
        yield cell, [(seed, run) for seed, run in runs if run is not None]


def _point(sweep: Sweep, cell: Cell, axes: Sequence[str]) -> tuple[Any, ...]:
    """Returns values of a cell as frames have them."""
    numbers, _ = axes_of_map(sweep.axes)
    return tuple(
        cell.values[axis] if axis in numbers else text_of(cell.values[axis])
        for axis in axes
    )


def text_of(value: Any) -> str:
    """Returns a value as text that a CSV file does not change."""
    if isinstance(value, bool):  # pandas takes "True" for one, "None" for NaN
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def axes_of_map(
    axes: Mapping[str, Sequence[Any]],
) -> tuple[list[str], list[str]]:
    """Returns the numeric axes, and the axes of words, in their order.

    Success rises along the first numeric axis.

    Args:
        axes: of a sweep.
    """
    numbers: list[str] = []
    words: list[str] = []
    for axis, values in axes.items():
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
        sweep: the sweep.
        runs: frame of `collect_runs`.
        level: confidence of the intervals.

    Returns:
        Thresholds by the values of the other axes, in their order. Points
        with fewer than two values above 0 on the first axis are left out.
    """
    numbers, _ = axes_of_map(sweep.axes)
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
    """Fits how thresholds grow along the second numeric axis.

    Args:
        sweep: the sweep.
        thresholds: result of `fit_thresholds`.

    Returns:
        Exponents by the values of the remaining axes; empty without a
        second numeric axis.
    """
    numbers, _ = axes_of_map(sweep.axes)
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
        sweep: the sweep.
        runs: frame of `collect_runs`.
        level: confidence of the intervals.

    Returns:
        A row per cell, also for cells without a run. A column per axis, then:
        "runs" whose value is known, "successes", "p_success" with its Wilson
        interval ("p_low", "p_high"), "regime", the most frequent one
        (`classify_regime`; the first of `REGIMES` among equals), and "median"
        of the value with its bootstrap ("low", "high").
    """
    axes, threshold = list(sweep.axes), sweep.success.threshold
    groups = dict(list(runs.groupby(axes, sort=False)))
    shape = len(sweep.cells), len(sweep.seeds)
    rows, values = [], np.full(shape, math.nan)

    @functools.cache  # many cells have the same counts
    def share(successes: int, count: int) -> tuple[float, float, float]:
        found = wilson_interval(successes, count, level)
        return found.value, found.low, found.high

    for row, cell in zip(values, sweep.cells, strict=True):
        point = _point(sweep, cell, axes)
        group = groups.get(point, runs[:0])
        known = group["value"].dropna().to_numpy(float)
        row[: len(known)] = known
        successes, p = int((known >= threshold).sum()), [math.nan] * 3
        if len(known):
            p = list(share(successes, len(known)))
        columns = ("value_unseen", "value_seen", "loss_above_floor")
        regimes = [
            classify_regime(unseen, seen, loss, threshold)
            for unseen, seen, loss in zip(
                *(group[name] for name in columns), strict=True
            )
        ]
        regime = UNKNOWN
        if regimes:
            regime = max((*REGIMES, UNKNOWN), key=regimes.count)
        rows.append((*point, len(known), successes, *p, regime))
    names = ("runs", "successes", "p_success", "p_low", "p_high", "regime")
    cells = pd.DataFrame(rows, columns=[*axes, *names])
    cells[["median", "low", "high"]] = median_intervals(values, level)
    return cells


def describe_threshold(found: Threshold) -> Mapping[str, Any]:
    """Returns JSON types: None for a high end that is open.

    An open low end is 0; both are None with a single seed.
    """
    ends = {
        name: value if math.isfinite(value) else None
        for name, value in vars(found).items()
        if isinstance(value, float)
    }
    return {**ends, "censoring": found.censoring}


def describe_exponent(found: Exponent) -> Mapping[str, Any]:
    """Returns JSON types: None for unknown numbers."""
    numbers = {
        "exponent": found.exponent.value,
        "low": found.exponent.low,
        "high": found.exponent.high,
        "factor": found.factor,
        "r_squared": found.r_squared,
        "exponential_r_squared": found.exponential_r_squared,
    }
    return {
        **{n: v if math.isfinite(v) else None for n, v in numbers.items()},
        "num_points": found.num_points,
        "warnings": list(found.warnings),
    }
