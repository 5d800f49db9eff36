"""Progress of an experiment and of a sweep, on a terminal or in a file."""

import math
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from tiny_gpt.evaluation.evaluate import task_name
from tiny_gpt.experiment import Experiment
from tiny_gpt.report.typeset import format_duration
from tiny_gpt.sweep.tasks import SweepTask, TaskResult

LOG_EVERY_S = 60.0
LINES = 20  # of the log of a sweep, in all


class Reporter:
    """One live line per condition; in a file or notebook, one now and then.

    Args:
        console: where to write.
    """

    def __init__(self, console: Console):
        self.console = console
        self.is_live = console.is_terminal and not console.is_jupyter
        is_wide = console.width >= 120
        self._live = Progress(
            TextColumn("{task.description}"),
            *(BarColumn(bar_width=16), MofNCompleteColumn())[not is_wide :],
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[state]}"),
            console=console,
            disable=not self.is_live,
        )

    def __enter__(self) -> "Reporter":
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def condition(self, experiment: Experiment, num_seeds: int) -> "Line":
        """Starts the line of one condition."""
        total = num_seeds * experiment.train.num_epochs
        task = self._live.add_task(experiment.condition, total=total, state="")
        return Line(self, self._live, task, experiment)


class Line:
    """The line of one condition."""

    def __init__(self, reporter, live, task, experiment):
        self._reporter = reporter
        self._scores: dict[int, dict[str, float]] = {}  # by seed
        self._epochs: dict[int, int] = {}  # done, by seed
        self._live = live
        self._task = task
        self._experiment = experiment
        self._logged = time.perf_counter()

    def finish(self, seed: int, state: str) -> None:
        """Shows that a run is finished that was not shown by epochs."""
        self._update(
            seed,
            self._experiment.train.num_epochs,
            f"seed {seed} {state}",
        )
        if not self._reporter.is_live:
            name = self._experiment.condition
            self._reporter.console.print(
                f"{name}  seed {seed} {state}", highlight=False
            )

    def _update(self, seed: int, epoch: int, state: str) -> None:
        self._epochs[seed] = epoch
        completed = sum(self._epochs.values())
        self._live.update(self._task, completed=completed, state=state)

    def show(self, seed: int, epoch: int, logs: dict[str, float]) -> None:
        """Shows an epoch, counted from 1; any thread may call it."""
        metric = self._experiment.evaluation.accuracy
        for label in self._experiment.task.eval_mappings:
            score = logs[f"{task_name(label)}_{metric}"]
            if not math.isnan(score):  # NaN: not evaluated in this epoch
                self._scores.setdefault(seed, {})[label] = score
        found = self._scores.get(seed, {})
        scores = (f"{label} {x:.2f}" for label, x in found.items())
        state = f"seed {seed} loss {logs['loss']:.3f} {' '.join(scores)}"
        self._update(seed, epoch, state)
        if self._reporter.is_live:
            return
        num_epochs = self._experiment.train.num_epochs
        now = time.perf_counter()
        if epoch == num_epochs or now - self._logged >= LOG_EVERY_S:
            self._logged = now
            self._reporter.console.print(
                f"{self._experiment.condition}  epoch {epoch}/{num_epochs}  "
                f"{state}",
                soft_wrap=True,
                highlight=False,
            )


class SweepReporter:
    """A bar with the time left; in a file, a line now and then.

    Args:
        name: of the sweep.
        console: where to write.
        most: runs that will be made at most; None for those that are planned.
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
        """Shows how much there is to do."""
        left = sum(len(task.seeds) for task in tasks)
        if self._most is None:
            self._total = self._made + left
            if not self._console.is_terminal:
                self._console.print(f"{left} runs to do", highlight=False)
        self._bar.update(self._task, total=self._total)

    def done(self, done: TaskResult) -> None:
        """Shows what came of a task."""
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
        seconds = time.perf_counter() - self._start
        each = seconds / self._made if self._made else 0.0
        return f"{format_duration(left * each)} left" if each else ""
