"""The status of a sweep: finished and missing runs."""

from rich.console import Console
from rich.table import Table

from tiny_gpt.sweep.adaptive import Adapted
from tiny_gpt.sweep.collect import axes_of_map
from tiny_gpt.sweep.grid import Sweep, describe_point
from tiny_gpt.sweep.leftovers import damaged, partial
from tiny_gpt.sweep.run import experiments_by_key
from tiny_gpt.sweep.store import Store


def show_status(sweep: Sweep, store: Store, console: Console) -> None:
    """Shows how many runs of a sweep are finished, begun and missing."""
    found = _count(sweep, store)
    table = Table(title=f"{sweep.name}: {len(sweep.cells)} cells")
    for column in found:
        table.add_column(column, justify="right")
    table.add_row(*(str(n) for n in found.values()))
    console.print(table)
    aside = damaged(store)
    if aside:
        console.print(f"{len(aside)} damaged files were set aside:")
        for path in aside:
            console.print(f"  {path}", soft_wrap=True, highlight=False)


def show_rows(sweep: Sweep, adapted: Adapted, console: Console) -> None:
    """Shows what an adaptive sweep knows of each row, and why it stopped."""
    numbers, _ = axes_of_map(sweep.axes)
    others = [axis for axis in sweep.axes if axis != numbers[0]]
    table = Table(title=f"{sweep.name}: thresholds in {numbers[0]}")
    for column in ("row", "threshold", "95 %", "runs", "stopped by"):
        table.add_column(column)
    for point, row in adapted.rows.items():
        found = row.threshold
        table.add_row(
            describe_point(dict(zip(others, point, strict=True))) or "all",
            f"{found.value:.3g}",
            f"{found.low:.3g} to {found.high:.3g}",
            str(row.runs),
            row.stopped or "runs elsewhere",
        )
    console.print(table)


def _count(sweep: Sweep, store: Store) -> dict[str, int]:
    keys = experiments_by_key(sweep, store)
    finished = {key: store.seeds(key, checks=True) for key in keys}
    begun = {
        (key, seed)
        for key, seed in partial(store)
        if key in keys and seed in sweep.seeds and seed not in finished[key]
    }
    num_running = sum(store.is_leased(*run) for run in begun)
    total = len(keys) * len(sweep.seeds)
    num_finished = sum(len(s & set(sweep.seeds)) for s in finished.values())
    return {
        "runs": total,
        "finished": num_finished,
        "running": num_running,
        "interrupted": len(begun) - num_running,
        "not started": total - num_finished - len(begun),
    }
