"""What the pages have in common: frames, tables, and where tables stand."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from tiny_gpt.analysis.statistics import t_interval
from tiny_gpt.claims.measure import FRACTION

DOCS = Path(__file__).parents[2] / "docs"
RUNS = DOCS / "runs"


def read(*names: str) -> pd.DataFrame:
    """Returns the frames of committed runs, without the name of the study."""
    frames = [
        pd.read_csv(RUNS / name / "metrics.csv.gz", low_memory=False)
        for name in names
    ]
    return pd.concat(frames, ignore_index=True)


def last(
    frame: pd.DataFrame,
    condition: str,
    mapping: str = "A->C",
    tier: str = "held_out_words",
    metric: str = "accuracy_aligned",
    prompt: str = "2_demonstrations",
) -> pd.Series:
    """Returns a number of the exact evaluation at the end, by seed."""
    rows = frame[
        (frame["condition"] == condition)
        & (frame["mapping"] == mapping)
        & (frame["tier"] == tier)
        & (frame["metric"] == metric)
        & (frame["prompt"] == prompt)
    ]
    rows = rows[rows["epoch"] == rows["epoch"].max()]
    return rows.set_index("seed")["value"].sort_index()


def percent(values: pd.Series) -> str:
    """Writes a mean in percent and its 95 % interval; a dash if none."""
    if not len(values):
        return "–"
    mean = t_interval(list(values), 0.95, FRACTION)
    if math.isnan(mean.low):
        return f"{100 * mean.value:.1f}"
    return (
        f"{100 * mean.value:.1f} ({100 * mean.low:.1f}–{100 * mean.high:.1f})"
    )


def points(values: pd.Series) -> str:
    """Writes a mean difference in points and its 95 % interval."""
    if not len(values):
        return "–"
    mean = t_interval(list(values), 0.95, (-1.0, 1.0))
    low, value, high = (
        f"{100 * x:+.1f}".replace("-", "−")
        for x in (mean.low, mean.value, mean.high)
    )
    return f"{value} ({low} to {high})"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Returns a table in Markdown, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fill(page: str, tables: Mapping[str, str]) -> str:
    """Returns a page with its tables in place.

    Args:
        page: a table's place is between `<!-- name: begin -->` and the same
            with "end".
        tables: in Markdown, by name.
    """
    for name, text in tables.items():
        start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, _, rest = page.partition(start)
        after = rest.partition(end)[2]
        page = f"{before}{start}\n\n{text}\n{end}{after}"
    return page
