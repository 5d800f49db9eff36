"""What one sees while an experiment runs."""

import math
import time

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from tiny_gpt.evaluate import task_name
from tiny_gpt.experiment import Experiment

LOG_EVERY_S = 60.0


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
        self._scores: dict[str, float] = {}
        self._completed = 0  # epochs of all seeds
        self._live = live
        self._task = task
        self._experiment = experiment
        self._logged = time.perf_counter()

    def seed(self, seed: int) -> keras.callbacks.Callback:
        """Returns a callback that shows one run, epoch by epoch."""
        before = self._completed
        return keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self._show(
                before + epoch + 1, seed, epoch + 1, logs
            )
        )

    def finish(self, state: str) -> None:
        """Shows that a run is finished that no callback has shown."""
        self._completed += self._experiment.train.num_epochs
        self._live.update(self._task, completed=self._completed, state=state)
        if not self._reporter.is_live:
            name = self._experiment.condition
            self._reporter.console.print(f"{name}  {state}", highlight=False)

    def _show(self, completed, seed, epoch, logs):
        metric = self._experiment.evaluation.accuracy
        for label in self._experiment.eval_mappings:
            score = logs[f"{task_name(label)}_{metric}"]
            if not math.isnan(score):  # NaN: not evaluated in this epoch
                self._scores[label] = score
        scores = (f"{label} {x:.2f}" for label, x in self._scores.items())
        state = f"seed {seed} loss {logs['loss']:.3f} {' '.join(scores)}"
        self._completed = completed
        self._live.update(self._task, completed=completed, state=state)
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
