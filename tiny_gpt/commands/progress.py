"""The progress of an experiment, on a terminal or in a file."""

import math
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
)

from tiny_gpt.commands.live_figure import LiveFigure
from tiny_gpt.evaluation.evaluate import task_name
from tiny_gpt.experiment import Experiment
from tiny_gpt.report.typeset import format_duration

LOG_EVERY_S = 60.0


def time_left(num_done: int, num_left: int, seconds: float) -> str:
    """Returns the time left in words, e.g. "2 min 5 s left".

    Args:
        num_done: parts that were done, one as long as another.
        num_left: parts that are left.
        seconds: time that those took that were done.
    """
    if not num_left:
        return "done"
    if not num_done:
        return "time left unknown"
    return f"{format_duration(seconds / num_done * num_left)} left"


class Reporter:
    """Shows one live line per condition; in a file, some lines.

    In a notebook it shows a figure that grows, and the time left.

    Args:
        console: where to write.
    """

    def __init__(self, console: Console):
        self.console = console
        self.is_live = console.is_terminal and not console.is_jupyter
        self.figure = LiveFigure() if console.is_jupyter else None
        self._lines: list[Line] = []
        self._num_done = 0  # epochs since the start
        self._start: float | None = None  # that of the second epoch
        is_wide = console.width >= 120
        self._live = Progress(
            TextColumn("{task.description}"),
            *(BarColumn(bar_width=16), MofNCompleteColumn())[not is_wide :],
            TextColumn("{task.fields[state]}"),
            console=console,
            disable=not self.is_live,
        )
        self._all = self._live.add_task("all epochs", state="")

    def __enter__(self) -> "Reporter":
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()
        if self.figure is not None:
            self.figure.show(self.title(self.count(0)), is_last=True)

    def condition(
        self, experiment: Experiment, num_seeds: int, label: str = ""
    ) -> "Line":
        """Starts the line of one condition.

        Args:
            experiment: the condition.
            num_seeds: its runs.
            label: what it is called; by default the condition's name.
        """
        label = label or experiment.condition
        total = num_seeds * experiment.train.num_epochs
        task = self._live.add_task(label, total=total, state="", visible=False)
        self._lines.append(
            Line(self, self._live, task, experiment, total, label)
        )
        self.count(0)
        return self._lines[-1]

    def title(self, left: str) -> str:
        """Returns what is above the figure of a notebook."""
        return f"{self.num_completed} of {self.num_epochs} epochs, {left}"

    @property
    def num_completed(self) -> int:
        """Epochs that are there."""
        return sum(line.num_completed for line in self._lines)

    @property
    def num_epochs(self) -> int:
        """Epochs of all runs."""
        return sum(line.total for line in self._lines)

    def count(self, num_epochs: int) -> str:
        """Counts epochs that were trained; returns the time left in words."""
        completed, total = self.num_completed, self.num_epochs
        now = time.perf_counter()
        if self._start is not None:
            self._num_done += num_epochs
        elif num_epochs:  # the first, before which programs were compiled
            self._start = now
        seconds = now - (self._start or now)
        left = time_left(self._num_done, total - completed, seconds)
        self._live.update(
            self._all, completed=completed, total=total, state=left
        )
        return left


class Line:
    """The line of one condition, shown while some of its runs are made."""

    def __init__(self, reporter, live, task, experiment, total, label):
        self.total, self._label = total, label
        self._reporter = reporter
        self._scores: dict[int, dict[str, float]] = {}  # by seed
        self._epochs: dict[int, int] = {}  # done, by seed
        self._live = live
        self._task = task
        self._experiment = experiment
        self._logged = time.perf_counter()

    @property
    def num_completed(self) -> int:
        """Epochs that are there, of all seeds."""
        return sum(self._epochs.values())

    def finish(self, seed: int, was_there: bool = False) -> None:
        """Shows that a run is finished that was not shown by epochs.

        Args:
            seed: of the run.
            was_there: whether an earlier command has trained it.
        """
        if self._epochs.get(seed) == self._experiment.train.num_epochs:
            return
        how = "was finished before" if was_there else "finished"
        state = f"seed {seed} {how}"
        num_epochs = self._experiment.train.num_epochs
        self._update(seed, num_epochs, state)
        left = self._reporter.count(0 if was_there else num_epochs)
        if not self._reporter.is_live:
            self._log(
                f"{self._label}  {state}{'' if was_there else f'  {left}'}"
            )

    def _update(self, seed: int, epoch: int, state: str) -> None:
        self._epochs[seed] = epoch
        self._live.update(
            self._task,
            completed=self.num_completed,
            state=state,
            visible=self.num_completed < self.total,
        )

    def _log(self, text: str) -> None:
        self._reporter.console.print(text, soft_wrap=True, highlight=False)

    def show(self, seed: int, epoch: int, logs: dict[str, float]) -> None:
        """Shows an epoch, counted from 1; any thread may call it."""
        metric = self._experiment.evaluation.accuracy
        for label in self._experiment.task.eval_mappings:
            score = logs[f"{task_name(label)}_{metric}"]
            if not math.isnan(score):  # NaN: not evaluated in this epoch
                self._scores.setdefault(seed, {})[label] = score
        found = self._scores.get(seed, {})
        scores = "  ".join(f"{k} {100 * x:.0f} %" for k, x in found.items())
        state = f"loss {logs['loss']:.3f}  accuracy {scores or 'not yet'}"
        self._update(seed, epoch, f"seed {seed}  {state}")
        left = self._reporter.count(1)
        figure = self._reporter.figure
        if figure is not None:
            figure.add(self._label, seed, epoch, found)
            figure.show(self._reporter.title(left))
        if self._reporter.is_live or figure is not None:
            return
        num_epochs = self._experiment.train.num_epochs
        now = time.perf_counter()
        if epoch == num_epochs or now - self._logged >= LOG_EVERY_S:
            self._logged = now
            self._log(
                f"{self._label}  seed {seed}  "
                f"epoch {epoch}/{num_epochs}  {state}  {left}"
            )
