"""The progress of a sweep, on a terminal or in a file."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tiny_gpt.commands.progress import time_left
from tiny_gpt.sweep.tasks import SweepTask, TaskResult

LINES = 20  # of the log of a sweep, in all


class SweepReporter:
    """Shows a bar with the time left; in a file, a line now and then.

    Args:
        name: of the sweep.
        console: where to write.
        most: largest number of runs that will be made; None for the number of
            planned runs.
    """

    def __init__(self, name: str, console: Console, most: int | None = None):
        self._console, self._most = console, most
        self._made = 0
        self._total = most or 0
        self._start = time.perf_counter()
        self._bar = Progress(
            TextColumn(name.replace("_", " ")),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=most, state="")

    def __enter__(self) -> "SweepReporter":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def plan(self, tasks: Sequence[SweepTask]) -> None:
        """Shows how many runs are to be made."""
        left = sum(len(task.seeds) for task in tasks)
        if self._most is None:
            self._total = self._made + left
            if not self._console.is_terminal:
                self._console.print(f"{left} runs to train", highlight=False)
        self._bar.update(self._task, total=self._total)

    def done(self, done: TaskResult) -> None:
        """Shows the result of a task."""
        before, self._made = self._made, self._made + len(done.finished)
        state = f"failed: {done.error}" if done.error else self._time_left()
        self._bar.update(self._task, completed=self._made, state=state)
        step = max(self._total // LINES, 1)
        if self._console.is_terminal or self._made // step == before // step:
            return
        most = "at most " if self._most is not None else ""
        self._console.print(
            f"{self._made} of {most}{self._total} runs, {self._time_left()}",
            highlight=False,
            soft_wrap=True,
        )

    def _time_left(self) -> str:
        # Over all runs: they may take minutes each.
        left = max(self._total - self._made, 0)
        return time_left(self._made, left, time.perf_counter() - self._start)
