"""The moment of a fault, drawn from the steps of an undisturbed command."""

from collections.abc import Sequence

import numpy as np

from benchmarks.faults.fault import Fault, Step
from benchmarks.faults.miniature import SEEDS


def draw_fault(
    steps: Sequence[Step],
    action: str,
    phase: str,
    rng: np.random.Generator,
    moment: str = "",
) -> Fault:
    """Draws the moment of a signal from the steps of an undisturbed command.

    Args:
        steps: its steps.
        action: the signal.
        phase: phase of the signal.
        rng: source of randomness.
        moment: beginning of the names to choose from, in "writing".
    """
    of_phase = [step for step in steps if step.phase == phase]
    chosen = [step for step in of_phase if step.name.startswith(moment)]
    step = chosen[rng.integers(len(chosen))]
    if phase == "writing":  # threads take turns, so files are told by name
        alike = [other for other in of_phase if other.name == step.name]
        delay = 0.0 if action == "kill" else rng.uniform(0, 0.01)
        return Fault(action, phase, step.name, alike.index(step), delay)
    after = [
        other.at_s - step.at_s
        for other in steps
        if other.thread == step.thread and other.at_s > step.at_s
    ]
    delay = rng.uniform(0, min(after, default=0.0))
    return Fault(action, phase, None, of_phase.index(step), delay)


def steps_of_last_seed(steps: Sequence[Step], i: int) -> tuple[Step, ...]:
    """Returns the steps of a command for the last seed of a condition alone."""
    starts = [
        place
        for place, step in enumerate(steps)
        if (step.phase, step.name) == ("compiling", "batch")
    ]
    (end,) = (
        place
        for place, step in enumerate(steps)
        if step.name == "opening saving_metrics.csv"
    )
    run = (i + 1) * len(SEEDS) - 1
    stop = [*starts, end][run + 1]
    return (*steps[starts[run] : stop], *steps[end:])
