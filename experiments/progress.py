"""What one sees while an experiment runs."""

import time

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tiny_gpt.evaluate import task_name
from tiny_gpt.experiment import Experiment

LOG_EVERY_S = 60.0


class Reporter:
    """One live line per condition; in a log file, a line now and then.

    Args:
        console: where to write.
    """

    def __init__(self, console: Console):
        self.console = console
        self._live = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=console,
            disable=not console.is_terminal,
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
        self._console = reporter.console
        self._live = live
        self._task = task
        self._experiment = experiment
        self._logged = time.perf_counter()

    def seed(self, position: int, seed: int) -> keras.callbacks.Callback:
        """Returns a callback that shows one run.

        Args:
            position: place of the seed among the seeds, from 0.
            seed: the seed.
        """
        num_epochs = self._experiment.train.num_epochs
        return keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self._show(
                position * num_epochs + epoch + 1, seed, epoch + 1, logs
            )
        )

    def skip(self, position: int) -> None:
        """Shows that the run of a seed was finished before."""
        done = (position + 1) * self._experiment.train.num_epochs
        self._live.update(self._task, completed=done, state="already there")

    def _show(self, completed, seed, epoch, logs):
        metric = self._experiment.evaluation.accuracy
        scores = (
            f"{label} {logs[f'{task_name(label)}_{metric}']:.2f}"
            for label in self._experiment.eval_mappings
        )
        state = f"seed {seed}  loss {logs['loss']:.3f}  {'  '.join(scores)}"
        self._live.update(self._task, completed=completed, state=state)
        if self._console.is_terminal:
            return
        num_epochs = self._experiment.train.num_epochs
        now = time.perf_counter()
        if epoch == num_epochs or now - self._logged >= LOG_EVERY_S:
            self._logged = now
            self._console.print(
                f"{self._experiment.condition}  epoch {epoch}/{num_epochs}  "
                f"{state}",
                soft_wrap=True,
                highlight=False,
            )
