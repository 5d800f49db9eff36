"""Adaptive sweeps: runs where they tell most about the thresholds."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiny_gpt.analysis.psi import MOST_AT_ONCE, Psi
from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.sweep.cell import unlabelled
from tiny_gpt.sweep.collect import axes_of_map
from tiny_gpt.sweep.exchange import exchange
from tiny_gpt.sweep.grid import Cell, Sweep
from tiny_gpt.sweep.leftovers import tidy
from tiny_gpt.sweep.rows import row_reader
from tiny_gpt.sweep.run import (
    POLL_S,
    Executor,
    Outcome,
    experiments_by_key,
    run_tasks,
)
from tiny_gpt.sweep.store import Store
from tiny_gpt.sweep.tasks import SweepTask, TaskResult


@dataclass(frozen=True)
class Rule:
    """The rule that ends the runs of a row.

    A row is a point of all axes but the first numeric one.

    Attributes:
        budget: largest number of runs of a row. Earlier runs count, so that
            going on after an interruption ends at the same number.
        factor: a credible interval with high / low up to this is narrow
            enough; None to spend the whole budget.
        level: probability of the interval. A row also stops when its
            threshold is outside the grid with this probability.
        lapses: lapse rates that are thought possible (`Psi`).

    Raises:
        ValueError: if a number is out of range.
    """

    budget: int
    factor: float | None = None
    level: float = 0.95
    lapses: tuple[float, ...] = (0.0,)

    def __post_init__(self):
        if type(self.budget) is not int or self.budget < 1:
            raise ValueError(
                "`budget` must be at least 1, a whole number. "
                f"Received: budget={self.budget!r}"
            )
        if self.factor is not None and not self.factor > 1:
            raise ValueError(
                f"`factor` must be above 1. Received: factor={self.factor!r}"
            )
        if not 0 < self.level < 1:
            raise ValueError(
                "`level` must lie between 0 and 1. "
                f"Received: level={self.level!r}"
            )
        if not self.lapses or not all(0 <= rate < 1 for rate in self.lapses):
            raise ValueError(
                "`lapses` must be one or more rates in [0, 1). "
                f"Received: lapses={self.lapses!r}"
            )


class Row:
    """The state of one row: what is known of its threshold, and its next runs.

    Args:
        samples: positive values of the first axis, increasing.
        seeds: in the order in which they are run, the same at each value.
        rule: when the row stops.

    Attributes:
        psi: posterior of the threshold.
        runs: number of outcomes so far.
    """

    def __init__(
        self, samples: Sequence[float], seeds: Sequence[int], rule: Rule
    ):
        self.psi = Psi(samples, lapses=rule.lapses)
        self.runs = 0
        self._rule = rule
        self._left = {x: list(seeds) for x in self.psi.samples.tolist()}

    def tell(self, x: float, seed: int, is_success: bool | None) -> None:
        """Adds the outcome of a run.

        Args:
            x: its sample.
            seed: its seed, which is not planned again.
            is_success: None if it is not known.
        """
        self._left[x].remove(seed)
        self.runs += 1
        if is_success is not None:
            self.psi.update(x, is_success)

    @property
    def threshold(self) -> Interval:
        """Threshold and credible interval."""
        return self.psi.threshold(self._rule.level)

    @property
    def stopped(self) -> str:
        """Why the row stops, or "" if it goes on.

        "interval", "below", "above" (the threshold is outside the grid),
        "budget" or "seeds".
        """
        rule, ends = self._rule, self.threshold
        below, above = self.psi.probability_outside()
        if below >= rule.level:
            return "below"
        if above >= rule.level:
            return "above"
        is_closed = ends.low > 0 and math.isfinite(ends.high)
        if rule.factor and is_closed and ends.high <= rule.factor * ends.low:
            return "interval"
        if self.runs >= rule.budget:
            return "budget"
        return "" if any(self._left.values()) else "seeds"

    def plan(self, num: int = 1) -> list[tuple[float, int]]:
        """Returns sample and seed of the next runs; none if it has stopped.

        Args:
            num: how many at most, 1 to `MOST_AT_ONCE`.
        """
        if self.stopped:
            return []
        num = min(num, self._rule.budget - self.runs)
        counts = {x: len(seeds) for x, seeds in self._left.items()}
        found, taken = [], dict.fromkeys(counts, 0)
        for x in self.psi.plan(num, counts):
            found.append((x, self._left[x][taken[x]]))
            taken[x] += 1
        return found


@dataclass
class Adapted(Outcome):
    """The outcome of an adaptive sweep.

    Attributes:
        rows: by the values of the other axes, in the order of the sweep.
    """

    rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)


def run_adaptively(
    sweep: Sweep,
    store: Store,
    executor: Executor,
    rule: Rule,
    batch: int = 1,
    on_plan: Callable[[Sequence[SweepTask]], None] | None = None,
    on_done: Callable[[TaskResult], None] | None = None,
    waits: bool = True,
) -> Adapted:
    """Makes those runs of a sweep that tell most about its thresholds.

    Each point of the axes other than the first numeric one has a Psi method
    of its own (Kontsevich and Tyler 1999). It learns from all runs of the
    sweep's seeds that are in the store, and chooses the value of the first
    axis for the next seed. The next runs follow from the store alone, so that
    an interrupted call continues where it was. `collect_runs` reads the
    result as that of any sweep.

    Args:
        sweep: cells and seeds to choose from.
        store: where runs are read and written.
        executor: does the tasks.
        rule: when a row has enough runs.
        batch: runs of a row that are planned at once, 1 to `MOST_AT_ONCE`.
            More keep more processes busy, but are chosen with less knowledge.
        on_plan: called with the tasks of each round, at its start.
        on_done: called with the result of each task.
        waits: whether to wait for runs that other processes work at.

    Raises:
        ValueError: if `batch` is out of range, or the sweep has no numeric
            axis with at least two positive values.
        OSError: if the store cannot be written.
    """
    if type(batch) is not int or not 1 <= batch <= MOST_AT_ONCE:
        raise ValueError(
            f"`batch` must be a whole number from 1 to {MOST_AT_ONCE}. "
            f"Received: batch={batch!r}"
        )
    cells = _cells_by_row(sweep)
    rows = {
        point: Row(sorted(some), sweep.seeds, rule)
        for point, some in cells.items()
    }
    found = Adapted(rows=rows)
    tidy(store)
    exchange(store, experiments_by_key(sweep, store), sweep.seeds)
    keys = {id(c): store.key(c.experiment) for c in _all(cells)}
    for point, some in cells.items():
        for x, cell in some.items():
            there = store.seeds(keys[id(cell)])
            for seed in sweep.seeds:
                if seed in there:
                    _tell(rows[point], sweep, store, keys, x, cell, seed)
    while True:
        plan = [
            (row, x, cells[point][x], seed)
            for point, row in rows.items()
            for x, seed in row.plan(batch)
        ]
        if not plan:
            return found
        tasks = _tasks(plan, keys, store)
        found.left = len(plan)
        for done in run_tasks(store, tasks, executor, found, on_plan, on_done):
            if done.error is not None:
                for seed in {*done.task.seeds} - {*done.finished, *done.taken}:
                    found.failed[done.task.key, seed] = done.error
        is_getting_on = False
        for row, x, cell, seed in plan:
            is_known = _tell(row, sweep, store, keys, x, cell, seed)
            if not is_known and (keys[id(cell)], seed) in found.failed:
                row.tell(x, seed, None)
                is_known = True
            is_getting_on |= is_known
        if is_getting_on:
            found.left = 0
        elif waits:
            time.sleep(POLL_S)
        else:
            return found


def _cells_by_row(
    sweep: Sweep,
) -> dict[tuple[Any, ...], dict[float, Cell]]:
    """Returns cells by row, then by positive values of the first axis."""
    numbers, _ = axes_of_map(sweep.axes)
    rows: dict[tuple[Any, ...], dict[float, Cell]] = {}
    for cell in sweep.cells if numbers else ():
        x = float(cell.values[numbers[0]])
        others = (v for a, v in cell.values.items() if a != numbers[0])
        point = tuple(tuple(v) if isinstance(v, list) else v for v in others)
        if x > 0:
            rows.setdefault(point, {})[x] = cell
    if len(next(iter(rows.values()), {})) < 2:
        raise ValueError(
            "A threshold needs an axis of numbers with two or more positive "
            f"values. Received: axes={dict(sweep.axes)}"
        )
    return rows


def _all(cells) -> Iterator[Cell]:
    for some in cells.values():
        yield from some.values()


def _tell(row, sweep, store, keys, x, cell, seed) -> bool:
    """Adds a run's outcome to a row; False if the run is not in the store."""
    run = store.load(keys[id(cell)], seed)
    if run is None:
        return False
    row.tell(x, seed, row_reader(sweep, cell)(run)[1])
    return True


def _tasks(plan, keys, store) -> list[SweepTask]:
    """Returns the runs of a plan that nobody works on, each once, by cell."""
    seeds: dict[str, list[int]] = {}
    experiments = {}
    for _, _, cell, seed in plan:
        key = keys[id(cell)]
        experiments[key] = unlabelled(cell.experiment, key)
        some = seeds.setdefault(key, [])
        if seed not in some and not store.is_leased(key, seed):
            some.append(seed)
    return [
        SweepTask(key, experiments[key], tuple(some))
        for key, some in seeds.items()
        if some
    ]
