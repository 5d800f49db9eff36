"""Savings of an adaptive sweep, which runs its seeds where success begins.

Question  How many runs does `sweep.adaptive` need for thresholds as good as
          those of a full grid, against the same number spread evenly?
Run       python -m benchmarks.choices.sweep_adaptive runs.csv
          docs/sweep_adaptive
Time      about a minute for 50 rows of 10 values and 10 seeds

`runs.csv` is a finished full grid (`collect.collect_runs`). Each of its rows,
with all axes but the first numeric one fixed, is replayed with its seeds in
several random orders: adaptively, one run at a time, and evenly, k seeds at
every value. Both feed the same posterior (`analysis.psi`). They are compared
at the same number of runs:

    error   |ln (threshold / that of the full grid)|, median over replays
    width   ln (high / low) of the credible interval, median over replays
    holds   share of replays whose interval has the full grid's threshold

"needs" is the median number of adaptive runs until the interval is first as
narrow as that of k seeds everywhere (all runs, if it never is). "saving" is 1
minus its share of those.

The full grid contains the replayed runs, so errors shrink to 0 for both. Rows
whose threshold is outside the grid have no such numbers and are counted
apart.
"""

import argparse
import hashlib
import math
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tiny_gpt.analysis.psi import Psi
from tiny_gpt.analysis.statistics import Interval
from tiny_gpt.runtime.files import write_json
from tiny_gpt.sweep.adaptive import Row, Rule
from tiny_gpt.sweep.axes import CONDITION
from tiny_gpt.sweep.rows import RUN_COLUMNS

NUM_ORDERS = 5
FACTOR = 2.0  # high / low at which the rule for users stops
Outcomes = dict[float, dict[int, bool]]  # by value of the axis, by seed


def read_rows(runs: pd.DataFrame, axis: str) -> dict[tuple[Any, ...], Outcomes]:
    """Returns outcomes by the values of all axes but one.

    Args:
        runs: columns of axes, then `RUN_COLUMNS`.
        axis: the first numeric axis; values above 0 are used.

    Returns:
        For each row the seeds that are known at every value.

    Raises:
        ValueError: if the axis is not a column, or no row has two values and
            a seed that is known at all of them.
    """
    if axis not in runs:
        raise ValueError(
            f"The axis must be a column of the runs. Received: axis={axis!r}, "
            f"columns={list(runs)}"
        )
    others = [c for c in runs if c not in (*RUN_COLUMNS, axis)] + [CONDITION]
    known = runs[runs["is_success"].notna() & (runs[axis] > 0)]
    found: dict[tuple[Any, ...], Outcomes] = {}
    for point, group in known.groupby(others, sort=False):
        table = group.pivot(index="seed", columns=axis, values="is_success")
        table = table.dropna().astype(bool)
        if table.shape[1] > 1 and len(table):
            found[tuple(point)] = {
                x: dict(zip(table.index.tolist(), table[x], strict=True))
                for x in table.columns.astype(float).tolist()
            }
    if not found:
        raise ValueError(
            "A row needs two values of the axis and a seed that is known at "
            f"all. Received: axis={axis!r}, {len(runs)} runs"
        )
    return found


def replay(
    outcomes: Outcomes, seeds: list[int], rule: Rule
) -> tuple[list[Interval], str]:
    """Replays a row adaptively.

    Returns:
        The threshold after each run, and why it stopped.
    """
    row, found = Row(list(outcomes), seeds, rule), []
    while not row.stopped:
        ((x, seed),) = row.plan(1)
        row.tell(x, seed, outcomes[x][seed])
        found.append(row.threshold)
    return found, row.stopped


def spread(outcomes: Outcomes, seeds: list[int], level: float) -> Interval:
    """Returns the threshold after the same seeds at every value."""
    psi = Psi(list(outcomes))
    for x, by_seed in outcomes.items():
        for seed in seeds:
            psi.update(x, by_seed[seed])
    return psi.threshold(level)


def width_of(found: Interval) -> float:
    """Returns ln (high / low), inf if an end is open."""
    if found.low <= 0 or math.isinf(found.high):
        return math.inf
    return math.log(found.high / found.low)


