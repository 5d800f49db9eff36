"""Tests for tiny_gpt/commands/progress.py: what one sees while it trains."""

import io
import math
import time

import pytest
from rich.console import Console

from benchmarks.tiny_runs import TINY
from tiny_gpt.commands.progress import Reporter, time_left
from tiny_gpt.evaluation.evaluate import task_name

NUM_EPOCHS = TINY.train.num_epochs
LOGS = {
    "loss": 1.5,
    **{
        f"{task_name(label)}_{TINY.evaluation.accuracy}": 0.25
        for label in TINY.task.eval_mappings
    },
}


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test may add to."""
    seconds = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: sum(seconds))
    return seconds


@pytest.mark.parametrize(
    ("num_done", "num_left", "seconds", "text"),
    [
        (2, 6, 30.0, "1 min 30 s left"),
        (0, 6, 30.0, "time left unknown"),
        (8, 0, 30.0, "done"),
        (0, 0, 0.0, "done"),
    ],
)
def test_time_left_is_that_of_equal_parts(num_done, num_left, seconds, text):
    assert time_left(num_done, num_left, seconds) == text


def test_a_line_of_a_log_says_what_and_how_long(clock):
    out = io.StringIO()
    with Reporter(Console(file=out, width=40)) as reporter:
        line = reporter.condition(TINY, num_seeds=2)
        other = reporter.condition(TINY, num_seeds=1)
        other.finish(7, was_there=True)
        assert out.getvalue() == "one  seed 7 was finished before\n"
        for epoch in range(1, NUM_EPOCHS + 1):
            # The first is compiled before it is trained.
            clock.append(30.0 if epoch == 1 else 2.0)
            line.show(0, epoch, LOGS)
    # Epochs of 2 s; what was there before took none of them.
    said = out.getvalue().splitlines()[1]
    scores = "  ".join(f"{label} 25 %" for label in TINY.task.eval_mappings)
    assert said == (
        f"one  seed 0  epoch {NUM_EPOCHS}/{NUM_EPOCHS}  loss 1.500  "
        f"accuracy {scores}  {2.0 * NUM_EPOCHS:.1f} s left"
    )
    line.finish(1)
    assert out.getvalue().splitlines()[-1] == "one  seed 1 finished  done"


def test_without_an_evaluation_there_is_no_accuracy_yet(clock):
    out = io.StringIO()
    line = Reporter(Console(file=out)).condition(TINY, num_seeds=1)
    clock.append(61.0)  # a line each minute
    line.show(0, 1, {"loss": 1.5, **dict.fromkeys(list(LOGS)[1:], math.nan)})
    assert "loss 1.500  accuracy not yet  " in out.getvalue()


def test_a_terminal_has_one_line_for_all(clock):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=130)
    with Reporter(console) as reporter:
        line = reporter.condition(TINY, num_seeds=2)
        for epoch in range(1, NUM_EPOCHS + 1):
            clock.append(2.0)
            line.show(0, epoch, LOGS)
    assert "all epochs" in out.getvalue()
    assert f"{NUM_EPOCHS}/{2 * NUM_EPOCHS}" in out.getvalue()
    assert f"{2.0 * NUM_EPOCHS:.1f} s left" in out.getvalue()
