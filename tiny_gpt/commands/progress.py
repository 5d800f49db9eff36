"""The progress of an experiment, on a terminal or in a file."""

import math
import time

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

LOG_EVERY_S = 60.0


class Reporter:
    """Shows one live line per condition; in a file or notebook, some lines.

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
        """Shows that a run is finished whose epochs were not shown."""
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