def compare(
    outcomes: Outcomes, num_orders: int = NUM_ORDERS, level: float = 0.95
) -> list[dict[str, Any]]:
    """Compares both on one row.

    Returns:
        A record for each order of the seeds and k, and one with k = 0 of the
        rule that stops at `FACTOR`; none if the threshold of all runs has no
        closed interval.
    """
    seeds = sorted(next(iter(outcomes.values())))
    full = spread(outcomes, seeds, level)
    if not math.isfinite(width_of(full)):
        return []
    total = len(outcomes) * len(seeds)
    records = []

    def record(name: str, order: int, k: int, runs: int, at: Interval, **more):
        records.append(
            {
                "rule": name,
                "order": order,
                "k": k,
                "runs": runs,
                "error": abs(math.log(at.value / full.value)),
                "width": width_of(at),
                "holds": at.low <= full.value <= at.high,
                **more,
            }
        )

    for order in range(num_orders):
        some = np.random.default_rng(order).permutation(seeds).tolist()
        path, _ = replay(outcomes, some, Rule(total, level=level))
        widths = [width_of(at) for at in path]
        for k in range(1, len(some) + 1):
            runs = k * len(outcomes)
            even = spread(outcomes, some[:k], level)
            record("even", order, k, runs, even)
            # As narrow up to rounding.
            limit = width_of(even) + 1e-9
            narrow = (i for i, w in enumerate(widths, 1) if w <= limit)
            needs = next(narrow, total) if math.isfinite(limit) else math.nan
            at = path[min(runs, len(path)) - 1]
            record("adaptive", order, k, runs, at, needs=needs)
        path, _ = replay(outcomes, some, Rule(total, FACTOR, level))
        record("stops", order, 0, len(path), path[-1])
    return records


def tabulate(records: pd.DataFrame) -> pd.DataFrame:
    """Returns a row per k: both rules at equally many runs, and the saving."""
    table = []
    for k, group in records[records["k"] > 0].groupby("k"):
        row: dict[str, Any] = {"seeds": k, "runs": group["runs"].median()}
        for name in ("even", "adaptive"):
            some = group[group["rule"] == name]
            for column in ("error", "width"):
                row[f"{column}, {name}"] = some[column].median()
            row[f"holds, {name}"] = some["holds"].mean()
        # Only where the even interval is closed, and so can be matched.
        row["needs"] = group["needs"].median()
        row["saving"] = 1 - (group["needs"] / group["runs"]).median()
        table.append(row)
    return pd.DataFrame(table)


def to_markdown(table: pd.DataFrame) -> str:
    """Returns a table in Markdown, numbers with two digits."""
    lines = [list(table.columns), ["---"] * table.shape[1]]
    lines += [
        [f"{v:.2f}" if v % 1 else f"{v:g}" for v in row]
        for row in table.to_numpy(float).tolist()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: list[str]) -> None:
    """Replays, prints the table, and writes it with its manifest."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.choices.sweep_adaptive"
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--axis", default="sparse_pairs")
    parser.add_argument("--orders", type=int, default=NUM_ORDERS)
    options = parser.parse_args(arguments)
    rows = read_rows(pd.read_csv(options.runs), options.axis)
    found = {p: compare(some, options.orders) for p, some in rows.items()}
    records = [
        {"row": "; ".join(map(str, point)), **record}
        for point, some in found.items()
        for record in some
    ]
    num_inside = sum(bool(some) for some in found.values())
    manifest = {
        "command": "python -m benchmarks.choices.sweep_adaptive "
        f"{options.runs} {options.folder} --axis {options.axis} "
        f"--orders {options.orders}",
        "runs_sha256": hashlib.sha256(options.runs.read_bytes()).hexdigest(),
        "rows": len(rows),
        "rows_with_a_threshold": num_inside,
        "orders": options.orders,
        "factor": FACTOR,
        "python": platform.python_version(),
        "versions": {n: version(n) for n in ("numpy", "scipy", "pandas")},
    }
    options.folder.mkdir(parents=True, exist_ok=True)
    write_json(options.folder / "manifest.json", manifest)
    summary: dict[str, Any] = {"table": [], "stops": None}
    if records:
        frame = pd.DataFrame(records)
        table, stops = tabulate(frame), frame[frame["rule"] == "stops"]
        summary["table"] = [
            {n: v if math.isfinite(v) else None for n, v in row.items()}
            for row in table.astype(float).to_dict("records")
        ]
        total = table["runs"].iloc[-1]
        summary["stops"] = {
            "runs": float(stops["runs"].median()),
            "of": float(total),
            "error": float(stops["error"].median()),
            "holds": float(stops["holds"].mean()),
        }
        sys.stdout.write(
            f"{to_markdown(table)}\n\nStopped at high / low = {FACTOR:g}: "
            f"{stops['runs'].median():g} of {total:g} runs a row, error "
            f"{stops['error'].median():.2f}.\n"
        )
    write_json(options.folder / "saving.json", summary)
    sys.stdout.write(
        f"{num_inside} of {len(rows)} rows have a threshold in the grid.\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
