"""The evidence on which claims are decided: frames, checks, intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tiny_gpt.analysis.statistics import (
    Interval,
    paired_difference,
    t_interval,
)
from tiny_gpt.metrics.columns import COLUMNS

BySeed = dict[int, float]


class MissingRunsError(ValueError):
    """A claim needs runs that do not exist yet."""


@dataclass(frozen=True)
class Evidence:
    """Frames of the runs, and the level at which rules compare.

    Attributes:
        metrics: metrics frame of the runs under test.
        seeds: seeds that every condition should have.
        paper: metrics frame at the published size; None if there is none.
        published: the published curves: experiment, condition, epoch, task,
            metric, value.
        level: confidence of each interval, corrected for their number.
        num_demonstrations: of the main prompt of the runs under test.
        accuracy: metric of the fixed sample that is asked in every epoch.

    Raises:
        ValueError: if a frame lacks columns or holds a number that is not
            finite.
    """

    metrics: pd.DataFrame
    seeds: tuple[int, ...]
    paper: pd.DataFrame | None
    published: pd.DataFrame
    level: float
    num_demonstrations: int = 2
    accuracy: str = "accuracy_aligned"
    _by_place: dict[Any, pd.DataFrame] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self):
        for frame in (self.metrics, self.paper):
            if frame is None:
                continue
            missing = set(COLUMNS) - set(frame.columns)
            if missing:
                raise ValueError(
                    f"A metrics frame has the columns {COLUMNS}. "
                    f"Received: a frame without {sorted(missing)}"
                )
            bad = frame[~frame["value"].map(math.isfinite)]
            if len(bad):
                raise ValueError(
                    "Metrics must be finite numbers. Received: "
                    f"{bad.iloc[0].to_dict()}"
                )
        # Rules ask hundreds of times for rows of one condition.
        places = self.metrics.groupby(["experiment", "condition"], sort=False)
        object.__setattr__(self, "_by_place", dict(list(places)))

    def rows(self, place: str, **columns: object) -> pd.DataFrame:
        """Returns rows of one condition, which must hold every seed.

        Args:
            place: experiment and condition, e.g. "triangle/no_a_to_c".
            **columns: values that other columns must have.

        Raises:
            MissingRunsError: if the condition or a seed is missing.
        """
        experiment, condition = place.split("/")
        found = self._by_place.get((experiment, condition), self.metrics[:0])
        for name, value in columns.items():
            found = found[found[name] == value]
        missing = sorted(set(self.seeds) - set(found["seed"]))
        if missing:
            raise MissingRunsError(
                f"{place}: seeds {', '.join(map(str, missing))}"
            )
        return found[found["seed"].isin(self.seeds)]

    def final(
        self,
        place: str,
        mapping: str = "A->C",
        metric: str = "accuracy_aligned",
        tier: str = "unseen_sentences",
        prompt: str | None = None,
    ) -> BySeed:
        """Returns a number of the exact evaluation, by seed.

        Args:
            place: experiment and condition.
            mapping: mapping of the questions.
            metric: one of `tiers.exact_rows`.
            tier: words that count.
            prompt: name of the prompt; None for the main one.
        """
        rows = self.rows(
            place,
            mapping=mapping,
            metric=metric,
            tier=tier,
            prompt=prompt or f"{self.num_demonstrations}_demonstrations",
        )
        last = rows[rows["epoch"] == rows["epoch"].max()]
        return by_seed(last)

    def curves(
        self, place: str, metric: str, mapping: str, tier: str
    ) -> dict[int, pd.Series]:
        """Returns a number of each epoch, by seed."""
        rows = self.rows(place, metric=metric, mapping=mapping, tier=tier)
        return {
            int(str(seed)): group.set_index("epoch")["value"].sort_index()
            for seed, group in rows.groupby("seed")
        }

    def mean(
        self, values: BySeed, bounds: tuple[float, float] = (0.0, 1.0)
    ) -> Interval:
        """Returns the mean over seeds with its interval."""
        return t_interval(list(values.values()), self.level, bounds)

    def difference(self, first: BySeed, second: BySeed) -> Interval:
        """Returns the mean paired difference with its interval."""
        return paired_difference(first, second, self.level)[0]


def by_seed(rows: pd.DataFrame) -> BySeed:
    """Returns the value of each seed, from rows that hold each seed once.

    Raises:
        ValueError: if a seed occurs twice.
    """
    if rows["seed"].duplicated().any():
        raise ValueError(
            "Each seed has one row. Received: "
            f"{rows[rows['seed'].duplicated()].iloc[0].to_dict()}"
        )
    ordered = rows.sort_values("seed")
    return {
        int(seed): float(value)
        for seed, value in zip(ordered["seed"], ordered["value"], strict=True)
    }


def average(parts: Sequence[BySeed]) -> BySeed:
    """Returns, for each seed, the mean over several values."""
    return {
        seed: sum(part[seed] for part in parts) / len(parts)
        for seed in parts[0]
    }


def effect(name: str, interval: Interval, unit: str) -> dict[str, Any]:
    """Returns one effect as the report reads it.

    JSON has neither NaN, which becomes None, nor infinity, which becomes "inf"
    or "-inf".
    """

    def number(value: float) -> float | str | None:
        if math.isnan(value):
            return None
        return str(value) if math.isinf(value) else value

    return {
        "name": name,
        "value": number(interval.value),
        "low": number(interval.low),
        "high": number(interval.high),
        "unit": unit,
    }


def points(interval: Interval) -> str:
    """Returns an interval in percent, e.g. "87.2 % (80.1 to 93.0)"."""
    if math.isnan(interval.low):
        return f"{100 * interval.value:.1f} %"
    return (
        f"{100 * interval.value:.1f} % "
        f"({100 * interval.low:.1f} to {100 * interval.high:.1f})"
    )


def strip(
    evidence: Evidence,
    axis: str,
    groups: Mapping[str, BySeed],
    lines: Mapping[str, float] | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Any]:
    """Describes a figure with one dot per seed and group."""
    described = []
    for label, values in groups.items():
        interval = evidence.mean(values, bounds)
        described.append(
            {
                "label": label,
                "values": list(values.values()),
                **_numbers(interval),
            }
        )
    return {
        "kind": "strip",
        "axis": axis,
        "groups": described,
        "lines": dict(lines or {}),
    }


def series(
    evidence: Evidence,
    label: str,
    x: Sequence[float],
    values: Sequence[BySeed],
    bounds: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Any]:
    """Describes one line of a figure: values by seed at each x."""
    means = [_numbers(evidence.mean(v, bounds)) for v in values]
    return {
        "label": label,
        "x": list(x),
        "values": [list(v.values()) for v in values],
        **{key: [m[key] for m in means] for key in ("mean", "low", "high")},
    }


def _numbers(interval: Interval) -> dict[str, float | None]:
    numbers = effect("", interval, "")
    return {
        "mean": numbers["value"],
        "low": numbers["low"],
        "high": numbers["high"],
    }
